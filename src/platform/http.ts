import cookie from '@fastify/cookie';
import { LogController, fastify, type FastifyBaseLogger, type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest, type RawServerDefault } from 'fastify';
import { hasZodFastifySchemaValidationErrors, serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:net';
import { ANONYMOUS, type Action, type Principal } from '../contracts/principal.ts';
import { LIMITS, REFUSALS, Refused, statusOf, type Random, type Refusal } from '../kernel/index.ts';
import { isDatabaseAway, isNoText } from './database/database.ts';
import type { Logger } from './logger.ts';
import { CONTENT_SECURITY_POLICY, securityHeaders } from './security-headers.ts';

declare module 'fastify' {
  interface FastifyRequest {
    principal: Principal;
    /** Ends a response that lasts when the caller loses the session, the token or the right that it was opened with. */
    cutWhenRevoked(response: ServerResponse): void;
  }
  interface FastifyInstance {
    /** Checks anew who holds lasting responses of this person or token, and ends those that would be refused now. */
    cutRevoked(principalId: string): Promise<void>;
    /** Every route and what it asks, in the order of their making. */
    readonly routeActions: readonly RouteAction[];
  }
  interface FastifyContextConfig {
    /** What the caller must be allowed to do; a route without it does not start. */
    action?: Action;
    /** Asks a signed-in person for a fresh proof of who they are. */
    stepUp?: boolean;
    /** Stays open to somebody who has signed in with one factor where two are needed: what sets up the second. */
    oneFactor?: boolean;
    /** OpenAPI 3.1 of a standard's address, written by hand of its module; a part of /api/openapi.json. */
    describe?: () => unknown;
  }
}

export interface RouteAction {
  readonly method: string;
  readonly route: string;
  readonly action: Action;
}

export { STATUS_CODES } from 'node:http';

const CHOSEN_PORTS = { from: 16_384, count: 16_384 };
const PORT_TRIES = 50;

/** What modules register their routes on. */
export type Http = FastifyInstance<RawServerDefault, IncomingMessage, ServerResponse, FastifyBaseLogger, ZodTypeProvider>;

export interface HttpOptions {
  readonly logger: Logger;
  /** Reads the credential; anonymous when there is none, a refusal when there is a wrong one. */
  readonly authenticate: (request: FastifyRequest) => Promise<Principal | Refusal>;
  readonly authorize: (principal: Principal, action: Action) => boolean;
  /** Hears of each decision before anything is done; what it gives back is the answer. */
  readonly noteDecision?: (decision: { principal: Principal; action: Action; method: string; route: string; allowed: boolean }) => Refusal | null;
  /** Whether the caller may do what asks for step-up now; without it nobody may. */
  readonly isFresh?: (request: FastifyRequest) => boolean;
  /** Addresses and networks of proxies whose X-Forwarded-For, -Proto and -Host are believed; nobody's unless told. */
  readonly trustedProxies?: readonly string[];
  /** The city is visited by https. */
  readonly isSecure?: boolean;
}

const OVERLOADED_RETRY_AFTER_S = 1;

/** The one HTTP server: default deny, problem+json errors (RFC 9457) unless a scope sets its own error shape. */
export async function buildHttp(options: HttpOptions): Promise<Http> {
  const logger: FastifyBaseLogger = options.logger;
  const http: Http = fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: LIMITS.body_bytes,
    routerOptions: { maxParamLength: 500 },
    maxRequestsPerSocket: 0,
    keepAliveTimeout: 65_000,
    requestTimeout: 120_000,
    return503OnClosing: true,
    forceCloseConnections: true,
    trustProxy: options.trustedProxies !== undefined && options.trustedProxies.length > 0 ? [...options.trustedProxies] : false,
  }).withTypeProvider<ZodTypeProvider>();
  http.setValidatorCompiler(validatorCompiler);
  http.setSerializerCompiler(serializerCompiler);
  await http.register(cookie);
  http.decorateRequest('principal');
  cutRevoked(http, options);

  const headers = Object.entries(securityHeaders(options.isSecure ?? false));
  const routeActions: RouteAction[] = [];
  http.decorate('routeActions', routeActions);
  http.addHook('onRoute', ({ method, url, config }) => {
    for (const each of [method].flat()) {
      if (each === 'HEAD') continue; // asks what GET asks
      if (config?.action === undefined) throw new Error(`route ${each} ${url} names no action`);
      routeActions.push({ method: each, route: url, action: config.action });
    }
  });
  http.addHook('onRequest', async (request) => {
    const action = request.routeOptions.config.action;
    const principal = await options.authenticate(request);
    if ('code' in principal) {
      // a public page stays open to somebody whose session has ended
      if (action === 'public') {
        request.principal = ANONYMOUS;
        return;
      }
      throw new Refused(principal);
    }
    request.principal = principal;
    if (action === undefined) return; // no route matched: the not-found handler answers
    const allowed = options.authorize(principal, action);
    const unnoted = options.noteDecision?.({ principal, action, method: request.method, route: request.routeOptions.url ?? '', allowed });
    if (unnoted) throw new Refused(unnoted);
    if (!allowed) {
      throw new Refused(principal.kind === 'anonymous' ? { code: 'auth.required', detail: 'No session and no bearer token came with the request.' } : { code: 'auth.forbidden', detail: `Your position does not include ${action}.` });
    }
    if (request.routeOptions.config.stepUp === true && options.isFresh?.(request) !== true) {
      throw new Refused({ code: 'auth.step-up-needed', detail: 'The last proof of who you are is older than five minutes.' });
    }
  });
  http.setErrorHandler((error, request, reply) => sendProblem(error as FastifyError, request, reply));
  http.addHook('onSend', async (request, reply) => {
    for (const [name, value] of headers) if (!reply.hasHeader(name) && !(name === 'cross-origin-resource-policy' && reply.hasHeader('access-control-allow-origin'))) reply.header(name, value);
    if (!reply.hasHeader('content-security-policy')) reply.header('content-security-policy', CONTENT_SECURITY_POLICY);
    if ((request.principal?.kind ?? 'anonymous') !== 'anonymous' && !reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store');
  });
  return http;
}

/** Lasting responses by who opened them. Bounded by the limit of live connections. */
function cutRevoked(http: Http, { authenticate, authorize, logger }: HttpOptions): void {
  const held = new Map<string, Map<ServerResponse, FastifyRequest>>();
  http.decorateRequest('cutWhenRevoked', function cutWhenRevoked(this: FastifyRequest, response: ServerResponse) {
    const { id } = this.principal;
    if (response.destroyed) return;
    held.set(id, (held.get(id) ?? new Map<ServerResponse, FastifyRequest>()).set(response, this));
    response.once('close', () => {
      const own = held.get(id);
      if (own?.delete(response) === true && own.size === 0) held.delete(id);
    });
    void http.cutRevoked(id); // it may have happened since the request was let in
  });
  http.decorate('cutRevoked', async (principalId: string) => {
    for (const [response, request] of [...(held.get(principalId) ?? [])]) {
      try {
        const principal = await authenticate(request);
        const action = request.routeOptions.config.action;
        if (!('code' in principal) && principal.id === principalId && action !== undefined && authorize(principal, action)) continue;
      } catch (error) {
        logger.warn({ err: error }, 'a lasting connection is ended, because its credential could not be checked');
      }
      response.destroy();
    }
  });
}

/**
 * What an error means to the caller: refusals as they are, parser and schema errors of the framework as refusals.
 * Null for a fault of ours, which is a 500.
 */
export function refusalsOf(error: unknown): readonly [Refusal, ...Refusal[]] | null {
  if (error instanceof Refused) return error.refusals;
  if (isNoText(error)) return [{ code: 'http.invalid', detail: 'It contains a character that is not text (NUL or half a surrogate pair).' }];
  if (isDatabaseAway(error)) return [{ code: 'http.database-away', detail: 'The database took nothing of this request.' }];
  if (hasZodFastifySchemaValidationErrors(error)) {
    const [first, ...rest] = error.validation.map((issue): Refusal => {
      const field = issue.instancePath.replace(/^\//, '').replaceAll('/', '.') || error.validationContext || 'body';
      const unknown = issue.keyword === 'unrecognized_keys';
      return { code: unknown ? 'http.unknown-field' : 'http.invalid', detail: issue.message ?? 'The value is not valid.', field };
    });
    return first ? [first, ...rest] : null;
  }
  const { code, statusCode, message } = error as FastifyError;
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return [{ code: 'http.too-large', detail: `The body is larger than the limit of this address.`, field: 'body' }];
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return [{ code: 'http.unsupported-type', detail: 'This content type is not accepted here.', field: 'content-type' }];
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return [{ code: 'http.malformed', detail: 'The body is not well-formed JSON.', field: 'body' }];
    default:
      break;
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return [{ code: statusCode === 404 ? 'http.not-found' : statusCode === 429 ? 'http.too-many-requests' : 'http.malformed', detail: message }];
  }
  return null;
}

/** Sends RFC 9457 problem details. */
export function sendProblem(error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const refusals = refusalsOf(error);
  reply.header('content-type', 'application/problem+json; charset=utf-8');
  if (refusals === null) {
    request.log.error({ err: error, method: request.method, route: request.routeOptions.url }, 'a request failed');
    return reply.code(500).send(JSON.stringify({ type: 'about:blank', title: 'Something broke on our side', status: 500 }));
  }
  const first = refusals[0];
  logAway(first, error, request);
  setRefusalHeaders(first, reply);
  return reply.code(statusOf(first)).send(
    JSON.stringify({
      type: `/docs/errors#${first.code}`,
      title: REFUSALS[first.code].title,
      status: statusOf(first),
      code: first.code,
      detail: first.detail,
      cure: REFUSALS[first.code].cure,
      ...(first.field === undefined ? {} : { field: first.field }),
      ...(refusals.length > 1 ? { errors: refusals.map(({ code, detail, field }) => ({ code, detail, field })) } : {}),
    }),
  );
}

/** Who runs the city hears why its database takes nothing. */
export function logAway(refusal: Refusal, error: unknown, request: FastifyRequest): void {
  if (refusal.code === 'http.database-away') request.log.warn({ err: error, method: request.method, route: request.routeOptions.url }, 'the database took nothing of a request');
}

/** Retry-After and WWW-Authenticate, which every error shape needs (RFC 9110 §10.2.3, §11.6.1). */
export function setRefusalHeaders(refusal: Refusal, reply: FastifyReply): void {
  if (statusOf(refusal) === 503) reply.header('retry-after', OVERLOADED_RETRY_AFTER_S);
  if (statusOf(refusal) === 401) reply.header('www-authenticate', 'Bearer realm="clerestory"');
}

/**
 * A port that nobody listens on, for a city that was told to choose one itself. It is taken from below the ports that systems give to
 * outgoing connections (32,768 and up on Linux), so that none of those takes it between this probe and the city's own start.
 */
export async function findFreePort(host: string, random: Random): Promise<number> {
  for (let tries = 1; ; tries += 1) {
    const port = CHOSEN_PORTS.from + (Buffer.from(random(2)).readUInt16BE() % CHOSEN_PORTS.count);
    const probe = createServer();
    try {
      probe.listen(port, host);
      await once(probe, 'listening');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || tries === PORT_TRIES) throw error;
      continue;
    }
    probe.close();
    await once(probe, 'close');
    return port;
  }
}
