import rateLimit from '@fastify/rate-limit';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { Language } from '../contracts/common.ts';
import { KeptReport, KeptState } from '../contracts/resident.ts';
import { Refused, type Clock } from '../kernel/index.ts';
import type { Http } from '../platform/index.ts';
import { inLanguage, type Catalogue } from './catalogue.ts';
import type { HashSecret, ResidentDoor, TrustDoor } from './doors.ts';
import { limiterOptions } from './limiter.ts';
import { KEPT_MAX, type KeptReports, type KeptRow } from './kept-report-store.ts';
import type { RequestRow, RequestStore } from './request-store.ts';
import { toldLooks } from './told-looks.ts';

export interface MyDeps {
  readonly catalogue: Catalogue;
  readonly store: RequestStore;
  readonly kept: KeptReports;
  readonly trust: Pick<TrustDoor, 'cases' | 'looks' | 'publicLimits'>;
  readonly residents: ResidentDoor['residents'];
  readonly clock: Clock;
  readonly hashSecret: HashSecret;
  readonly ratePerMinute: { readonly read: number; readonly write: number };
}

const Secret = z.object({ token: z.string().max(100) });
const Id = z.object({ id: z.string().max(64) });
const Asked = z.object({ language: Language.optional() });

/**
 * The list that a signed-in resident keeps. A report comes into it by its secret link alone, and nothing here opens what is sealed:
 * the city holds no key of the list, so that a resident's own read stays with the link and every other read leaves a look.
 */
export async function registerMyReports(http: Http, deps: MyDeps): Promise<void> {
  const accountOf = async (request: FastifyRequest): Promise<string> => {
    const account = await deps.residents.accountOf(request);
    if (account === null) throw new Refused({ code: 'auth.resident-needed', detail: 'No session of a resident came with the request.' });
    return account;
  };
  await http.register(async (plain) => {
    await plain.register(rateLimit, limiterOptions(deps.trust, 'my'));
    const scope = plain as unknown as Http;
    const reading = { action: 'public' as const, rateLimit: { max: deps.ratePerMinute.read, timeWindow: 60_000 } };
    const writing = { action: 'public' as const, rateLimit: { max: deps.ratePerMinute.write, timeWindow: 60_000 } };
    scope.addHook('onSend', async (_request, reply) => void reply.header('cache-control', 'no-store'));

    scope.get('/api/my/reports', { config: reading, schema: { querystring: Asked, response: { 200: z.array(KeptReport) } } }, async (request) => {
      const rows = await deps.kept.list(await accountOf(request));
      return Promise.all(rows.map((row) => keptReportOf(deps, row, request.query.language)));
    });
    scope.get('/api/my/links/:token', { config: reading, schema: { params: Secret, response: { 200: KeptState } } }, async (request) => {
      const row = await findByToken(deps, request.params.token);
      const account = await deps.residents.accountOf(request);
      return { service: deps.residents.service?.label ?? null, signedIn: account !== null, kept: account !== null && (await deps.kept.isKept(account, row.id)) };
    });
    scope.post('/api/my/links/:token', { config: writing, schema: { params: Secret } }, async (request, reply) => {
      deps.residents.refuseForeignPage(request);
      const account = await accountOf(request);
      const { id } = await findByToken(deps, request.params.token);
      if (!(await deps.kept.keep(account, id, new Date(deps.clock.nowMs())))) throw new Refused({ code: 'http.conflict', detail: `A list holds ${KEPT_MAX} reports; take one out first.` });
      return reply.code(204).send();
    });
    scope.delete('/api/my/reports/:id', { config: writing, schema: { params: Id } }, async (request, reply) => {
      deps.residents.refuseForeignPage(request);
      if (!(await deps.kept.drop(await accountOf(request), request.params.id))) throw new Refused({ code: 'request.not-found', detail: 'Your list holds no such report.', field: 'id' });
      return reply.code(204).send();
    });
  });
}

async function findByToken(deps: MyDeps, token: string): Promise<RequestRow> {
  const row = await deps.store.findByToken(deps.hashSecret(token));
  if (row === undefined) throw new Refused({ code: 'request.not-found', detail: 'There is no report behind this link.', field: 'token' });
  return row;
}

async function keptReportOf({ catalogue, store, trust }: MyDeps, row: KeptRow, asked: Language | undefined): Promise<KeptReport> {
  const language = asked ?? catalogue.defaultLanguage;
  const service = catalogue.byCode(row.service_code);
  const isErased = row.erased_at !== null;
  const { shown, waiting } = isErased || row.quiet ? { shown: [], waiting: [] } : await toldLooks(trust, row.id, await store.notesOf([row.id]));
  return {
    requestId: row.id,
    serviceName: service === undefined ? row.service_code : inLanguage(service.name, language),
    state: row.state,
    address: row.address,
    filedAt: row.filed_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
    expectedAt: row.expected_at?.toISOString() ?? null,
    outcome: row.outcome,
    sentence: row.sentence,
    keptAt: row.kept_at.toISOString(),
    erased: isErased,
    quiet: row.quiet,
    looks: shown.map(({ index, at, position, department, pseudonym, purpose, reason, via }) => ({ index, at, position, department, pseudonym, purpose, reason, via })),
    looksWaiting: waiting.length,
  };
}
