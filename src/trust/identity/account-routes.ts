import { z } from 'zod';
import { type AccountFactors, CodeGiven, NewPassword, type OneTimeCodeSecret, PasskeyFinish, PasskeyName, type RecoveryCodes, type SessionSummary, StepUpProof, type StepUpWays } from '../../contracts/session.ts';
import { Refused, unwrap } from '../../kernel/index.ts';
import type { Http } from '../../platform/index.ts';
import { listFactors, renamePasskey } from './factor-store.ts';
import { unwrapLimited, type IdentityRouteOptions } from './session-answers.ts';
import type { StoredSession } from './session-store.ts';

const Id = z.object({ id: z.string().min(1).max(64) });
const CredentialId = z.object({ id: z.string().min(1).max(500) });
// in the address a credential id may be long; its own limit is in WebAuthn level 3 §4
const unknownFactor = () => new Refused({ code: 'auth.factor-unknown', detail: 'You have no such passkey.', field: 'id' });
const iso = (at: Date | null): string | null => at?.toISOString() ?? null;

export const summaryOf = ({ id, agent, method, factors, createdAt, seenAt, expiresAt }: StoredSession, current: string | undefined): SessionSummary => ({
  id,
  agent,
  method,
  factors,
  createdAt: createdAt.toISOString(),
  seenAt: seenAt.toISOString(),
  expiresAt: expiresAt.toISOString(),
  current: id === current,
});

/** What people do with their own account: ways to sign in, sessions, step-up. */
export function registerAccountRoutes(http: Http, options: IdentityRouteOptions): void {
  registerFactorRoutes(http, options);
  registerPasskeyRoutes(http, options);
  registerSessionRoutes(http, options);
}

function registerFactorRoutes(http: Http, { identity, db }: IdentityRouteOptions): void {
  const { account, codes, sessions } = identity;
  http.get('/api/account', { config: { action: 'session', oneFactor: true } }, async (request): Promise<AccountFactors> => {
    const session = sessions.of(request);
    const { principal } = request;
    const { password, oneTimeCode, recoveryCodesLeft, passkeys, federated } = await listFactors(db, principal.id);
    return {
      name: principal.name,
      positions: principal.positions,
      department: principal.department ?? null,
      secondFactorNeeded: session !== undefined && sessions.needsSecondFactor(session),
      password,
      oneTimeCode: iso(oneTimeCode),
      recoveryCodesLeft,
      passkeys: passkeys.map(({ id, name, site, createdAt, usedAt }) => ({ id, name, site, createdAt: createdAt.toISOString(), usedAt: iso(usedAt) })),
      service: federated.map(({ issuer, createdAt, usedAt }) => ({ issuer, createdAt: createdAt.toISOString(), usedAt: iso(usedAt) })),
    };
  });
  http.post('/api/account/one-time-code', { config: { action: 'session', oneFactor: true, stepUp: true } }, async (request): Promise<OneTimeCodeSecret> => unwrap(await codes.begin(request.principal.id, request.principal.name)));
  http.post('/api/account/one-time-code/confirm', { config: { action: 'session', oneFactor: true }, schema: { body: CodeGiven } }, async (request, reply): Promise<RecoveryCodes> => {
    const made = unwrapLimited<string[] | null>(reply, await account.confirmOneTimeCode(request, request.body.code));
    return { codes: made ?? [] };
  });
  http.post('/api/account/one-time-code/recovery-codes', { config: { action: 'session', stepUp: true } }, async (request): Promise<RecoveryCodes> => ({ codes: unwrap(await codes.renewRecoveryCodes(request.principal.id)) }));
  http.delete('/api/account/one-time-code', { config: { action: 'session', stepUp: true } }, async (request, reply) => {
    unwrap(await account.removeOneTimeCode(request.principal.id));
    return reply.code(204).send();
  });
  http.post('/api/account/password', { config: { action: 'session', stepUp: true }, schema: { body: NewPassword } }, async (request, reply) => {
    unwrap(await account.changePassword(request, request.body.password));
    return reply.code(204).send();
  });
}

function registerPasskeyRoutes(http: Http, { identity, db }: IdentityRouteOptions): void {
  const { account } = identity;
  http.post('/api/account/passkeys/options', { config: { action: 'session', oneFactor: true, stepUp: true } }, async (request) => account.beginPasskey(request.principal.id, request.principal.name, unwrap(identity.siteOf(request))));
  http.post('/api/account/passkeys/finish', { config: { action: 'session', oneFactor: true }, schema: { body: PasskeyFinish } }, async (request, reply) => {
    unwrap(await account.finishPasskey(request, request.body.challengeId, request.body.response));
    return reply.code(204).send();
  });
  http.post('/api/account/passkeys/:id/name', { config: { action: 'session' }, schema: { params: CredentialId, body: PasskeyName } }, async (request, reply) => {
    if (!(await renamePasskey(db, request.principal.id, request.params.id, request.body.name))) throw unknownFactor();
    return reply.code(204).send();
  });
  http.delete('/api/account/passkeys/:id', { config: { action: 'session', stepUp: true }, schema: { params: CredentialId } }, async (request, reply) => {
    unwrap(await account.removePasskey(request.principal.id, request.params.id));
    return reply.code(204).send();
  });
}

function registerSessionRoutes(http: Http, { identity, db }: IdentityRouteOptions): void {
  const { account, sessions, doors } = identity;
  http.get('/api/session/step-up', { config: { action: 'session', oneFactor: true } }, async (request): Promise<StepUpWays> => {
    const { password, oneTimeCode, passkeys, federated } = await listFactors(db, request.principal.id);
    return { passkey: passkeys.length > 0 && identity.siteOf(request).ok, password, code: oneTimeCode !== null, service: federated.length > 0 ? (identity.service?.label ?? null) : null };
  });
  http.post('/api/session/step-up/passkey/options', { config: { action: 'session', oneFactor: true } }, async (request) => doors.beginSignInWithPasskey(unwrap(identity.siteOf(request))));
  http.post('/api/session/step-up', { config: { action: 'session', oneFactor: true }, schema: { body: StepUpProof } }, async (request, reply) => {
    const proof = request.body;
    unwrapLimited(reply, await account.stepUp(request, 'challengeId' in proof ? { challengeId: proof.challengeId, response: proof.response } : proof));
    return reply.code(204).send();
  });
  http.get('/api/sessions', { config: { action: 'session' } }, async (request): Promise<SessionSummary[]> => {
    const current = sessions.of(request)?.id;
    return (await sessions.list(request.principal.id)).map((session) => summaryOf(session, current));
  });
  http.delete('/api/sessions/:id', { config: { action: 'session' }, schema: { params: Id } }, async (request, reply) => {
    if (!(await sessions.end(request.principal.id, request.params.id))) throw new Refused({ code: 'http.not-found', detail: 'You have no such session.', field: 'id' });
    return reply.code(204).send();
  });
  http.post('/api/sessions/end-others', { config: { action: 'session' } }, async (request, reply) => {
    const keep = sessions.of(request)?.id ?? null;
    await db.transaction().execute((trx) => sessions.endAll(trx, request.principal.id, keep));
    return reply.code(204).send();
  });
}
