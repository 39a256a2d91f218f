import type { FastifyRequest } from 'fastify';
import type { Action, Position, Principal } from '../contracts/principal.ts';
import { readPlace } from '../contracts/tlog/place.ts';
import type { LogStatus } from '../contracts/trust.ts';
import { unwrap, type Clock, type Random, type Refusal } from '../kernel/index.ts';
import type { Bus, DatabaseHandle, Http, Logger, Metrics } from '../platform/index.ts';
import { registerApprovalRoutes } from './approvals/approval-routes.ts';
import { createApprovals, type Approvals } from './approvals/approvals.ts';
import { createGate, openGateLedger, registerGateRoutes, type Gate } from './gate/index.ts';
import { registerIdentityRoutes } from './identity/identity-routes.ts';
import { hasAdministrator } from './identity/identity-store.ts';
import { createIdentity } from './identity/identity.ts';
import type { ServiceClient } from './identity/code-flow.ts';
import type { PublicLimits } from './identity/public-limits.ts';
import type { Residents } from './identity/residents.ts';
import type { SignInServiceOptions } from './identity/sign-in-service.ts';
import type { TokenBook } from './identity/token-book.ts';
import { meetBroker, type BrokerClient } from './keys/broker-client.ts';
import { brokerOptionsOf, DEFAULT_BROKER, type BrokerChoice } from './keys/broker-settings.ts';
import { createCases, type Cases } from './keys/cases.ts';
import { registerKeyRoutes } from './keys/key-routes.ts';
import { createRoots } from './keys/rotation.ts';
import { readOrMakeSecret, readOrMakeSigningKey } from './keys/key-files.ts';
import type { Json } from './log/canonical.ts';
import { createBlinding } from './looks/blind.ts';
import { keepFigures } from './looks/figures.ts';
import { registerLooksRoutes } from './looks/looks-routes.ts';
import { createLooks, type Looks } from './looks/looks.ts';
import { createSealedLooks } from './looks/sealed-looks.ts';
import { registerLogRoutes } from './log/log-routes.ts';
import { readBody } from './log/log-store.ts';
import { openLog, type TransparencyLog } from './log/log.ts';
import { createScrub } from './log/scrub.ts';
import { createDecisionLog, recordPolicy, type DecisionLog } from './policy/decision-log.ts';
import { registerPolicyRoutes } from './policy/policy-routes.ts';
import { createPolicy } from './policy/policy.ts';
import { createPartsDirectory, createPurposes, createRegisterChanges, registerPurposeRoutes, type PartsDirectory, type Purposes } from './purposes/index.ts';
import { createRevocations } from './revocations.ts';
import { createWitnesses } from './witness/witnesses.ts';

export interface Trust {
  /** Cookie session or bearer token; anonymous when there is neither, a refusal when there is a wrong one. */
  readonly authenticate: (request: FastifyRequest) => Promise<Principal | Refusal>;
  /** A bearer token alone, such as an MQTT password. */
  readonly authenticateToken: (token: string) => Promise<Principal | Refusal>;
  /** Tokens of devices: made here, and bound by what the register of devices says. */
  readonly deviceTokens: Pick<TokenBook, 'mintForDevice' | 'bindDevices' | 'revoke'>;
  readonly authorize: (principal: Principal, action: Action) => boolean;
  /** Records what is to be recorded of a decision about a call; a refusal when it cannot be. */
  readonly noteDecision: DecisionLog['noteRoute'];
  /** Records what somebody was denied at a door other than HTTP. */
  readonly noteDenied: DecisionLog['noteDenied'];
  /** Calls with the id of a person or a token some of whose rights ended, at once and in every process. */
  readonly onRevoked: (listener: (principalId: string) => void) => void;
  /** Residents who are signed in to their list of reports; no principals. */
  readonly residents: Pick<Residents, 'service' | 'accountOf' | 'refuseForeignPage'>;
  /** Counts of public calls that outlive a restart, for the limiter of routes. */
  readonly publicLimits: Pick<PublicLimits, 'storeOf'>;
  /** Whether the caller has just proved who they are, for routes that ask for step-up. */
  readonly isFresh: (request: FastifyRequest) => boolean;
  readonly purposes: Purposes;
  /** Where modules tell which of their parts work for which purpose. */
  readonly parts: PartsDirectory;
  readonly gate: Gate;
  readonly cases: Cases;
  /** Every read of a resident's data by staff goes through here. */
  readonly looks: Looks;
  readonly approvals: Approvals;
  readonly log: {
    /** Appends a leaf that commits to `body` (no personal data); durable when it resolves. Do not await it inside a transaction. */
    append(entry: { kind: string; body: Json }): Promise<{ index: number }>;
    /** What the leaf commits to, if it is of this kind and concerns no case: with it anybody can check the leaf. Nonce in hex, body as it was hashed. */
    readOpening(kind: string, index: number): Promise<{ nonce: string; body: string } | null>;
    status(): LogStatus;
    /** The leaf as it stands in the log, and its proof to keep (C2SP tlog-proof); null for one of a log that was lost. Throws `RangeError` beyond the published tree. */
    prove(place: number): Promise<{ leaf: string; proof: string } | null>;
    /** Verifier keys of the logs that were put aside, oldest first. */
    oldKeys(): Promise<string[]>;
  };
  /** Who witnesses the log (C2SP tlog-policy); null while nobody does. */
  witnessPolicy(): string | null;
  /** Makes the code of a one-time link for an account; the page /invite/CODE accepts it. */
  createInvitation(positions: readonly Position[], name: string, lifetime_ms: number): Promise<string>;
  /** Whether anybody can manage people; if not, the start prints a one-time link. */
  hasAdministrator(): Promise<boolean>;
  registerRoutes(http: Http): Promise<void>;
  close(): Promise<void>;
}

export interface TrustOptions {
  readonly handle: DatabaseHandle;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly dataFolder: string;
  /** The register of purposes as YAML; null for the starter register. */
  readonly purposesYaml: string | null;
  /** Policy of witnesses (C2SP tlog-policy); without one nobody outside is asked to watch the log. */
  readonly witnessPolicy?: Uint8Array | null;
  /** Address under which others reach this server, if the city states one. */
  readonly publicUrl: string | undefined;
  /** Name of the city and the address under which browsers reach it, for what is published of the register. */
  readonly city?: () => { readonly name: string; readonly url: string };
  /** ISO 3166-1 alpha-2: whose telephone numbers and plates the gate knows without a prefix; DE when left out. */
  readonly country?: string;
  /** IANA name, for the days and nights of the figures of looks. */
  readonly timeZone?: string;
  /** Whether a passphrase alone opens the city; optional when it is left out, as only tests do. */
  readonly secondFactor?: 'required' | 'optional';
  /** The city's own sign-in service (OpenID Connect), if it has one. */
  readonly signInService?: SignInServiceOptions | null;
  /** The service at which residents sign in, if there is one. */
  readonly residentService?: ServiceClient | null;
  /** Where the key broker is and how it keeps the root key; a child without a passphrase when it is left out. */
  readonly broker?: BrokerChoice;
  /** log2 of scrypt's N; only tests lower it. */
  readonly passwordCostLog2?: number;
}

/** Starts trust: keys, log, purposes, gate, cases and identity. Throws `Refused` when log, keys or register are not right. */
export async function createTrust(options: TrustOptions): Promise<Trust> {
  const { handle, clock, random, logger, metrics, dataFolder, publicUrl } = options;
  const policy = createPolicy(dataFolder);
  const log = await openLog({ handle, clock, random, logger, metrics, dataFolder, publicUrl, signingKey: readOrMakeSigningKey(dataFolder) });
  const brokerChoice = options.broker ?? DEFAULT_BROKER;
  let broker: BrokerClient | undefined;
  try {
    const purposes = unwrap(await createPurposes({ handle, clock, bus: options.bus, logger, log, yaml: options.purposesYaml }));
    const gate = createGate(metrics, clock.nowMs(), { country: options.country ?? 'DE' });
    const gateLedger = await openGateLedger({ handle, clock, logger, gate, log });
    const keyBroker = await meetBroker({ ...brokerOptionsOf(dataFolder, brokerChoice), vkey: log.verifierKey(), logger });
    broker = keyBroker;
    const cases = await createCases({ handle, clock, broker: keyBroker, log, purposes, authorize: policy.authorize, mayLook: policy.mayLook, keyWindowDays: brokerChoice.key_window_days, logger });
    const roots = createRoots({ handle, clock, broker: keyBroker, windowDays: brokerChoice.key_window_days });
    const decisions = createDecisionLog({ handle, clock, logger, policyHash: policy.hash, retentionDays: () => purposes.get('city-operations')?.retention_days ?? 365, log });
    await recordPolicy(policy, { handle, clock, log });
    const approvals = await createApprovals({ handle, clock, random, logger, log, may: policy.mayDecide, note: decisions.note });
    const parts = createPartsDirectory();
    const changes = createRegisterChanges({ purposes, approvals });
    const sealedLooks = createSealedLooks({ handle, clock, logger, cases, approvals });
    const stopRevealing = sealedLooks.start();
    const stopSweeping = keepFigures({ db: handle.db, clock, logger, retentionDays: () => purposes.get('service-requests')?.retention_days ?? 365 });
    const stopTidying = roots.start(logger);
    const looks = createLooks({ handle, clock, random, cases, blinding: createBlinding(readOrMakeSecret(dataFolder, 'index', random)) });
    const cost = options.passwordCostLog2 === undefined ? {} : { passwordCostLog2: options.passwordCostLog2 };
    const secondFactor = options.secondFactor ?? 'optional';
    const identity = createIdentity({ handle, bus: options.bus, clock, random, logger, tokenKey: readOrMakeSecret(dataFolder, 'token', random), identityKey: readOrMakeSecret(dataFolder, 'identity', random), publicUrl, city: options.city?.().name ?? 'Clerestory', secondFactor, service: options.signInService ?? null, residentService: options.residentService ?? null, ...cost });
    await identity.limits.load();
    const revocations = await createRevocations({ bus: options.bus, forget: (id) => identity.tokens.forget(id) });
    const witnesses = createWitnesses({ log, policyFile: options.witnessPolicy ?? null, clock, logger, metrics });
    const scrub = await createScrub({ log, handle, clock, logger, metrics });
    const status = (): LogStatus => ({ ...log.status(cases.count()), witnesses: witnesses.status(), scrub: scrub.status() });
    return {
      authenticate: identity.authenticate,
      authenticateToken: identity.authenticateToken,
      deviceTokens: identity.tokens,
      authorize: policy.authorize,
      noteDecision: decisions.noteRoute,
      noteDenied: decisions.noteDenied,
      onRevoked: (listener) => revocations.onRevoked(listener),
      isFresh: identity.isFresh,
      residents: identity.residents,
      publicLimits: identity.limits,
      purposes,
      parts,
      gate,
      cases,
      looks,
      approvals,
      log: { append: async ({ kind, body }) => ({ index: await log.appendBody(kind, body) }), readOpening: (kind, index) => readOpening(handle, kind, index), status, prove: (place) => prove(log, place), oldKeys: () => log.old.keys() },
      witnessPolicy: () => (options.witnessPolicy ? Buffer.from(options.witnessPolicy).toString('utf8') : null),
      createInvitation: async (positions, name, lifetime_ms) => (await identity.doors.invite({ positions, name, lifetime_ms })).code,
      hasAdministrator: () => hasAdministrator(handle.db),
      registerRoutes: async (http) => {
        registerIdentityRoutes(http, { identity, db: handle.db, note: decisions.note, secondFactor });
        registerApprovalRoutes(http, { approvals });
        registerKeyRoutes(http, { handle, approvals, cases, broker: keyBroker, roots, windowDays: brokerChoice.key_window_days });
        registerPolicyRoutes(http, { handle, policy });
        registerLooksRoutes(http, { handle, clock, approvals, timeZone: options.timeZone ?? 'UTC', sealed: sealedLooks });
        registerLogRoutes(http, { log, status });
        witnesses.registerRoutes(http);
        registerPurposeRoutes(http, { handle, clock, purposes, changes, directory: parts, refusedOf: (purpose) => gate.refusedOf(purpose), city: options.city ?? (() => ({ name: '', url: (publicUrl ?? '').replace(/\/+$/, '') })) });
        await registerGateRoutes(http, { gate, ledger: gateLedger, clock, country: options.country ?? 'DE' });
      },
      close: async () => {
        stopRevealing();
        stopSweeping();
        await stopTidying();
        approvals.close();
        revocations.close();
        await decisions.close();
        await gateLedger.close();
        purposes.close();
        await identity.close();
        await witnesses.close();
        await broker?.close();
        await log.close();
      },
    };
  } catch (error) {
    await broker?.close();
    await log.close();
    throw error;
  }
}

async function prove(log: TransparencyLog, place: number): Promise<{ leaf: string; proof: string } | null> {
  const { log: number, index } = readPlace(place);
  if (number !== null) {
    const found = await log.old.prove(number, index);
    return found && { leaf: Buffer.from(found.entry).toString('utf8'), proof: found.proof };
  }
  const [{ entry }, proof] = await Promise.all([log.proveInclusion(index), log.tlogProof(index)]);
  return { leaf: Buffer.from(entry).toString('utf8'), proof };
}

async function readOpening(handle: DatabaseHandle, kind: string, index: number): Promise<{ nonce: string; body: string } | null> {
  const found = await readBody(handle.db, kind, index);
  return found === undefined ? null : { nonce: found.nonce.toString('hex'), body: found.body };
}
