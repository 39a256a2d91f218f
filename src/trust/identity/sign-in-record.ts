import { ANONYMOUS, type Principal } from '../../contracts/principal.ts';
import type { Refusal } from '../../kernel/index.ts';
import type { Http } from '../../platform/index.ts';

/** Notes what became of a try in the record of decisions; a refusal when that is full. */
export type NoteSignIn = (principal: Principal, action: string, resource: string, allowed: boolean) => Refusal | null;

/** What proves who somebody is, or ends it. */
const SIGN_INS: ReadonlySet<string> = new Set([
  'POST /api/sign-in/password',
  'POST /api/sign-in/passkey/finish',
  'GET /api/sign-in/service/callback',
  'POST /api/invitations/:code/password',
  'POST /api/invitations/:code/passkey/finish',
  'POST /api/session/step-up',
  'POST /api/sign-out',
]);
const ACCOUNT = /^(?:POST|DELETE) \/api\/(?:account|sessions)\//;

/**
 * Records sign-ins, fresh proofs, sign-outs and changes of one's own account, done or refused, with the pseudonym where there is one
 * (OWASP ASVS 5.0 V16.3.1). Neither the name that was tried nor the address is kept. A body that was not understood, or a fault of ours,
 * is no try.
 */
export function recordSignIns(http: Http, note: NoteSignIn): void {
  http.addHook('onResponse', async (request, reply) => {
    const place = `${request.method} ${request.routeOptions.url ?? ''}`;
    const action = SIGN_INS.has(place) ? 'identity.sign-in' : ACCOUNT.test(place) ? 'identity.account' : null;
    const { statusCode } = reply;
    if (action === null || statusCode === 400 || statusCode >= 500) return;
    // nobody is known where the request was refused before the credential was read
    const unnoted = note(request.principal ?? ANONYMOUS, action, place, statusCode < 400);
    if (unnoted) request.log.warn({ place, statusCode }, 'a sign-in could not be recorded: the record of decisions is full');
  });
}
