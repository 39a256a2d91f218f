import type { Severity } from '#contracts/common';
import type { RuleState } from '#contracts/warning';

/** What a mark can say. `stale` is for data that is too old to be believed. */
export type MarkState = Severity | RuleState | 'stale';
export type Shape = 'octagon' | 'triangle' | 'diamond' | 'circle' | 'square' | 'ring' | 'triangle-open' | 'diamond-open';

export interface Mark {
  readonly shape: Shape;
  readonly letter: string;
  /** Name of the token that fills it; `--NAME-ink` is the letter on it. */
  readonly token: string;
  readonly hatched: boolean;
}

/** Shape, letter and colour together: any two may fail (colour blindness, distance, print) and the third still tells. */
export const MARKS: Readonly<Record<MarkState, Mark>> = {
  extreme: { shape: 'octagon', letter: 'X', token: 'extreme', hatched: false },
  severe: { shape: 'triangle', letter: 'S', token: 'severe', hatched: false },
  moderate: { shape: 'diamond', letter: 'M', token: 'moderate', hatched: false },
  minor: { shape: 'circle', letter: 'm', token: 'minor', hatched: false },
  ok: { shape: 'ring', letter: '', token: 'calm', hatched: false },
  pending: { shape: 'diamond-open', letter: 'P', token: 'pending', hatched: false },
  warning: { shape: 'triangle', letter: 'W', token: 'severe', hatched: false },
  clearing: { shape: 'triangle-open', letter: 'C', token: 'clearing', hatched: false },
  unknown: { shape: 'square', letter: '?', token: 'stale', hatched: true },
  stale: { shape: 'square', letter: '?', token: 'stale', hatched: true },
};

/** Outlines in a box of 24 by 24. */
export const OUTLINES: Readonly<Record<Shape, string>> = {
  octagon: 'M7.6 1.5h8.8l6.1 6.1v8.8l-6.1 6.1H7.6l-6.1-6.1V7.6z',
  triangle: 'M12 1.2 23.4 21.6a.8.8 0 0 1-.7 1.2H1.3a.8.8 0 0 1-.7-1.2z',
  'triangle-open': 'M12 2.6 22.3 21.4H1.7z',
  diamond: 'M12 .6 23.4 12 12 23.4.6 12z',
  'diamond-open': 'M12 2.2 21.8 12 12 21.8 2.2 12z',
  circle: 'M12 1.5a10.5 10.5 0 1 1 0 21 10.5 10.5 0 0 1 0-21z',
  ring: 'M12 5a7 7 0 1 1 0 14 7 7 0 0 1 0-14z',
  square: 'M2.5 2.5h19v19h-19z',
};

export const isOpen = (shape: Shape): boolean => shape === 'ring' || shape.endsWith('-open') || shape === 'square';

/** The letter sits lower in a triangle, whose weight is at the foot. */
export const letterBaseline = (shape: Shape): number => (shape.startsWith('triangle') ? 19.6 : 16.6);

export const SEVERITY_ORDER: Readonly<Record<Severity, number>> = { extreme: 0, severe: 1, moderate: 2, minor: 3 };
