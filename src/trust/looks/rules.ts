import type { LookAlert, LookRule } from '../../contracts/looks.ts';
import { newDayCounter, type DayOf } from './days.ts';
import type { LookAct } from './looks-store.ts';

const DAY_MS = 24 * 3_600_000;
const LISTED_LOOKS_MAX = 50;

interface Rule extends LookRule {
  readonly find: (acts: readonly LookAct[], dayOf: DayOf) => LookAlert[];
}

/** Looks that belong together; those of at least `threshold` are an alert to a person and nothing more. */
function rule(id: string, threshold: number, text: string, find: Rule['find']): Rule {
  return { id, threshold, text, find };
}

/** Groups the looks that `pick` gives a key, counts with `count`, and reports groups from `threshold` on. */
function grouped(id: string, threshold: number, pick: (act: LookAct, dayOf: DayOf) => string | null, count: (acts: readonly LookAct[]) => number): Rule['find'] {
  return (acts, dayOf) => {
    const groups = new Map<string, LookAct[]>();
    for (const act of acts) {
      const key = pick(act, dayOf);
      if (key === null) continue;
      const group = groups.get(key);
      if (group) group.push(act);
      else groups.set(key, [act]);
    }
    return [...groups.values()].flatMap((group) => {
      const found = count(group);
      return found < threshold ? [] : [alertOf(id, group, found, dayOf)];
    });
  };
}

function alertOf(id: string, acts: readonly LookAct[], count: number, dayOf: DayOf): LookAlert {
  const pseudonyms = [...new Set(acts.map(({ pseudonym }) => pseudonym))];
  return {
    rule: id,
    day: dayOf(acts[0]?.at ?? new Date(0)).day,
    pseudonyms: pseudonyms.slice(0, LISTED_LOOKS_MAX),
    count,
    looks: acts.slice(0, LISTED_LOOKS_MAX).map(({ leafIndex, at, caseId, via, pseudonym }) => ({ index: leafIndex ?? 0, at: at.toISOString(), requestId: caseId, via, pseudonym })),
  };
}

const distinct = (of: (act: LookAct) => string) => (acts: readonly LookAct[]): number => new Set(acts.map(of)).size;
const perDay = (act: LookAct, dayOf: DayOf): string => `${act.pseudonym} ${dayOf(act.at).day}`;

/**
 * The rules as they are published. Each says what was met; none weighs a person, and nothing follows from them by itself.
 */
export const LOOK_RULES: readonly Rule[] = [
  rule('many-looks', 150, 'One person looked at 150 or more reports in a day, by whatever way.', grouped('many-looks', 150, perDay, distinct(({ caseId }) => caseId))),
  rule('nobody-works-on-it', 5, 'One person opened 5 or more reports in a day that nobody was working on, one by one or by search.', grouped('nobody-works-on-it', 5, (act, dayOf) => (act.assigned || act.via === 'list' || act.via === 'export' ? null : perDay(act, dayOf)), distinct(({ caseId }) => caseId))),
  rule('own-name', 1, 'Somebody looked at a report whose contact data bears their own whole name.', grouped('own-name', 1, (act, dayOf) => (act.ownName ? perDay(act, dayOf) : null), (acts) => acts.length)),
  rule('own-surname', 1, 'Somebody looked at a report whose contact data bears their own surname: perhaps of their household.', grouped('own-surname', 1, (act, dayOf) => (act.ownSurname && !act.ownName ? perDay(act, dayOf) : null), (acts) => acts.length)),
  rule('many-eyes', 4, 'Four or more people opened the same report within a week, one by one or by search.', findManyEyes),
  rule('at-night', 3, 'A person outside the control room opened 3 or more reports between 22 and 6 o’clock of one night.', grouped('at-night', 3, (act, dayOf) => (act.position !== 'operator' && act.position !== 'supervisor' && dayOf(act.at).night !== null ? `${act.pseudonym} ${dayOf(act.at).night ?? ''}` : null), distinct(({ caseId }) => caseId))),
  rule('name-search', 5, 'One person made 5 or more searches in a day by name, e-mail address or telephone number that found something.', grouped('name-search', 5, (act, dayOf) => (act.searchBy !== null && act.searchBy !== 'words' ? perDay(act, dayOf) : null), distinct(({ actId }) => actId))),
  rule('same-words', 8, 'One person gave the same sentence as the reason of 8 or more acts in a day.', grouped('same-words', 8, (act, dayOf) => `${perDay(act, dayOf)} ${act.reasonMac.toString('hex')}`, distinct(({ actId }) => actId))),
];

/** Many people, one report, any seven days in a row. */
function findManyEyes(acts: readonly LookAct[], dayOf: DayOf): LookAlert[] {
  const cases = new Map<string, LookAct[]>();
  for (const act of acts) {
    if (act.via === 'list' || act.via === 'export') continue;
    const group = cases.get(act.caseId);
    if (group) group.push(act);
    else cases.set(act.caseId, [act]);
  }
  return [...cases.values()].flatMap((group) => {
    let from = 0;
    for (let to = 0; to < group.length; to += 1) {
      while ((group[to]?.at.getTime() ?? 0) - (group[from]?.at.getTime() ?? 0) > 7 * DAY_MS) from += 1;
      const week = group.slice(from, to + 1);
      if (new Set(week.map(({ pseudonym }) => pseudonym)).size >= 4) return [alertOf('many-eyes', group.filter(({ at }) => at >= (week[0]?.at ?? at)), new Set(group.map(({ pseudonym }) => pseudonym)).size, dayOf)];
    }
    return [];
  });
}

/** Every alert of these looks, which stand in the order of time. */
export function findAlerts(acts: readonly LookAct[], timeZone: string): LookAlert[] {
  const dayOf = newDayCounter(timeZone);
  return LOOK_RULES.flatMap(({ find }) => find(acts, dayOf));
}
