import { sql, type ColumnType, type Generated, type JSONColumnType, type Selectable } from 'kysely';
import type { Outcome } from '../contracts/incident.ts';
import type { RequestState } from '../contracts/request.ts';
import type { LonLat } from '../kernel/index.ts';
import type { Database, DatabaseHandle, Trx } from '../platform/index.ts';
import type { Answers } from './answers.ts';

interface RequestTable {
  id: string;
  seq: Generated<number>;
  service_code: string;
  state: RequestState;
  language: string;
  source: 'portal' | 'georeport';
  /** Empty: words are sealed. */
  description: string;
  /** Structured answers. */
  attributes: JSONColumnType<Answers>;
  word_fields: ColumnType<string[], string[], string[]>;
  public_answers: JSONColumnType<Answers> | null;
  /** False for rows of before words were sealed, until the next start. */
  parted: ColumnType<boolean, boolean, boolean>;
  address: string;
  address_id: string | null;
  lon: number;
  lat: number;
  listed: boolean;
  published: Generated<boolean>;
  public_description: string | null;
  public_address: string | null;
  public_lon: number;
  public_lat: number;
  outcome: Outcome | null;
  sentence: string | null;
  filed_at: Date;
  updated_at: Date;
  expected_at: Date | null;
  closed_at: Date | null;
  contact_fields: ColumnType<string[], string[], string[]>;
  incident_id: string | null;
  incident_number: number | null;
  applied_seq: Generated<number>;
  /** The resident's page says nothing of looks by itself. */
  quiet: Generated<boolean>;
  idempotency_hash: string | null;
  fingerprint: string | null;
  /** Purpose it was filed under; null for rows of before, until the next start. */
  purpose: string | null;
  /** When what the resident wrote was erased; the row stays for the figures. */
  erased_at: Date | null;
}
export type RequestRow = Selectable<RequestTable>;

interface NoteTable {
  request_id: string;
  seq: number;
  at: Date;
  state: RequestState;
  kind: 'filed' | 'progress' | 'closed' | 'reopened_by_city' | 'reopened_by_resident';
  outcome: Outcome | null;
  /** Null when it is a resident's: then it stands sealed. */
  sentence: string | null;
  sealed: boolean;
}
export type NoteRow = Selectable<NoteTable>;

// a type, not an interface: kysely's withTables() asks for an index signature
type RequestTables = {
  request: RequestTable;
  request_note: NoteTable;
  request_token: { token_hash: string; request_id: string; made_at: Date };
  catalogue_version: { hash: string; since: Date };
};

export type NewRequest = Omit<RequestRow, 'seq' | 'published' | 'public_description' | 'public_answers' | 'outcome' | 'sentence' | 'updated_at' | 'closed_at' | 'incident_id' | 'incident_number' | 'applied_seq' | 'parted' | 'erased_at'>;

/** What a public list asks for; every bound is inclusive and every part optional. */
export interface PublicFilter {
  readonly ids?: readonly string[];
  readonly serviceCodes?: readonly string[];
  readonly closed?: boolean;
  readonly filedFromMs?: number;
  readonly filedBeforeMs?: number;
  readonly updatedFromMs?: number;
  readonly updatedBeforeMs?: number;
  /** west, south, east, north on the public coordinates. */
  readonly box?: readonly [number, number, number, number];
  /** Goes on after this position of the order. */
  readonly after?: Position;
  readonly skip?: number;
  readonly limit: number;
}

/** A place in the one order of all lists: by time of filing, then by `seq`. */
export interface Position {
  readonly filedMs: number;
  readonly seq: number;
}

export interface StaffFilter {
  readonly state?: RequestState;
  readonly serviceCode?: string;
  readonly published?: boolean;
  readonly beforeSeq?: number;
  readonly limit: number;
}

export interface Change {
  readonly state: RequestState;
  readonly kind: NoteRow['kind'];
  readonly outcome: Outcome | null;
  /** The closing sentence. */
  readonly sentence: string | null;
  /** Whether a sentence of a resident stands sealed for it. */
  readonly sealed?: boolean;
}

const FILING_LOCK = 7_305_001;

/** The only SQL of services. */
export function createRequestStore(handle: DatabaseHandle) {
  const db = handle.db.withTables<RequestTables>();
  const on = (trx: Trx) => trx.withTables<RequestTables>();

  return {
    inTransaction: <T>(work: (trx: Trx) => Promise<T>): Promise<T> => handle.db.transaction().execute(work),

    /** One filing at a time until commit, so that the order of `seq` and of `filed_at` is the order of commits and no page skips a late one. */
    lockFiling: async (trx: Trx): Promise<void> => void (await sql`select pg_advisory_xact_lock(${FILING_LOCK})`.execute(trx)),

    insert: async (trx: Trx, request: NewRequest, tokenHash: string): Promise<void> => {
      const { contact_fields, word_fields, attributes, ...rest } = request;
      await on(trx)
        .insertInto('request')
        .values({ ...rest, contact_fields: [...contact_fields], word_fields: [...word_fields], attributes: JSON.stringify(attributes), updated_at: request.filed_at, public_description: null, public_answers: null, parted: true, outcome: null, sentence: null, closed_at: null, incident_id: null, incident_number: null, erased_at: null })
        .execute();
      await on(trx).insertInto('request_note').values({ request_id: request.id, seq: 1, at: request.filed_at, state: request.state, kind: 'filed', outcome: null, sentence: null, sealed: false }).execute();
      await on(trx).insertInto('request_token').values({ token_hash: tokenHash, request_id: request.id, made_at: request.filed_at }).execute();
    },

    findByIdempotency: (trx: Trx, hash: string): Promise<RequestRow | undefined> => on(trx).selectFrom('request').selectAll().where('idempotency_hash', '=', hash).executeTakeFirst(),

    findByToken: (tokenHash: string): Promise<RequestRow | undefined> =>
      db.selectFrom('request_token').innerJoin('request', 'request.id', 'request_token.request_id').selectAll('request').where('request_token.token_hash', '=', tokenHash).executeTakeFirst(),

    find: (id: string): Promise<RequestRow | undefined> => db.selectFrom('request').selectAll().where('id', '=', id).executeTakeFirst(),

    lock: (trx: Trx, id: string): Promise<RequestRow | undefined> => on(trx).selectFrom('request').selectAll().where('id', '=', id).forUpdate().executeTakeFirst(),

    /** Moves the request and writes its history; gives the number of the new entry. The table itself refuses a closed state without outcome and sentence. */
    change: async (trx: Trx, request: RequestRow, change: Change, at: Date): Promise<number> => {
      const closing = change.kind === 'closed';
      await on(trx)
        .updateTable('request')
        .set({ state: change.state, outcome: closing ? change.outcome : null, sentence: closing ? change.sentence : null, closed_at: closing ? at : null, updated_at: at })
        .where('id', '=', request.id)
        .execute();
      const last = await on(trx).selectFrom('request_note').select(({ fn }) => fn.max('seq').as('seq')).where('request_id', '=', request.id).executeTakeFirstOrThrow();
      const seq = Number(last.seq) + 1;
      await on(trx).insertInto('request_note').values({ request_id: request.id, seq, at, state: change.state, kind: change.kind, outcome: change.outcome, sentence: change.sentence, sealed: change.sealed ?? false }).execute();
      return seq;
    },

    setIncident: async (trx: Trx, id: string, incident: { id: string; number: number }, appliedSeq: number): Promise<void> =>
      void (await on(trx).updateTable('request').set({ incident_id: incident.id, incident_number: incident.number, applied_seq: appliedSeq }).where('id', '=', id).execute()),

    publish: async (trx: Trx, id: string, published: boolean, text: { description: string | null; answers: Answers | null }, at: Date): Promise<void> =>
      void (await on(trx).updateTable('request').set({ published, public_description: text.description, public_answers: text.answers === null ? null : JSON.stringify(text.answers), updated_at: at }).where('id', '=', id).execute()),

    notesOf: (ids: readonly string[]): Promise<NoteRow[]> =>
      ids.length === 0 ? Promise.resolve([]) : db.selectFrom('request_note').selectAll().where('request_id', 'in', [...ids]).orderBy('request_id').orderBy('seq').execute(),

    listPublic: (filter: PublicFilter): Promise<RequestRow[]> => listPublic(handle.db, filter),

    /** Open listed requests of the service inside the box. */
    listOpenNear: (serviceCode: string, box: readonly [number, number, number, number], limit: number): Promise<RequestRow[]> =>
      db
        .selectFrom('request')
        .selectAll()
        .where('listed', '=', true)
        .where('closed_at', 'is', null)
        .where('service_code', '=', serviceCode)
        .where('public_lon', '>=', box[0])
        .where('public_lat', '>=', box[1])
        .where('public_lon', '<=', box[2])
        .where('public_lat', '<=', box[3])
        .limit(limit)
        .execute(),

    /** Newest first, by keyset. */
    listForStaff: (filter: StaffFilter): Promise<RequestRow[]> => {
      let query = db.selectFrom('request').selectAll().orderBy('seq', 'desc').limit(filter.limit);
      if (filter.state !== undefined) query = query.where('state', '=', filter.state);
      if (filter.serviceCode !== undefined) query = query.where('service_code', '=', filter.serviceCode);
      if (filter.published !== undefined) query = query.where('published', '=', filter.published);
      if (filter.beforeSeq !== undefined) query = query.where('seq', '<', filter.beforeSeq);
      return query.execute();
    },

    /** Ids of rows that still hold words in the clear. */
    listClear: (limit: number): Promise<string[]> => listClear(handle.db, limit),

    listClearReasons: async (trx: Trx, id: string): Promise<{ seq: number; sentence: string }[]> => {
      const rows = await on(trx).selectFrom('request_note').select(['seq', 'sentence']).where('request_id', '=', id).where('kind', '=', 'reopened_by_resident').where('sentence', 'is not', null).execute();
      return rows.map(({ seq, sentence }) => ({ seq, sentence: sentence ?? '' }));
    },

    /** Blanks what was sealed in the same transaction. */
    blank: async (trx: Trx, id: string, structured: Answers, wordFields: readonly string[], noteSeqs: readonly number[]): Promise<void> => {
      await on(trx).updateTable('request').set({ description: '', attributes: JSON.stringify(structured), word_fields: [...wordFields], parted: true }).where('id', '=', id).execute();
      if (noteSeqs.length > 0) await on(trx).updateTable('request_note').set({ sentence: null, sealed: true }).where('request_id', '=', id).where('seq', 'in', [...noteSeqs]).execute();
    },

    /** Rewrites the tables, so that no page of a file keeps what was blanked. */
    rewrite: async (): Promise<void> => {
      await sql`vacuum full request`.execute(handle.db);
      await sql`vacuum full request_note`.execute(handle.db);
      // the migration blanked words there too
      await sql`vacuum full incident_log`.execute(handle.db);
      await sql`vacuum full event`.execute(handle.db);
      await sql`checkpoint`.execute(handle.db);
    },

    /** In the order of filing. */
    listForExport: (scope: { from: Date; to: Date; state?: RequestState; serviceCode?: string; limit: number }): Promise<RequestRow[]> => {
      let query = db.selectFrom('request').selectAll().where('filed_at', '>=', scope.from).where('filed_at', '<', scope.to).orderBy('filed_at').orderBy('seq').limit(scope.limit);
      if (scope.state !== undefined) query = query.where('state', '=', scope.state);
      if (scope.serviceCode !== undefined) query = query.where('service_code', '=', scope.serviceCode);
      return query.execute();
    },

    listByIds: (ids: readonly string[]): Promise<RequestRow[]> => (ids.length === 0 ? Promise.resolve([]) : db.selectFrom('request').selectAll().where('id', 'in', [...ids]).execute()),

    /** When this version of the catalogue was first served; notes it on first sight. */
    catalogueSince: async (hash: string, now: Date): Promise<Date> => {
      const newest = await db.selectFrom('catalogue_version').selectAll().orderBy('since', 'desc').limit(1).executeTakeFirst();
      if (newest?.hash === hash) return newest.since;
      // an earlier version that returns is a new change, so its time moves on
      const row = await db.insertInto('catalogue_version').values({ hash, since: now }).onConflict((conflict) => conflict.column('hash').doUpdateSet({ since: now })).returning('since').executeTakeFirstOrThrow();
      return row.since;
    },
  };
}
export type RequestStore = ReturnType<typeof createRequestStore>;

/** A row counts as clear while it holds a text, an answer that was never parted, or a resident's sentence. */
async function listClear(db: Database, limit: number): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`select id from request where not parted or description <> ''
    union select request_id from request_note where kind = 'reopened_by_resident' and sentence is not null order by 1 limit ${limit}`.execute(db);
  return rows.map(({ id }) => id);
}

function listPublic(db: Database, filter: PublicFilter): Promise<RequestRow[]> {
  let query = db.withTables<RequestTables>().selectFrom('request').selectAll().where('listed', '=', true).orderBy('filed_at').orderBy('seq').limit(filter.limit);
  const at = (ms: number): Date => new Date(ms);
  if (filter.ids !== undefined) query = query.where('id', 'in', [...filter.ids]);
  if (filter.serviceCodes !== undefined) query = query.where('service_code', 'in', [...filter.serviceCodes]);
  if (filter.closed !== undefined) query = query.where('closed_at', filter.closed ? 'is not' : 'is', null);
  if (filter.filedFromMs !== undefined) query = query.where('filed_at', '>=', at(filter.filedFromMs));
  if (filter.filedBeforeMs !== undefined) query = query.where('filed_at', '<', at(filter.filedBeforeMs));
  if (filter.updatedFromMs !== undefined) query = query.where('updated_at', '>=', at(filter.updatedFromMs));
  if (filter.updatedBeforeMs !== undefined) query = query.where('updated_at', '<', at(filter.updatedBeforeMs));
  const after = filter.after;
  if (after !== undefined) query = query.where((eb) => eb(eb.refTuple('filed_at', 'seq'), '>', eb.tuple(at(after.filedMs), after.seq)));
  const box = filter.box;
  if (box !== undefined) query = query.where('public_lon', '>=', box[0]).where('public_lat', '>=', box[1]).where('public_lon', '<=', box[2]).where('public_lat', '<=', box[3]);
  if (filter.skip !== undefined && filter.skip > 0) query = query.offset(filter.skip);
  return query.execute();
}

export const pointOf = (row: RequestRow): LonLat => [row.lon, row.lat];
