import { sql, type JSONColumnType, type RawBuilder, type Selectable } from 'kysely';
import type { Actor, Incident, IncidentChanged, IncidentDetail, IncidentState, LogEntry } from '../contracts/incident.ts';
import { Refused, assert, isoOf, type Clock } from '../kernel/index.ts';
import type { Bus, DatabaseHandle, Trx } from '../platform/index.ts';
import { advance, replay, summaryOf, type Change, type IncidentRecord } from './incident.ts';

type Tables = {
  incident: {
    id: string;
    number: number;
    origin: string;
    kind: string;
    place_id: number | null;
    lon: number;
    lat: number;
    state: string;
    opened_at: Date;
    updated_at: Date;
    closed_at: Date | null;
    head_seq: number;
  };
  incident_log: {
    incident_id: string;
    seq: number;
    at: Date;
    kind: string;
    author: JSONColumnType<Actor> | null;
    text: string;
    body: JSONColumnType<object>;
    picture: JSONColumnType<Incident>;
    idempotency_key: string | null;
    idempotency_act: string | null;
    cause_seq: number | null;
  };
  incident_member: { kind: MemberKind; ref: string; incident_id: string; why: string; joined_at: Date };
};
type MemberKind = 'warning' | 'request';
type LogRow = Pick<Selectable<Tables['incident_log']>, 'at' | 'kind' | 'author' | 'text' | 'body'>;

/** Who appends, and what makes a repetition recognisable. */
export interface Cause {
  readonly author: Actor | null;
  /** Idempotency-Key with the act as it was sent. */
  readonly idempotency?: { readonly key: string; readonly act: string } | undefined;
  /** Bus event that caused the entry. */
  readonly busSeq?: number;
  /** Place of the warning that opens an incident. */
  readonly placeId?: number;
}

/** One transaction on incidents. Rows are locked before the bus is, in every unit, so that no two wait for each other. */
export interface IncidentUnit {
  /** Held until commit: openings come one after the other, so that the same cause never opens two. */
  lockOpening(): Promise<void>;
  nextNumber(): Promise<number>;
  /** Reads and locks one incident by id or by number. */
  load(ref: string): Promise<IncidentDetail | null>;
  /** Newest incident that is not closed, of this rule at this place. */
  findOpenAtPlace(kind: string, placeId: number): Promise<IncidentDetail | null>;
  /** Incidents that are not closed, of this kind, inside the box; at most 100. */
  findOpenInBox(kind: string, box: { west: number; south: number; east: number; north: number }): Promise<{ id: string; point: [number, number] }[]>;
  incidentOf(kind: MemberKind, ref: string): Promise<string | null>;
  hasCause(busSeq: number): Promise<boolean>;
  /** What the author's earlier act with this key was, and the picture that it left. */
  findRepeat(authorId: string, key: string): Promise<{ act: string; detail: IncidentDetail } | null>;
  /** Appends one entry, updates what queries look for, and publishes `incident.changed`, all or nothing. */
  append(before: IncidentDetail | null, change: Change, cause: Cause): Promise<IncidentDetail>;
}

export interface HistoryFilter {
  readonly state?: IncidentState | undefined;
  readonly kind?: string | undefined;
  readonly before?: { readonly updatedMs: number; readonly number: number } | undefined;
  readonly limit: number;
}

export interface IncidentStore {
  /** Runs `work` in one transaction; when it resolves, what it appended survives kill -9. A clash of keys throws `Refused`. */
  transact<T>(work: (unit: IncidentUnit) => Promise<T>): Promise<T>;
  /** The incident as it stood at `atMs`; null when it does not exist or did not yet. */
  readDetail(ref: string, atMs: number): Promise<IncidentDetail | null>;
  /** Every incident that was not closed at `atMs`, at most OPEN_MAX, unsorted. */
  readOpen(atMs: number): Promise<Incident[]>;
  /** How many were closed at or after `sinceMs` and still were at `atMs`. */
  countClosed(sinceMs: number, atMs: number): Promise<number>;
  readHistory(filter: HistoryFilter): Promise<Incident[]>;
}

export const OPEN_MAX = 10_000;
const OPENING_LOCK = 7_301_040;
const UNIQUE_VIOLATION = '23505';

export function createIncidentStore(handle: DatabaseHandle, bus: Bus, clock: Clock): IncidentStore {
  const db = handle.db.withTables<Tables>();
  return {
    transact: async (work) => {
      try {
        return await handle.db.transaction().execute((trx) => work(unitOf(trx, bus, clock)));
      } catch (error) {
        const { code, constraint } = error as { code?: string; constraint?: string };
        if (code === UNIQUE_VIOLATION && constraint === 'incident_log_idempotency') {
          throw new Refused({ code: 'http.conflict', detail: 'This Idempotency-Key was used for another act at the same moment.', field: 'idempotency-key' });
        }
        throw error;
      }
    },
    readDetail: async (ref, atMs) => {
      const row = await db.selectFrom('incident').select('id').where(matches(ref)).executeTakeFirst();
      if (row === undefined) return null;
      const rows = await db.selectFrom('incident_log').select(LOG_COLUMNS).where('incident_id', '=', row.id).where('at', '<=', new Date(atMs)).orderBy('seq').execute();
      return replay(rows.map(recordOf));
    },
    readOpen: async (atMs) => {
      const at = new Date(atMs);
      const { rows } = await sql<{ picture: Incident }>`
        select then_.picture from incident i
        cross join lateral (select l.picture from incident_log l where l.incident_id = i.id and l.at <= ${at} order by l.seq desc limit 1) then_
        where i.opened_at <= ${at} and (i.state <> 'closed' or i.updated_at > ${at}) and then_.picture ->> 'state' <> 'closed'
        limit ${OPEN_MAX}`.execute(db);
      return rows.map(({ picture }) => picture);
    },
    countClosed: async (sinceMs, atMs) => {
      const at = new Date(atMs);
      const { rows } = await sql<{ closed: number }>`
        select count(*)::int as closed
        from (select distinct incident_id from incident_log where kind = 'closed' and at >= ${new Date(sinceMs)} and at <= ${at}) c
        cross join lateral (select l.picture from incident_log l where l.incident_id = c.incident_id and l.at <= ${at} order by l.seq desc limit 1) then_
        where then_.picture ->> 'state' = 'closed'`.execute(db);
      return rows[0]?.closed ?? 0;
    },
    readHistory: async ({ state, kind, before, limit }) => {
      let query = db
        .selectFrom('incident')
        .innerJoin('incident_log', (join) => join.onRef('incident_log.incident_id', '=', 'incident.id').onRef('incident_log.seq', '=', 'incident.head_seq'))
        .select('incident_log.picture')
        .orderBy('incident.updated_at', 'desc')
        .orderBy('incident.number', 'desc')
        .limit(limit);
      if (state !== undefined) query = query.where('incident.state', '=', state);
      if (kind !== undefined) query = query.where('incident.kind', '=', kind);
      if (before !== undefined) query = query.where(sql<boolean>`(incident.updated_at, incident.number) < (${new Date(before.updatedMs)}, ${before.number})`);
      return (await query.execute()).map(({ picture }) => picture);
    },
  };
}

const LOG_COLUMNS = ['at', 'kind', 'author', 'text', 'body'] as const;

function unitOf(plain: Trx, bus: Bus, clock: Clock): IncidentUnit {
  const trx = plain.withTables<Tables>();
  const readLog = async (id: string, lastSeq?: number): Promise<IncidentDetail | null> => {
    let query = trx.selectFrom('incident_log').select(LOG_COLUMNS).where('incident_id', '=', id).orderBy('seq');
    if (lastSeq !== undefined) query = query.where('seq', '<=', lastSeq);
    return replay((await query.execute()).map(recordOf));
  };
  const load = async (ref: string): Promise<IncidentDetail | null> => {
    const row = await trx.selectFrom('incident').select('id').where(matches(ref)).forUpdate().executeTakeFirst();
    return row === undefined ? null : readLog(row.id);
  };
  return {
    lockOpening: async () => void (await sql`select pg_advisory_xact_lock(${OPENING_LOCK})`.execute(trx)),
    nextNumber: async () =>
      ((
        await trx
          .selectFrom('incident')
          .select(({ fn }) => fn.max('number').as('last'))
          .executeTakeFirst()
      )?.last ?? 0) + 1,
    load,
    findOpenAtPlace: async (kind, placeId) => {
      const row = await trx
        .selectFrom('incident')
        .select('id')
        .where('kind', '=', kind)
        .where('place_id', '=', placeId)
        .where('state', '<>', 'closed')
        .orderBy('number', 'desc')
        .limit(1)
        .forUpdate()
        .executeTakeFirst();
      return row === undefined ? null : readLog(row.id);
    },
    findOpenInBox: async (kind, { west, south, east, north }) => {
      const rows = await trx
        .selectFrom('incident')
        .select(['id', 'lon', 'lat'])
        .where('kind', '=', kind)
        .where('state', '<>', 'closed')
        .where('lon', '>=', west)
        .where('lon', '<=', east)
        .where('lat', '>=', south)
        .where('lat', '<=', north)
        .orderBy('number')
        .limit(100)
        .execute();
      return rows.map(({ id, lon, lat }) => ({ id, point: [lon, lat] }));
    },
    incidentOf: async (kind, ref) =>
      (await trx.selectFrom('incident_member').select('incident_id').where('kind', '=', kind).where('ref', '=', ref).executeTakeFirst())?.incident_id ?? null,
    hasCause: async (busSeq) => (await trx.selectFrom('incident_log').select('seq').where('cause_seq', '=', busSeq).executeTakeFirst()) !== undefined,
    findRepeat: async (authorId, key) => {
      const row = await trx
        .selectFrom('incident_log')
        .select(['incident_id', 'seq', 'idempotency_act'])
        .where(sql<boolean>`author ->> 'id' = ${authorId}`)
        .where('idempotency_key', '=', key)
        .executeTakeFirst();
      if (row === undefined) return null;
      const detail = await readLog(row.incident_id, row.seq);
      assert(detail !== null, 'an entry with a key belongs to an incident');
      return { act: row.idempotency_act ?? '', detail };
    },
    append: (before, change, cause) => append(plain, { bus, clock, before, change, cause }),
  };
}

async function append(
  plain: Trx,
  { bus, clock, before, change, cause }: { bus: Bus; clock: Clock; before: IncidentDetail | null; change: Change; cause: Cause },
): Promise<IncidentDetail> {
  const trx = plain.withTables<Tables>();
  // never before the entry that it follows, even when the clock of the machine steps back
  const atMs = Math.max(clock.nowMs(), before === null ? 0 : Date.parse(before.updatedAt));
  const at = new Date(atMs);
  const record: IncidentRecord = { ...change, at: isoOf(atMs), author: cause.author };
  const detail = advance(before, record);
  const picture = summaryOf(detail);
  const columns = { state: detail.state, updated_at: at, closed_at: detail.closedAt === null ? null : new Date(detail.closedAt), head_seq: detail.revision };
  if (before === null) {
    const [lon, lat] = detail.point;
    await trx
      .insertInto('incident')
      .values({ id: detail.id, number: detail.number, origin: detail.origin, kind: detail.kind, place_id: cause.placeId ?? null, lon, lat, opened_at: at, ...columns })
      .execute();
  } else {
    await trx.updateTable('incident').set(columns).where('id', '=', detail.id).execute();
  }
  const entry = detail.log.at(-1);
  assert(entry?.seq === detail.revision, 'the revision is the number of the last entry');
  await trx
    .insertInto('incident_log')
    .values({
      incident_id: detail.id,
      seq: entry.seq,
      at,
      kind: entry.kind,
      author: entry.author === null ? null : JSON.stringify(entry.author),
      text: entry.text,
      body: JSON.stringify(change.body),
      picture: JSON.stringify(picture),
      idempotency_key: cause.idempotency?.key ?? null,
      idempotency_act: cause.idempotency?.act ?? null,
      cause_seq: cause.busSeq ?? null,
    })
    .execute();
  const members = membersOf(change);
  if (members.length > 0)
    await trx
      .insertInto('incident_member')
      .values(members.map((member) => ({ ...member, incident_id: detail.id, joined_at: at })))
      .execute();
  const changed: IncidentChanged = { incident: picture, entry, requestIds: detail.requestList.map(({ requestId }) => requestId) };
  const raisedAt = warningBehind(change);
  if (raisedAt !== undefined) changed.warningRaisedAt = raisedAt;
  await bus.publish(plain, 'incident.changed', detail.id, changed);
  return detail;
}

function membersOf(change: Change): { kind: MemberKind; ref: string; why: string }[] {
  switch (change.kind) {
    case 'warning_joined':
      return [{ kind: 'warning', ref: change.body.warning.id, why: change.body.why }];
    case 'request_joined':
      return [{ kind: 'request', ref: change.body.request.requestId, why: change.body.why }];
    case 'opened': {
      const { warning, request } = change.body;
      const why = change.body.why ?? '';
      return [
        ...(warning === null ? [] : [{ kind: 'warning' as const, ref: warning.id, why }]),
        ...(request === null ? [] : [{ kind: 'request' as const, ref: request.requestId, why }]),
      ];
    }
    default:
      return [];
  }
}

function warningBehind(change: Change): string | undefined {
  if (change.kind === 'warning_joined') return change.body.warning.raisedAt;
  return change.kind === 'opened' ? change.body.warning?.raisedAt : undefined;
}

function recordOf({ at, kind, author, text, body }: LogRow): IncidentRecord {
  // written by append() from a Change of this kind and never changed since: the table refuses it
  return { kind: kind as LogEntry['kind'], text, body, at: isoOf(at.getTime()), author } as unknown as IncidentRecord;
}

const NUMBER = /^\d{1,9}$/;

function matches(ref: string): RawBuilder<boolean> {
  return NUMBER.test(ref) ? sql<boolean>`number = ${Number(ref)}` : sql<boolean>`id = ${ref}`;
}
