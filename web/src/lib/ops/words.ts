import type { Severity } from '#contracts/common';
import type { IncidentState, LogEntry, Outcome } from '#contracts/incident';
import type { FeedHealth } from '#contracts/feed';
import type { Feed } from '#contracts/place';
import type { RuleState } from '#contracts/warning';
import { t } from '#lib/i18n/messages.ts';

const MINUTE_S = 60;
const HOUR_S = 3_600;
const DAY_S = 86_400;

/** “3 min”, or “3 min ago”; below 5 s it is “now”. */
export function ageWords(age_s: number, ago = false): string {
  if (age_s < 5) return t('age_now');
  const [value, unit] = age_s < MINUTE_S ? [Math.floor(age_s), 's'] as const : age_s < HOUR_S ? [Math.floor(age_s / MINUTE_S), 'min'] as const : age_s < 2 * DAY_S ? [Math.floor(age_s / HOUR_S), 'h'] as const : [Math.floor(age_s / DAY_S), 'd'] as const;
  return t(ago ? 'age_ago' : 'age', { value, unit });
}

export const severityWord = (severity: Severity): string => t(`severity_${severity}`);
export const stateWord = (state: IncidentState): string => t(`state_${state}`);
export const outcomeWord = (outcome: Outcome): string => t(`outcome_${outcome}`);
export const ruleStateWord = (state: RuleState): string => t(`rule_${state}`);
export const feedWord = (state: Feed['state']): string => t(`feed_${state}`);
export const sourceWord = (state: FeedHealth['state']): string => t(`source_${state}`);
export const logWord = (kind: LogEntry['kind']): string => t(`log_${kind}`);

/** A kind of place as words: `river_gauge` becomes “River gauge”. */
export function kindWords(kind: string): string {
  const words = kind.replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** A number as an operator reads it: three significant digits below 100, none after the point from 100 on. */
export function numberWords(value: number): string {
  const size = Math.abs(value);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : 2;
  return new Intl.NumberFormat('en', { maximumFractionDigits: digits }).format(value);
}
