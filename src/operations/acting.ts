import type { Act, Actor, IncidentDetail, NewIncident } from '../contracts/incident.ts';
import { newId, ok, refuse, type Clock, type Random, type Result } from '../kernel/index.ts';
import type { IncidentStore, IncidentUnit } from './incident-store.ts';
import { decide } from './incident.ts';

/** Kind of incidents that a person opened: no rule and no service, so nothing joins them by itself. */
export const BY_HAND = 'by-hand';

/**
 * One act of one person on one incident (id or number), in one transaction; the answer is durable. With a `key` the
 * same act sent again changes nothing and answers the same; the key with another act is `http.conflict`.
 */
export async function actOn(store: IncidentStore, options: { ref: string; act: Act; actor: Actor; key: string | undefined }): Promise<Result<IncidentDetail>> {
  const { ref, act, actor, key } = options;
  return store.transact(async (unit): Promise<Result<IncidentDetail>> => {
    const before = await unit.load(ref);
    if (before === null) return refuse('incident.not-found', `There is no incident "${ref}".`, 'id');
    const sent = JSON.stringify([before.id, act]);
    const repeat = await findRepeat(unit, actor, key, sent);
    if (repeat !== null) return repeat;
    const change = decide(before, act, actor);
    if (!change.ok) return change;
    return ok(await unit.append(before, change.value, { author: actor, idempotency: key === undefined ? undefined : { key, act: sent } }));
  });
}

/** Opens an incident by hand. `key` as with `actOn`. */
export async function openByHand(
  store: IncidentStore,
  options: { incident: NewIncident; actor: Actor; key: string | undefined; clock: Clock; random: Random },
): Promise<Result<IncidentDetail>> {
  const { incident, actor, key, clock, random } = options;
  const sent = JSON.stringify(['open', incident]);
  return store.transact(async (unit): Promise<Result<IncidentDetail>> => {
    await unit.lockOpening();
    const repeat = await findRepeat(unit, actor, key, sent);
    if (repeat !== null) return repeat;
    const opening = {
      ...incident,
      id: newId<string>('inc', clock.nowMs(), random),
      number: await unit.nextNumber(),
      origin: 'operator' as const,
      kind: BY_HAND,
      playbook: null,
      why: null,
      warning: null,
      request: null,
    };
    return ok(await unit.append(null, { kind: 'opened', text: '', body: opening }, { author: actor, idempotency: key === undefined ? undefined : { key, act: sent } }));
  });
}

async function findRepeat(unit: IncidentUnit, actor: Actor, key: string | undefined, sent: string): Promise<Result<IncidentDetail> | null> {
  if (key === undefined) return null;
  const earlier = await unit.findRepeat(actor.id, key);
  if (earlier === null) return null;
  return earlier.act === sent ? ok(earlier.detail) : refuse('http.conflict', 'This Idempotency-Key was used for another act.', 'idempotency-key');
}
