import type { WitnessStatus } from '../../contracts/trust.ts';
import { unwrap, type Clock } from '../../kernel/index.ts';
import { createOutgoing, type Http, type Logger, type Metrics } from '../../platform/index.ts';
import { startCosigning, UNWITNESSED, type WitnessedLog } from './cosigning.ts';
import { parsePolicy } from './policy-file.ts';
import { formatNoteKey } from './signed-note.ts';
import { registerPolicyRoute } from './witness-routes.ts';

export interface Witnesses {
  status(): WitnessStatus;
  registerRoutes(http: Http): void;
  close(): Promise<void>;
}

interface Options {
  readonly log: WitnessedLog & { witnessed(): { readonly checkpoint: string } | null; verifierKey(): string };
  /** The policy file's bytes; null when there is none. */
  readonly policyFile: Uint8Array | null;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** The witnesses of the city's log. Without a policy, or with one that names no address, nobody is asked and no connection is opened. Throws `Refused` for a policy that is not valid. */
export function createWitnesses({ log, policyFile, clock, logger, metrics }: Options): Witnesses {
  const policy = policyFile === null ? null : unwrap(parsePolicy(policyFile));
  if (policy !== null && policy.logs.length > 0 && !policy.logs.some(({ key }) => formatNoteKey(key) === log.verifierKey())) {
    logger.warn({ key: log.verifierKey() }, 'the policy of witnesses does not name this log: whoever checks with it will find nothing');
  }
  const urls = policy?.witnesses.flatMap(({ url }) => (url === null ? [] : [url])) ?? [];
  const registerRoutes = (http: Http): void => registerPolicyRoute(http, policy);
  if (policy === null || urls.length === 0) return { status: () => UNWITNESSED, registerRoutes, close: () => Promise.resolve() };
  // who writes the policy runs the city: a witness may stand in its own network
  const outgoing = createOutgoing({ egress: [...new Set(urls.map((url) => new URL(url).origin))].map((host) => ({ host, private: true })), metrics });
  const cosigning = startCosigning({ policy, log, witnessed: log.witnessed()?.checkpoint ?? null, outgoing, clock, logger, metrics });
  return { status: () => cosigning.status(), registerRoutes, close: () => cosigning.close() };
}
