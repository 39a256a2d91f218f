import type { Detector, Hit, RuleId } from './detector.ts';

const at = (bytes: Buffer, offset: number, sign: string): boolean => bytes.length >= offset + sign.length && bytes.toString('latin1', offset, offset + sign.length) === sign;
const u16 = (bytes: Buffer, offset: number): number => (bytes.length >= offset + 2 ? bytes.readUInt16BE(offset) : -1);

const IMAGE_BRANDS = /^(?:avif|avis|hei[cxsm]|hev[cx]|mif1|msf1|crx )/;
const RIFF: Readonly<Record<string, RuleId>> = { WEBP: 'media.image', WAVE: 'media.audio', 'AVI ': 'media.video' };
// ISO/IEC 19794 parts 2, 4, 5, 6, 7, 8, 9, 10, 11: format identifiers, each ended by NUL; and 39794 by its DER tag
const TEMPLATES = ['FMR\0', 'FIR\0', 'FAC\0', 'IIR\0', 'FSP\0', 'FKB\0', 'FKR\0', 'VIR\0', 'HND\0', 'SDI\0', 'SPD\0', 'VDI\0'];

// what holds files and is not opened here: zip, 7z, RAR, xz, lz4
const ARCHIVES = ['PK\x03\x04', '7z\xbc\xaf\x27\x1c', 'Rar!\x1a\x07', '\xfd7zXZ\0', '\x04\x22\x4d\x18'];

/** Layer III frame head of MPEG audio (ISO/IEC 11172-3 §2.4.1.3); one alone occurs by chance, two in a row do not. */
function isMp3(bytes: Buffer): boolean {
  const length = frameLength(bytes, 0);
  return length > 0 && frameLength(bytes, length) > 0;
}
const KBPS = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
function frameLength(bytes: Buffer, offset: number): number {
  if ((u16(bytes, offset) & 0xfffe) !== 0xfffa || bytes.length < offset + 4) return 0;
  const kbps = KBPS[(bytes[offset + 2] as number) >> 4] ?? 0;
  const hz = [44_100, 48_000, 32_000][((bytes[offset + 2] as number) >> 2) & 3];
  return kbps === 0 || hz === undefined ? 0 : Math.floor((144_000 * kbps) / hz) + (((bytes[offset + 2] as number) >> 1) & 1);
}

/** Which file or template the bytes begin with, by its signature; null for none. */
export function mediaOf(bytes: Buffer): RuleId | null {
  if (bytes.length < 3) return null;
  if (bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff) return 'media.image';
  if (u16(bytes, 0) === 0x8950 && at(bytes, 1, 'PNG')) return 'media.image';
  if (at(bytes, 0, 'GIF87a') || at(bytes, 0, 'GIF89a')) return 'media.image';
  if (at(bytes, 0, 'II*\0') || at(bytes, 0, 'MM\0*') || at(bytes, 0, 'II+\0') || at(bytes, 0, 'MM\0+')) return bytes.length >= 8 ? 'media.image' : null;
  if (at(bytes, 0, 'BM') && bytes.length >= 18 && bytes.readUInt32LE(6) === 0 && [12, 40, 52, 56, 64, 108, 124].includes(bytes.readUInt32LE(14))) return 'media.image';
  if (at(bytes, 0, 'RIFF')) return RIFF[bytes.toString('latin1', 8, 12)] ?? null;
  // ISO/IEC 14496-12 §4.3: box size, then ftyp and the brand
  if (at(bytes, 4, 'ftyp')) return IMAGE_BRANDS.test(bytes.toString('latin1', 8, 12)) ? 'media.image' : 'media.video';
  if (at(bytes, 0, '\x1aE\xdf\xa3')) return 'media.video';
  if (at(bytes, 0, 'OggS') || at(bytes, 0, 'fLaC') || (at(bytes, 0, 'ID3') && (bytes[3] ?? 9) <= 4 && bytes.length >= 10) || isMp3(bytes)) return 'media.audio';
  if (at(bytes, 0, '#!AMR') || at(bytes, 0, 'FORM')) return 'media.audio';
  if (at(bytes, 0, '%PDF-') || ARCHIVES.some((head) => at(bytes, 0, head)) || (at(bytes, 0, 'BZh') && at(bytes, 4, '1AY&SY'))) return 'media.document';
  if (at(bytes, 0, '\0\0\0\x0cjP  ') || at(bytes, 0, '\xffO\xffQ')) return 'media.image'; // JPEG 2000
  if (at(bytes, 0, '\xff\x0a') && bytes.length >= 64) return 'media.image'; // JPEG XL codestream
  if (TEMPLATES.some((head) => at(bytes, 0, head))) return 'template.iso19794';
  if (u16(bytes, 0) === 0xffa0 && [0xffa2, 0xffa4, 0xffa5, 0xffa6, 0xffa8].includes(u16(bytes, 2))) return 'template.wsq';
  if (isCbeff(bytes)) return 'template.cbeff';
  // an outer record that holds one of the formats above
  return bytes.length > 32 && TEMPLATES.some((head) => bytes.subarray(0, 4_096).includes(head, 0, 'latin1')) ? 'template.iso19794' : null;
}

/** ICAO 9303-10 §4.7.2: biometric information template 7F61 or 7F60; BioAPI BIR: length, then version 1.0 or 2.0 and a registered owner. */
function isCbeff(bytes: Buffer): boolean {
  if ((u16(bytes, 0) === 0x7f61 || u16(bytes, 0) === 0x7f60) && bytes.length >= 12) return bytes.subarray(2, 12).includes(0x7f) || bytes.subarray(2, 12).includes(0xa1);
  return bytes.length >= 16 && [0x10, 0x20].includes(bytes[4] as number) && (bytes.readUInt32LE(0) === bytes.length || bytes.readUInt32BE(0) === bytes.length);
}

const DATA_URI = /data:(image|audio|video|application|font|text)?\/?[\w.+-]{0,64}(?:;[\w=."+-]{1,64}){0,4},/gi;
const KINDS: Readonly<Record<string, RuleId>> = { image: 'media.image', audio: 'media.audio', video: 'media.video' };
const LINK = /\b(?:rtsps?|rtmps?|rtp|srt|mms):\/\/[^\s"'<>]{1,500}|\bhttps?:\/\/[^\s"'<>]{1,500}?\.(?:jpe?g|png|gif|webp|avif|heic|tiff?|bmp|mp4|m4v|mov|mkv|webm|avi|m3u8|mjpe?g|wav|mp3|ogg|flac)\b/gi;

/** Data URIs and links to pictures, sound and cameras. */
export const findMediaInText: Detector = (text) => {
  const hits: Hit[] = [];
  if (/data:/i.test(text)) for (const match of text.matchAll(DATA_URI)) {
    const kind = match[1]?.toLowerCase();
    if (kind !== 'text') hits.push({ rule: KINDS[kind ?? ''] ?? 'media.document', start: match.index, end: Math.min(text.length, match.index + match[0].length + 64) });
  }
  if (text.includes('://')) for (const match of text.matchAll(LINK)) hits.push({ rule: 'media.link', start: match.index, end: match.index + match[0].length });
  return hits;
};
