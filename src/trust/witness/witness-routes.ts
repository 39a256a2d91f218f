import { Refused } from '../../kernel/index.ts';
import type { Http } from '../../platform/index.ts';
import type { Policy } from './policy-file.ts';

/** GET /log/policy: which witnesses the city asks, for whoever checks. Public. */
export function registerPolicyRoute(http: Http, policy: Policy | null): void {
  http.get('/log/policy', { config: { action: 'public' } }, (_request, reply) => {
    if (policy === null) throw new Refused({ code: 'http.not-found', detail: 'This city has named no witnesses of its log.' });
    return reply.header('content-type', 'text/plain; charset=utf-8').header('cache-control', 'no-cache').header('access-control-allow-origin', '*').send(policy.text);
  });
}
