import { AsyncLocalStorage } from 'node:async_hooks';
import type { Refusal } from '../kernel/index.ts';
import type { Trx } from '../platform/index.ts';
import type { EntityChange } from './entities/entity-store.ts';
import type { Draft } from './observations/draft.ts';

/** Requests that are carried out together or not at all (OData 4.0 Part 1 §11.7.4). What happens inside works on `trx`. */
export interface ChangeSet {
  readonly trx: Trx;
  /** What was changed so far; others hear of it after the commit. */
  readonly changes: EntityChange[];
  /** Leaves admitted observations to be stored with the set. */
  add(drafts: readonly Draft[]): void;
  /** The same, and waits: null when they are stored and have their ids, or why the set cannot be. */
  join(drafts: readonly Draft[]): Promise<Refusal | null>;
}

const open = new AsyncLocalStorage<ChangeSet>();

/** The change set that the present request belongs to. */
export const currentChangeSet = (): ChangeSet | undefined => open.getStore();

/** Whether the present request's change set has made the entity, which nobody else can see yet. */
export const isMadeHere = (set: string, id: number): boolean => currentChangeSet()?.changes.some((change) => change.set === set && change.id === id && change.kind === 'created') ?? false;

export const insideChangeSet = <T>(changes: ChangeSet, act: () => Promise<T>): Promise<T> => open.run(changes, act);
