import rateLimit from '@fastify/rate-limit';
import { z } from 'zod';
import { ErasureReceipt } from '../contracts/keys.ts';
import type { AccessFile } from '../contracts/tlog/access.ts';
import type { Look } from '../contracts/trust.ts';
import { isoOf, Refused, unwrap, type Clock, type Result } from '../kernel/index.ts';
import type { Http } from '../platform/index.ts';
import type { HashSecret } from './doors.ts';
import type { Looks } from '../trust/index.ts';
import type { RequestStore } from './request-store.ts';
import { unpackReceipt } from './retention.ts';
import type { RetentionStore } from './retention-store.ts';
import { toldLooks } from './told-looks.ts';

/** What the record of looks needs of trust; `Trust` fits it. */
export interface AccessDoor {
  readonly cases: {
    looksOf(caseId: string): Promise<Look[]>;
    ownLogKey(caseId: string, ownerSecret: string): Promise<Result<string>>;
  };
  readonly looks: Pick<Looks, 'tellable'>;
  readonly log: {
    /** The leaf as it stands in the log, and its proof (C2SP tlog-proof); null for one of a log that was lost. */
    prove(place: number): Promise<{ leaf: string; proof: string } | null>;
    /** Verifier keys of the logs that were put aside. */
    oldKeys(): Promise<string[]>;
    status(): { readonly vkey: string };
  };
  /** Who witnesses the log (C2SP tlog-policy); null while nobody does. */
  witnessPolicy(): string | null;
}

export interface AccessDeps {
  readonly store: RequestStore;
  readonly retention: Pick<RetentionStore, 'readErasure'>;
  readonly trust: AccessDoor;
  readonly clock: Clock;
  readonly hashSecret: HashSecret;
  readonly cityName: string;
  readonly ratePerMinute: { readonly read: number };
}

/** GET /api/portal/requests/{token}/erasure: the receipt; GET /api/portal/requests/{token}/looks: the file that a resident keeps and `clerestory verify access` checks. */
export async function registerAccess(http: Http, deps: AccessDeps): Promise<void> {
  await http.register(async (plain) => {
    await plain.register(rateLimit, { global: false });
    const scope = plain as unknown as Http;
    scope.get('/api/portal/requests/:token/looks', { config: { action: 'public', rateLimit: { max: deps.ratePerMinute.read, timeWindow: 60_000 } }, schema: { params: z.object({ token: z.string().max(100) }) } }, async (request, reply) => {
      const file = await makeAccessFile(deps, request.params.token);
      reply.header('cache-control', 'no-store').header('content-disposition', `attachment; filename="looks-${file.requestId}.json"`);
      return file;
    });
    // what `clerestory verify erase` checks, once the register has ended the keeping of the report
    scope.get('/api/portal/requests/:token/erasure', { config: { action: 'public', rateLimit: { max: deps.ratePerMinute.read, timeWindow: 60_000 } }, schema: { params: z.object({ token: z.string().max(100) }), response: { 200: ErasureReceipt } } }, async (request, reply) => {
      const row = await deps.store.findByToken(deps.hashSecret(request.params.token));
      const receipt = row === undefined ? null : unpackReceipt((await deps.retention.readErasure(row.id))?.receipt ?? null);
      if (receipt === null) throw new Refused({ code: 'request.not-found', detail: 'There is no receipt of an erasure behind this link.', field: 'token' });
      reply.header('cache-control', 'no-store').header('content-disposition', `attachment; filename="erasure-${String(receipt.index)}.json"`);
      return receipt;
    });
  });
}

async function makeAccessFile({ store, trust, clock, hashSecret, cityName }: AccessDeps, token: string): Promise<AccessFile> {
  const row = await store.findByToken(hashSecret(token));
  if (row === undefined) throw new Refused({ code: 'request.not-found', detail: 'There is no report behind this link.', field: 'token' });
  const logKey = unwrap(await trust.cases.ownLogKey(row.id, token));
  const entries: AccessFile['entries'][number][] = [];
  const { shown, waiting } = await toldLooks(trust, row.id, await store.notesOf([row.id]));
  for (const look of shown) entries.push({ ...((await trust.log.prove(look.index)) ?? { leaf: '', proof: '' }), body: look.body, nonce: look.nonce });
  const oldVkeys = await trust.log.oldKeys();
  return { kind: 'clerestory-access', v: 1, city: cityName, requestId: row.id, madeAt: isoOf(clock.nowMs()), vkey: trust.log.status().vkey, ...(oldVkeys.length > 0 && { oldVkeys }), policy: trust.witnessPolicy(), logKey, entries, ...(waiting.length > 0 && { waiting }) };
}
