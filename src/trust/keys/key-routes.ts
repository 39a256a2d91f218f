import { z } from 'zod';
import { Approval } from '../../contracts/approval.ts';
import { CaseKeyState, ErasureProposal, ErasureReceipt, ErasureRequest, HoldList, KeyState, LegalHold, RotationProposal } from '../../contracts/keys.ts';
import type { Principal } from '../../contracts/principal.ts';
import { ok, Refused, unwrap } from '../../kernel/index.ts';
import type { DatabaseHandle, Http } from '../../platform/index.ts';
import type { Approvals } from '../approvals/approvals.ts';
import type { BrokerClient } from './broker-client.ts';
import { countByVersion, listHolds, readCaseState } from './case-store.ts';
import type { Cases } from './cases.ts';
import type { Roots } from './rotation.ts';

const CaseParams = z.object({ caseId: z.string().min(1).max(100) });
const ROOT = 'root key';

export interface KeyRoutesDeps {
  readonly handle: DatabaseHandle;
  readonly approvals: Approvals;
  readonly cases: Cases;
  readonly broker: BrokerClient;
  readonly roots: Roots;
  readonly windowDays: number;
}

/** How the keys lie; rotation of the root key and erasure of a case, which take two people each; legal holds. */
export function registerKeyRoutes(http: Http, { handle, approvals, cases, broker, roots, windowDays }: KeyRoutesDeps): void {
  approvals.on('key.rotate', async () => {
    const { version, rewrapped, destroyed } = await roots.rotate();
    return ok({ version, rewrapped, destroyed: [...destroyed] });
  });

  http.get('/api/keys', { config: { action: 'audit.read' }, schema: { response: { 200: KeyState } } }, async () => {
    const [{ protection, openings, roots: held }, used] = [await broker.refresh(), await countByVersion(handle.db)];
    const closed = (await cases.listSealed()).filter(({ revealed }) => !revealed).length; // these open too
    return { protection, versions: held.map(({ version }) => ({ version, cases: used.get(version) ?? 0 })), openings, looks: cases.count() + closed, windowDays };
  });

  http.post('/api/keys/rotations/proposals', { config: { action: 'approvals.decide', stepUp: true }, schema: { body: RotationProposal, response: { 201: Approval } } }, async (request, reply) => {
    const from = Math.max(...broker.state().roots.map(({ version }) => version));
    return reply.code(201).send(unwrap(await approvals.propose(request.principal, 'key.rotate', ROOT, { from }, request.body.reason)));
  });

  http.post('/api/keys/erasures/proposals', { config: { action: 'approvals.decide', stepUp: true }, schema: { body: ErasureProposal, response: { 201: Approval } } }, async (request, reply) => {
    const { caseId, reason } = request.body;
    unwrap(await cases.mayShred(caseId));
    return reply.code(201).send(unwrap(await approvals.propose(request.principal, 'case.shred', caseId, { caseId }, reason)));
  });

  // The receipt is given once, to who asked for the erasure, to be handed to the resident.
  http.post('/api/keys/erasures', { config: { action: 'approvals.decide', stepUp: true }, schema: { body: ErasureRequest, response: { 200: ErasureReceipt } } }, async (request, reply) => {
    const { approval } = request.body;
    const proposal = await approvals.get(approval);
    if (proposal === undefined || proposal.act !== 'case.shred' || proposal.proposer.pseudonym !== request.principal.pseudonym) throw new Refused({ code: 'http.not-found', detail: 'You have proposed no such erasure.', field: 'approval' });
    const caseId = proposal.subject;
    // the approval counts as used only if the case was erased
    const { receipt } = await handle.db.transaction().execute(async (trx) => {
      unwrap(await approvals.spend(trx, approval, 'case.shred', caseId, { caseId }));
      return unwrap(await cases.shred(caseId));
    });
    reply.header('cache-control', 'no-store').header('content-disposition', `attachment; filename="erasure-${String(receipt.index)}.json"`);
    return receipt;
  });

  http.get('/api/keys/cases/:caseId', { config: { action: 'approvals.read' }, schema: { params: CaseParams, response: { 200: CaseKeyState } } }, async (request) => {
    const { caseId } = request.params;
    const state = await readCaseState(handle.db, caseId);
    if (state === undefined) throw new Refused({ code: 'request.not-found', detail: 'No report of this number has a key.', field: 'caseId' });
    return { ...state, caseId, madeAt: state.madeAt.toISOString(), erasedAt: state.erasedAt?.toISOString() ?? null };
  });

  http.get('/api/keys/holds', { config: { action: 'audit.read' }, schema: { response: { 200: HoldList } } }, async () => ({ holds: (await listHolds(handle.db)).map(({ placedAt, ...hold }) => ({ ...hold, placedAt: placedAt.toISOString() })) }));
  http.put('/api/keys/holds/:caseId', { config: { action: 'audit.read', stepUp: true }, schema: { params: CaseParams, body: LegalHold } }, async (request, reply) => {
    checkHolder(request.principal);
    unwrap(await cases.hold(request.params.caseId, { reason: request.body.reason, placedBy: request.principal.pseudonym }));
    return reply.code(204).send();
  });
  http.delete('/api/keys/holds/:caseId', { config: { action: 'audit.read', stepUp: true }, schema: { params: CaseParams } }, async (request, reply) => {
    checkHolder(request.principal);
    unwrap(await cases.hold(request.params.caseId, null));
    return reply.code(204).send();
  });
}

/** Auditors read what the data protection officer reads, and hold nothing. */
function checkHolder(principal: Principal): void {
  if (!principal.positions.includes('data_protection_officer')) throw new Refused({ code: 'auth.forbidden', detail: 'Legal holds are placed and lifted by the data protection officer.' });
}
