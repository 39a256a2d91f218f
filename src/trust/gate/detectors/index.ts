import { findEmails, findIps, findMacs, withoutOverlap } from './addresses.ts';
import type { Detector, Hit, Surroundings } from './detector.ts';
import { findDocuments } from './documents.ts';
import { foldText } from './folding.ts';
import { findMediaInText } from './media.ts';
import { detectorOf, WEST } from './national-ids.ts';
import { NORTH_EAST } from './national-ids-north-east.ts';
import { findCards, findIbans, findMobileIds } from './numbers.ts';
import { findPhones } from './phones.ts';
import { findPlates } from './plates.ts';

export { RULES, type Hit, type RuleId, type Surroundings } from './detector.ts';
export { isMacKey } from './addresses.ts';
export { mediaOf } from './media.ts';
export { findInNumber } from './numbers.ts';

// Those with a check digit or a form of their own come first: a telephone number is what is left of the digits
const DETECTORS: readonly Detector[] = [findMediaInText, findEmails, findMacs, findIps, findIbans, findCards, findMobileIds, detectorOf(WEST), detectorOf(NORTH_EAST), findDocuments, findPlates, findPhones];
/** These give way where an earlier rule has taken the same signs. */
const WEAK = new Set(['phone', 'plate', 'id.document', 'card', 'imei', 'address.ip']);
/** Digits of these may be those of a national number, which says more. */
const GIVES_WAY = new Set(['card', 'address.mac']);

const NOTHING = /^[a-z_ -]{0,64}$/i;

/**
 * Everything in a text that looks like data about persons, as it stands or as somebody would read it: where only the latter shows it,
 * the hit is the whole text.
 */
export function detect(text: string, around: Surroundings): Hit[] {
  const hits = detectPlain(text, around);
  const folded = hits.length > 0 ? null : foldText(text);
  return folded === null ? hits : detectPlain(folded, around).slice(0, 1).map(({ rule }) => ({ rule, start: 0, end: text.length }));
}

function detectPlain(text: string, around: Surroundings): Hit[] {
  // words alone are nothing that a detector knows
  if (text.length < 4 || (NOTHING.test(text) && text.length < 12)) return [];
  const hits: Hit[] = [];
  for (const find of DETECTORS) for (const hit of find(text, around)) if (!WEAK.has(hit.rule) || hits.every((other) => hit.start >= other.end || hit.end <= other.start || (hit.isSaid === true && other.rule.startsWith('id.')))) hits.push(hit);
  const known = hits.filter(({ rule, isGuess }) => rule.startsWith('id.') && isGuess !== true);
  return withoutOverlap(hits.filter((hit) => (hit.isGuess !== true && !GIVES_WAY.has(hit.rule)) || known.every((other) => hit.start >= other.end || hit.end <= other.start)));
}
