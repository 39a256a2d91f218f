import { z } from 'zod';
import { Approval } from '../../contracts/approval.ts';
import { Disclosure, DisclosureRequest, ExtensionProposal, ExtensionRequest, LookFigures, SealedCounts, SealedEntries } from '../../contracts/looks.ts';
import { Refused, unwrap, type Clock } from '../../kernel/index.ts';
import type { DatabaseHandle, Http } from '../../platform/index.ts';
import type { Approvals } from '../approvals/approvals.ts';
import { readFigures } from './figures.ts';
import { findNameOf } from './looks-store.ts';
import type { SealedLooks } from './sealed-looks.ts';

const DAY_MS = 24 * 3_600_000;
const SPAN_MAX_MS = 93 * DAY_MS;
/** Below zero in a log that was put aside (contracts/tlog/place.ts). */
const Index = z.object({ index: z.coerce.number().int().min(Number.MIN_SAFE_INTEGER).max(Number.MAX_SAFE_INTEGER) });
const FiguresQuery = z.object({ from: z.iso.datetime({ offset: true }).optional(), to: z.iso.datetime({ offset: true }).optional() });

export interface LooksRoutesDeps {
  readonly handle: DatabaseHandle;
  readonly clock: Clock;
  readonly approvals: Approvals;
  /** IANA name; days and nights of the figures are the city's. */
  readonly timeZone: string;
  readonly sealed: SealedLooks;
}

/** Figures for the data protection officer, the public count of sealed looks, and the name behind a pseudonym, which takes two people. */
export function registerLooksRoutes(http: Http, { handle, clock, approvals, timeZone, sealed }: LooksRoutesDeps): void {
  http.get('/api/looks/figures', { config: { action: 'audit.read' }, schema: { querystring: FiguresQuery, response: { 200: LookFigures } } }, (request) => {
    const toMs = request.query.to === undefined ? clock.nowMs() + 1 : Date.parse(request.query.to);
    const fromMs = request.query.from === undefined ? toMs - 30 * DAY_MS : Date.parse(request.query.from);
    if (fromMs >= toMs || toMs - fromMs > SPAN_MAX_MS) throw new Refused({ code: 'http.invalid', detail: 'The time goes from a moment to a later one, at most 93 days.', field: 'from' });
    return readFigures(handle.db, { fromMs, toMs, timeZone });
  });

  http.get('/api/looks/sealed', { config: { action: 'public' }, schema: { response: { 200: SealedCounts } } }, () => sealed.counts());
  http.get('/api/looks/sealed/entries', { config: { action: 'approvals.read' }, schema: { response: { 200: SealedEntries } } }, () => sealed.entries());

  http.post('/api/looks/sealed/:index/extension/proposals', { config: { action: 'requests.look', stepUp: true }, schema: { params: Index, body: ExtensionProposal, response: { 201: Approval } } }, async (request, reply) =>
    reply.code(201).send(unwrap(await sealed.proposeExtension(request.principal, request.params.index, request.body.until, request.body.reason))),
  );
  http.post('/api/looks/sealed/:index/extension', { config: { action: 'requests.look', stepUp: true }, schema: { params: Index, body: ExtensionRequest, response: { 200: z.object({ index: z.number().int() }) } } }, async (request) => unwrap(await sealed.extend(request.params.index, request.body.until, request.body.approval)));

  http.post('/api/looks/disclosures', { config: { action: 'audit.read' }, schema: { body: DisclosureRequest, response: { 201: Approval } } }, async (request, reply) => {
    const { pseudonym, reason } = request.body;
    if ((await findNameOf(handle.db, pseudonym)) === undefined) throw new Refused({ code: 'http.not-found', detail: 'No person of this city has this pseudonym.', field: 'pseudonym' });
    return reply.code(201).send(unwrap(await approvals.propose(request.principal, 'identity.disclose', pseudonym, { pseudonym }, reason)));
  });

  http.post('/api/looks/disclosures/:approval', { config: { action: 'audit.read' }, schema: { params: z.object({ approval: z.string().max(64) }), response: { 200: Disclosure } } }, async (request, reply) => {
    const proposal = await approvals.get(request.params.approval);
    if (proposal === undefined || proposal.act !== 'identity.disclose' || proposal.proposer.pseudonym !== request.principal.pseudonym) throw new Refused({ code: 'http.not-found', detail: 'You have proposed no such disclosure.', field: 'approval' });
    const pseudonym = proposal.subject;
    const name = await handle.db.transaction().execute(async (trx) => {
      unwrap(await approvals.spend(trx, request.params.approval, 'identity.disclose', pseudonym, { pseudonym }));
      return findNameOf(trx, pseudonym);
    });
    if (name === undefined) throw new Refused({ code: 'http.not-found', detail: 'The account is gone.', field: 'pseudonym' });
    reply.header('cache-control', 'no-store');
    return { pseudonym, name };
  });
}
