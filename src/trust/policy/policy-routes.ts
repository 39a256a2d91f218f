import { z } from 'zod';
import { PolicyDecisionQuery, type PolicyDecisions, type PolicyText, type PolicyVersions } from '../../contracts/policy.ts';
import { isoOf, Refused } from '../../kernel/index.ts';
import type { DatabaseHandle, Http } from '../../platform/index.ts';
import { findPolicyDocument, listDecisions, listPolicyVersions } from './decision-store.ts';
import type { Policy } from './policy.ts';

const VERSIONS_MAX = 1_000;
const Hash = z.object({ hash: z.string().regex(/^[0-9a-f]{64}$/, 'It is a SHA-256 in hex.') });

/** The policy for everybody, old ones too, and the record of decisions for auditors. */
export function registerPolicyRoutes(http: Http, { handle, policy }: { handle: DatabaseHandle; policy: Policy }): void {
  const text = policy.describe();
  http.get('/api/policy', { config: { action: 'public' } }, (): PolicyText => ({ ...text, routes: [...http.routeActions] }));
  http.get('/api/policy/versions', { config: { action: 'public' } }, async (): Promise<PolicyVersions> => ({
    versions: (await listPolicyVersions(handle.db, VERSIONS_MAX)).map(({ hash, since, leaf }) => ({ hash, since: isoOf(since.getTime()), leaf })),
  }));
  http.get('/api/policy/versions/:hash', { config: { action: 'public' }, schema: { params: Hash } }, async (request): Promise<unknown> => {
    const document = await findPolicyDocument(handle.db, request.params.hash);
    if (document === undefined) throw new Refused({ code: 'http.not-found', detail: 'No policy of this hash was ever in force here.', field: 'hash' });
    return JSON.parse(document) as unknown;
  });
  http.get('/api/policy/decisions', { config: { action: 'audit.read' }, schema: { querystring: PolicyDecisionQuery } }, async (request): Promise<PolicyDecisions> => {
    const { before, pseudonym, action, allowed, limit } = request.query;
    const decisions = await listDecisions(handle.db, { before, pseudonym, action, allowed: allowed === undefined ? undefined : allowed === 'true', limit });
    return { decisions, next: decisions.length < limit ? null : (decisions.at(-1)?.id ?? null) };
  });
}
