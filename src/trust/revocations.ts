import type { Bus } from '../platform/index.ts';

/** Told by triggers of the database, so that a right that was taken away by hand counts as well. */
const TOPIC = 'credential.revoked';

export interface Revocations {
  /** Calls with the id of a person or a token some of whose rights ended, in whatever process that happened. */
  onRevoked(listener: (principalId: string) => void): void;
  close(): void;
}

/** `forget` drops what is remembered of the credential; it runs before any listener, so that nobody cut off comes in again on it. */
export async function createRevocations({ bus, forget }: { bus: Bus; forget: (principalId: string) => void }): Promise<Revocations> {
  const listeners: ((principalId: string) => void)[] = []; // one a door of the process
  const close = await bus.subscribe([TOPIC], ({ key }) => {
    forget(key);
    for (const listener of listeners) listener(key);
  });
  return { onRevoked: (listener) => void listeners.push(listener), close };
}
