import type { Position, Principal } from '../../contracts/principal.ts';
import { joinReason, type Look, type LookReason, type LookWay } from '../../contracts/trust.ts';
import { newId, ok, type Clock, type Random, type Result } from '../../kernel/index.ts';
import type { DatabaseHandle, Trx } from '../../platform/index.ts';
import type { Blinding, Token } from './blind.ts';
import { partLooks, type PartedLooks, type Told } from './delay.ts';
import { casesWith, countResidents, deleteActs, findCases, insertActs, replaceTokens, setActLeaves } from './looks-store.ts';

/** Who looks, why and how; the same for all that is shown at once. */
export interface LookingAct {
  readonly principal: Principal;
  /** In which of the principal's positions. */
  readonly position: Position;
  readonly purpose: string;
  readonly reasonCode: LookReason;
  readonly reason: string;
  readonly via: LookWay;
  readonly searchBy?: 'words' | 'name' | 'email' | 'phone';
  /** ISO 8601 instant; only after two people agreed to it. */
  readonly sealedUntil?: string;
}

export interface LookItem {
  readonly caseId: string;
  readonly record: string;
  readonly fields: readonly string[];
  /** Whether the report is being worked on, by the state of the case. */
  readonly assigned: boolean;
  /** By the city's catalogue, never by who looks; at once when left out. */
  readonly told?: Told;
}

export interface Shown {
  readonly caseId: string;
  readonly record: string;
  readonly plain: Readonly<Record<string, string>>;
  readonly look: Look;
}

/** The way to residents' data for everything that staff see: looks are noted for the figures, and records are found by keyed hashes. */
export interface Looks {
  /** Shows the fields of the records, each after a look of its own is durable. What was erased is left out. Refuses all when the log is away. */
  open(act: LookingAct, items: readonly LookItem[]): Promise<Result<Shown[]>>;
  /** What of a record can be searched for; replaces what there was. */
  index(trx: Trx, caseId: string, record: string, text: { readonly words?: string; readonly contact?: Readonly<Record<string, string>> }): Promise<void>;
  /** Cases that match whole words, a name, an address or a number, newest first. Shows nothing of them. */
  search(by: 'words' | 'name' | 'email' | 'phone', text: string, limit: number): Promise<{ caseId: string; record: string }[]>;
  /** Residents whose data this person has exported, or this token has read, in the last 24 hours. */
  countExported(pseudonym: string): Promise<number>;
  /** Which looks at the case its resident is told of by now, and how many wait; `steppedAt`: the newest step of the case. */
  tellable(caseId: string, looks: readonly Look[], steppedAt: Date): Promise<PartedLooks>;
  readonly blinding: Blinding;
}

interface CasesDoor {
  check(act: { principal: Principal; position: Position; purpose: string; reason: string }): Result<void>;
  openMany(
    act: { principal: Principal; position: Position; purpose: string; reason: string; via: LookWay; sealedUntil?: string },
    items: { caseId: string; record: string; fields: string[] }[],
  ): Promise<Result<{ caseId: string; plain: Record<string, string>; look: Look }[]>>;
}

export interface LooksOptions {
  readonly handle: DatabaseHandle;
  readonly clock: Clock;
  readonly random: Random;
  readonly cases: CasesDoor;
  readonly blinding: Blinding;
}

/** The broker takes no more items at once. */
const ITEMS_MAX = 200;
const DAY_MS = 86_400_000;
const ERASED: ReadonlySet<string> = new Set(['key.gone', 'request.not-found']);

export function createLooks(options: LooksOptions): Looks {
  const { handle, blinding, cases } = options;
  return {
    open: async (act, items) => {
      // also when there is nothing to show: whoever may not look does not learn from the answer whether there was something
      const may = cases.check({ ...act, reason: joinReason(act.reasonCode, act.reason.trim()) });
      if (!may.ok) return may;
      const shown: Shown[] = [];
      for (let from = 0; from < items.length; from += ITEMS_MAX) {
        const part = await openPart(options, act, items.slice(from, from + ITEMS_MAX));
        if (!part.ok) return part;
        shown.push(...part.value);
      }
      return ok(shown);
    },
    index: (trx, caseId, record, { words, contact }) => replaceTokens(trx, caseId, record, [...(words === undefined ? [] : blinding.ofWords(words)), ...(contact === undefined ? [] : blinding.ofContact(contact))]),
    search: (by, text, limit) => findCases(handle.db, blinding.ofQuery(by, text), limit),
    countExported: (pseudonym) => countResidents(handle.db, pseudonym, ['export', 'api'], new Date(options.clock.nowMs() - DAY_MS)),
    tellable: (caseId, looks, steppedAt) => partLooks(handle.db, { caseId, looks, steppedAt, nowMs: options.clock.nowMs() }),
    blinding,
  };
}

async function openPart(options: LooksOptions, act: LookingAct, items: readonly LookItem[]): Promise<Result<Shown[]>> {
  const whole = await openAll(options, act, items);
  if (whole.ok || !ERASED.has(whole.refusal.code) || items.length === 1) return whole;
  // one of them was erased: the others are shown one by one
  const shown: Shown[] = [];
  for (const item of items) {
    const one = await openAll(options, act, [item]);
    if (one.ok) shown.push(...one.value);
    else if (!ERASED.has(one.refusal.code)) return one;
  }
  return ok(shown);
}

async function openAll({ handle, clock, random, cases, blinding }: LooksOptions, act: LookingAct, items: readonly LookItem[]): Promise<Result<Shown[]>> {
  const at = clock.nowMs();
  const actId = newId<string>('lka', at, random);
  const { principal, position, purpose, via, sealedUntil } = act;
  const own = await findOwn(handle, blinding, principal, items);
  const reasonMac = Buffer.from(blinding.mac('reason', act.reason.trim().toLowerCase().replace(/\s+/g, ' ')), 'hex');
  await insertActs(
    handle.db,
    items.map(({ caseId, record, fields, assigned, told }) => ({
      actId,
      caseId,
      record,
      at: new Date(at),
      pseudonym: principal.pseudonym,
      department: principal.department ?? '',
      position,
      purpose,
      via,
      searchBy: act.searchBy ?? null,
      reasonMac,
      fields,
      assigned,
      ownName: own.name.has(caseId),
      ownSurname: own.surname.has(caseId),
      sealedUntil: sealedUntil === undefined ? null : new Date(sealedUntil),
      told: told ?? 'now',
      leafIndex: null,
    })),
  );
  const opened = await cases.openMany(
    { principal, position, purpose, reason: joinReason(act.reasonCode, act.reason.trim()), via, ...(sealedUntil !== undefined && { sealedUntil }) },
    items.map(({ caseId, record, fields }) => ({ caseId, record, fields: [...fields] })),
  );
  if (!opened.ok) {
    await deleteActs(handle.db, actId);
    return opened;
  }
  const shown = opened.value.map(({ caseId, plain, look }, at_) => ({ caseId, record: items[at_]?.record ?? '', plain, look }));
  await setActLeaves(handle.db, actId, shown.map(({ caseId, record, look }) => ({ caseId, record, index: look.index })));
  return ok(shown);
}

/** Reports whose contact data bears the name, or the surname, of the person who looks. Compared by keyed hash; nothing is opened for it. */
async function findOwn({ db }: DatabaseHandle, blinding: Blinding, principal: Principal, items: readonly LookItem[]): Promise<{ name: ReadonlySet<string>; surname: ReadonlySet<string> }> {
  const nobody: ReadonlySet<string> = new Set();
  if (principal.kind !== 'person') return { name: nobody, surname: nobody };
  const tokens = blinding.ofContact({ name: principal.name });
  const of = (kind: Token['kind']): Buffer[] => tokens.filter((each) => each.kind === kind).map(({ token }) => token);
  const caseIds = [...new Set(items.map(({ caseId }) => caseId))];
  const words = of('name');
  const [name, surname] = await Promise.all([words.length < 2 ? nobody : casesWith(db, caseIds, 'name', words, true), casesWith(db, caseIds, 'surname', of('surname'), true)]);
  return { name, surname };
}
