import type { TrustDoor } from './doors.ts';

type Store = ReturnType<NonNullable<TrustDoor['publicLimits']>['storeOf']>;

/** Options of @fastify/rate-limit for routes that are counted one by one; the counts outlive a restart where trust keeps them. */
export function limiterOptions({ publicLimits }: Pick<TrustDoor, 'publicLimits'>, group: string): { global: false; store?: Store } {
  return publicLimits === undefined ? { global: false } : { global: false, store: publicLimits.storeOf(group) };
}
