import { z } from 'zod';
import { Decline, type Approval, type ApprovalList } from '../../contracts/approval.ts';
import { unwrap } from '../../kernel/index.ts';
import type { Http } from '../../platform/index.ts';
import type { Approvals } from './approvals.ts';

const Id = z.object({ id: z.string().min(1).max(64) });

/** The list of proposals, and the second person's word on one. Proposals are made by the parts that do the act. */
export function registerApprovalRoutes(http: Http, { approvals }: { approvals: Approvals }): void {
  http.get('/api/approvals', { config: { action: 'approvals.read' } }, (request): Promise<ApprovalList> => approvals.listFor(request.principal));
  http.post('/api/approvals/:id/approve', { config: { action: 'approvals.decide', stepUp: true }, schema: { params: Id } }, async (request): Promise<Approval> => unwrap(await approvals.approve(request.principal, request.params.id)).approval);
  http.post('/api/approvals/:id/decline', { config: { action: 'approvals.decide' }, schema: { params: Id, body: Decline } }, async (request): Promise<Approval> => unwrap(await approvals.decline(request.principal, request.params.id, request.body.reason)));
}
