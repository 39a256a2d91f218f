import { isOpen, letterBaseline, MARKS, OUTLINES, type MarkState } from '#lib/ui/marks.ts';

const PIXEL_RATIO = 2;
const BOX = 24;

/** Reads a design token as the page has it now. */
export const token = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** Draws one mark as a bitmap for the map: the same outline, letter and colour as in the lists, with a rim of the panel's colour. */
export function drawMark(state: MarkState, side_px: number): { data: ImageData; pixelRatio: number } {
  const mark = MARKS[state];
  const rim = 2.5;
  const scale = (side_px * PIXEL_RATIO) / (BOX + 2 * rim);
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = side_px * PIXEL_RATIO;
  const pen = canvas.getContext('2d', { willReadFrequently: true });
  if (!pen) throw new Error('this browser has no 2d canvas');
  pen.scale(scale, scale);
  pen.translate(rim, rim);
  const path = new Path2D(OUTLINES[mark.shape]);
  const colour = token(mark.token);
  pen.lineJoin = 'round';
  pen.lineWidth = 2 * rim;
  pen.strokeStyle = token('panel');
  pen.stroke(path);
  if (mark.hatched) {
    pen.save();
    pen.clip(path);
    pen.fillStyle = token('panel');
    pen.fillRect(0, 0, BOX, BOX);
    pen.strokeStyle = token('hatch');
    pen.lineWidth = 1.6;
    for (let x = -BOX; x < BOX; x += 4.5) {
      pen.beginPath();
      pen.moveTo(x, BOX);
      pen.lineTo(x + BOX, 0);
      pen.stroke();
    }
    pen.restore();
  } else {
    pen.fillStyle = isOpen(mark.shape) ? token('panel') : colour;
    pen.fill(path);
  }
  if (isOpen(mark.shape)) {
    pen.lineWidth = mark.shape === 'ring' ? 3.5 : 2.4;
    pen.strokeStyle = colour;
    pen.stroke(path);
  }
  if (mark.letter !== '') {
    pen.fillStyle = isOpen(mark.shape) ? token('ink') : token(`${mark.token}-ink`);
    pen.font = `750 ${mark.shape.startsWith('triangle') ? 12.5 : 14}px ${token('font')}`;
    pen.textAlign = 'center';
    pen.fillText(mark.letter, BOX / 2, letterBaseline(mark.shape));
  }
  return { data: pen.getImageData(0, 0, canvas.width, canvas.height), pixelRatio: PIXEL_RATIO };
}
