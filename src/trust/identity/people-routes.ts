import { z } from 'zod';
import { ChangedPerson, type InvitationLink, NewInvitation, type Person, RevokeToken, type SessionSummary } from '../../contracts/session.ts';
import { Refused } from '../../kernel/index.ts';
import type { Http, Trx } from '../../platform/index.ts';
import { summaryOf } from './account-routes.ts';
import { deleteOneTimeCode } from './factor-store.ts';
import type { IdentityRouteOptions } from './session-answers.ts';
import { changePerson, disablePerson, findPersonById, listPeople } from './identity-store.ts';

/** Invitations that an administrator makes are valid for three days. */
const INVITATION_MS = 72 * 3_600_000;
const Id = z.object({ id: z.string().min(1).max(64) });

const unknown = () => new Refused({ code: 'http.not-found', detail: 'There is no such enabled person.', field: 'id' });
const refuseDevices = (positions: readonly string[]): void => {
  if (positions.includes('device')) throw new Refused({ code: 'http.invalid', detail: 'A device is not a person: make it a token with `clerestory token --role device`.', field: 'positions' });
};
const settle = (outcome: 'done' | 'unknown' | 'last'): void => {
  if (outcome === 'unknown') throw unknown();
  if (outcome === 'last') throw new Refused({ code: 'auth.last-administrator', detail: 'Nobody could manage people any more.', field: 'id' });
};

/** What administrators do with accounts; every change asks for step-up, and what ends sessions counts at once. */
export function registerPeopleRoutes(http: Http, { identity, db }: IdentityRouteOptions): void {
  const { doors, sessions, tokens } = identity;
  const managing = { action: 'people.manage' as const };
  const changing = { ...managing, stepUp: true };
  const inTransaction = <T>(act: (trx: Trx) => Promise<T>): Promise<T> => db.transaction().execute(act);

  http.get('/api/people', { config: managing }, async (): Promise<Person[]> =>
    (await listPeople(db)).map(({ id, name, positions, department, pseudonym, createdAt, disabled }) => ({ id, name, positions, department, pseudonym, createdAt: createdAt.toISOString(), disabled })),
  );
  http.post('/api/people/invitations', { config: changing, schema: { body: NewInvitation } }, async (request, reply): Promise<InvitationLink> => {
    const { name, positions, department } = request.body;
    refuseDevices(positions);
    const { code, expiresAt } = await doors.invite({ name, positions: [...new Set(positions)], department: department === '' ? null : department, lifetime_ms: INVITATION_MS });
    void reply.code(201);
    return { code, path: `/invite/${code}`, expiresAt: expiresAt.toISOString() };
  });
  http.post('/api/people/:id', { config: changing, schema: { params: Id, body: ChangedPerson } }, async (request, reply) => {
    const { positions, department } = request.body;
    refuseDevices(positions ?? []);
    settle(await inTransaction((trx) => changePerson(trx, request.params.id, { positions: positions && [...new Set(positions)], department: department === '' ? null : department }, 'administrator')));
    return reply.code(204).send();
  });
  http.post('/api/people/:id/disable', { config: changing, schema: { params: Id } }, async (request, reply) => {
    settle(
      await inTransaction(async (trx) => {
        const outcome = await disablePerson(trx, request.params.id, new Date(identity.nowMs()), 'administrator');
        if (outcome === 'done') await sessions.endAll(trx, request.params.id, null);
        return outcome;
      }),
    );
    return reply.code(204).send();
  });
  http.get('/api/people/:id/sessions', { config: managing, schema: { params: Id } }, async (request): Promise<SessionSummary[]> => {
    if ((await findPersonById(db, request.params.id)) === undefined) throw unknown();
    const current = sessions.of(request)?.id;
    return (await sessions.list(request.params.id)).map((session) => summaryOf(session, current));
  });
  http.post('/api/people/:id/sessions/end', { config: changing, schema: { params: Id } }, async (request, reply) => {
    if ((await findPersonById(db, request.params.id)) === undefined) throw unknown();
    await inTransaction((trx) => sessions.endAll(trx, request.params.id, null));
    return reply.code(204).send();
  });
  // for somebody whose phone is lost: the password alone then opens the setting up of a new second factor, and nothing else
  http.post('/api/people/:id/one-time-code/remove', { config: changing, schema: { params: Id } }, async (request, reply) => {
    if ((await findPersonById(db, request.params.id)) === undefined) throw unknown();
    await inTransaction(async (trx) => {
      await deleteOneTimeCode(trx, request.params.id);
      await sessions.endAll(trx, request.params.id, null);
    });
    return reply.code(204).send();
  });
  http.post('/api/tokens/revoke', { config: changing, schema: { body: RevokeToken } }, async (request, reply) => {
    await tokens.revoke(request.body.token);
    return reply.code(204).send();
  });
}
