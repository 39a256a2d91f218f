import { lookup as lookupName } from 'node:dns';
import { request as requestHttp, type IncomingMessage } from 'node:http';
import { request as requestHttps } from 'node:https';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import type { Transform } from 'node:stream';
import { Refused, refuse, type Refusal } from '../kernel/index.ts';
import { Counter, type Metrics } from './metrics.ts';

/** One line of the egress list. */
export interface EgressHost {
  /** `data.example.org` and `data.example.org:8443` mean https; `http://host:port` says that it goes unencrypted. */
  readonly host: string;
  /** Whether the host may lie in a private or local network. */
  readonly private: boolean;
}

export interface OutgoingRequest {
  readonly accept: string;
  /** Of the body after decompression. */
  readonly max_bytes: number;
  /** For the whole exchange; 20 s unless told. */
  readonly timeout_ms?: number;
  /** Value of the Authorization header (RFC 9110 §11.6.2). */
  readonly authorization?: string | undefined;
  /** Sent as If-None-Match and If-Modified-Since (RFC 9110 §13.1). */
  readonly known?: Validators;
}

export interface Validators {
  readonly etag: string | null;
  readonly last_modified: string | null;
}

export interface OutgoingAnswer {
  /** 2xx, or 304 when `known` was sent. */
  readonly status: number;
  readonly contentType: string;
  readonly body: Buffer;
  readonly validators: Validators;
}

/** A POST; its answer is given whatever its status, and no redirect is followed. */
export interface OutgoingPost extends Omit<OutgoingRequest, 'known'> {
  readonly content: { readonly type: string; readonly body: string };
}

/** The one way out of this server over HTTP. */
export interface Outgoing {
  /** Null when the address may be called; else why not, with the cure. */
  check(url: string): Refusal | null;
  /** Throws `Refused` when the address may not be called, or the answer is late, too long, not 2xx or not readable. */
  get(url: string, request: OutgoingRequest): Promise<OutgoingAnswer>;
  /** Throws `Refused` when the address may not be called, or the answer is late, too long or not readable. */
  post(url: string, request: OutgoingPost): Promise<OutgoingAnswer>;
  /** Breaks off the calls that are under way and makes no more. */
  close(): void;
}

type Call = OutgoingRequest & Partial<Pick<OutgoingPost, 'content'>>;

const TIMEOUT_MS = 20_000;
const REDIRECTS = 5;
const HEADER_BYTES = 16_384;

// RFC 6890 and its registries: what is not reachable over the public internet
const PRIVATE = new BlockList();
for (const [net, bits] of [['0.0.0.0', 8], ['10.0.0.0', 8], ['100.64.0.0', 10], ['127.0.0.0', 8], ['169.254.0.0', 16], ['172.16.0.0', 12], ['192.0.0.0', 24], ['192.0.2.0', 24], ['192.168.0.0', 16], ['198.18.0.0', 15], ['198.51.100.0', 24], ['203.0.113.0', 24], ['224.0.0.0', 4], ['240.0.0.0', 4]] as const) PRIVATE.addSubnet(net, bits, 'ipv4');
for (const [net, bits] of [['::', 128], ['::1', 128], ['64:ff9b:1::', 48], ['100::', 64], ['2001::', 23], ['2001:db8::', 32], ['fc00::', 7], ['fe80::', 10], ['ff00::', 8]] as const) PRIVATE.addSubnet(net, bits, 'ipv6');

/** Whether an IP address is private, local, reserved or multicast; IPv4 inside IPv6 counts as what it is. */
export function isPrivateAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 0) return false;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return PRIVATE.check(mapped, 'ipv4');
  return PRIVATE.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

export function createOutgoing({ egress, metrics }: { egress: readonly EgressHost[]; metrics: Metrics }): Outgoing {
  // feeds and witnesses have a list each and are counted together
  const blocked = (metrics.getSingleMetric('clerestory_egress_blocked_total') as Counter | undefined) ?? new Counter({ name: 'clerestory_egress_blocked_total', help: 'Calls to other hosts that the egress list did not allow', registers: [metrics] });
  const calls = (metrics.getSingleMetric('clerestory_egress_calls_total') as Counter<'outcome'> | undefined) ?? new Counter({ name: 'clerestory_egress_calls_total', help: 'Calls to other hosts', labelNames: ['outcome'], registers: [metrics] });
  const allowed = new Map(egress.map((entry) => [originOf(entry.host), entry]));

  const find = (url: string): EgressHost | Refusal => {
    const parsed = URL.canParse(url) ? new URL(url) : null;
    if (parsed === null || !/^https?:$/.test(parsed.protocol)) return blockedBy('The address is not one of http or https.', url);
    if (parsed.username !== '' || parsed.password !== '') return blockedBy('The address carries a user name or password.', parsed.host);
    const entry = allowed.get(parsed.origin);
    if (entry !== undefined) return entry;
    const unencrypted = parsed.protocol === 'http:' ? ' without encryption' : '';
    return blockedBy(`${parsed.host} is not on the egress list${unencrypted}.`, parsed.host);
  };

  const stopping = new AbortController();
  const follow = async (url: string, request: Call, deadlineMs: number, hops: number): Promise<OutgoingAnswer> => {
    const entry = find(url);
    if ('code' in entry) throw new Refused(entry);
    const response = await open(url, request, entry.private, deadlineMs, stopping.signal);
    const status = response.statusCode ?? 0;
    const { location } = response.headers;
    const isPost = request.content !== undefined;
    if (!isPost && status >= 300 && status < 400 && status !== 304 && location !== undefined) {
      response.destroy();
      if (hops === 0) throw answerFault(`It redirects more than ${REDIRECTS} times.`, url);
      if (!URL.canParse(location, url)) throw answerFault('It redirects to something that is not an address.', url);
      const next = new URL(location, url);
      // an allowed host must not send us where its own line does not lead
      if (next.origin !== new URL(url).origin) throw new Refused(blockedBy(`It redirects to another host, ${next.host.slice(0, 255)}.`, new URL(url).host));
      return follow(next.href, request, deadlineMs, hops - 1);
    }
    if (status === 304 && request.known !== undefined) {
      response.resume();
      return { status, contentType: '', body: Buffer.alloc(0), validators: request.known };
    }
    if (!isPost && (status < 200 || status > 299)) {
      response.destroy();
      throw answerFault(`It answers with status ${status}.`, url);
    }
    const body = await readBody(response, request.max_bytes, url, deadlineMs);
    return { status, contentType: response.headers['content-type'] ?? '', body, validators: { etag: response.headers.etag ?? null, last_modified: response.headers['last-modified'] ?? null } };
  };

  const call = async (url: string, request: Call): Promise<OutgoingAnswer> => {
    try {
      const answer = await follow(url, request, performance.now() + (request.timeout_ms ?? TIMEOUT_MS), REDIRECTS);
      calls.inc({ outcome: 'answered' });
      return answer;
    } catch (error) {
      const code = error instanceof Refused ? error.refusals[0].code : 'fault';
      calls.inc({ outcome: code });
      if (code === 'feed.egress-blocked') blocked.inc();
      throw error;
    }
  };
  return {
    check: (url) => {
      const entry = find(url);
      return 'code' in entry ? entry : null;
    },
    get: call,
    post: call,
    close: () => stopping.abort(),
  };
}

const blockedBy = (detail: string, field: string): Refusal => refuse('feed.egress-blocked', detail, field.slice(0, 255)).refusal;
const answerFault = (detail: string, url: string): Refused => new Refused({ code: 'feed.source-answer', detail, field: placeOf(url) });
const awayFault = (detail: string, url: string): Refused => new Refused({ code: 'feed.source-away', detail, field: placeOf(url) });

/** Host and path; a query may carry a key. */
const placeOf = (url: string): string => {
  const { host, pathname } = new URL(url);
  return `${host}${pathname}`.slice(0, 255);
};

/** The origin that a line of the egress list allows. Throws `Refused` naming the line when it is none. */
export function originOf(host: string): string {
  const text = host.includes('://') ? host : `https://${host}`;
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || !/^[a-z0-9.:[\]-]+$/.test(url.hostname) || url.username !== '' || url.password !== '' || url.pathname !== '/' || url.search !== '' || url.hash !== '') {
    throw new Refused({ code: 'feed.config-invalid', detail: 'A line of egress is a host such as data.example.org or data.example.org:8443, or http://host:port.', field: `egress: ${host.slice(0, 255)}` });
  }
  return url.origin;
}

function open(url: string, { accept, authorization, known, content }: Call, mayBePrivate: boolean, deadlineMs: number, signal: AbortSignal): Promise<IncomingMessage> {
  const { hostname, protocol, host } = new URL(url);
  const literal = hostname.replace(/^\[|\]$/g, '');
  if (isIP(literal) !== 0 && !mayBePrivate && isPrivateAddress(literal)) throw new Refused(blockedBy(`${literal} lies in a private network.`, host));
  return new Promise((resolve, reject) => {
    const send = protocol === 'https:' ? requestHttps : requestHttp;
    const request = send(url, {
      method: content === undefined ? 'GET' : 'POST',
      signal,
      lookup: lookupWith(mayBePrivate, host),
      maxHeaderSize: HEADER_BYTES,
      agent: false,
      headers: {
        accept,
        'accept-encoding': 'gzip, br, deflate',
        'user-agent': 'Clerestory',
        ...(authorization === undefined ? {} : { authorization }),
        ...(content === undefined ? {} : { 'content-type': content.type, 'content-length': Buffer.byteLength(content.body) }),
        ...(typeof known?.etag !== 'string' ? {} : { 'if-none-match': known.etag }),
        ...(typeof known?.last_modified !== 'string' ? {} : { 'if-modified-since': known.last_modified }),
      },
    });
    const timer = setTimeout(() => request.destroy(awayFault('It did not answer in time.', url)), Math.max(1, deadlineMs - performance.now()));
    request.once('response', (response) => {
      clearTimeout(timer);
      resolve(response);
    });
    request.once('error', (error) => {
      clearTimeout(timer);
      reject(error instanceof Refused ? error : awayFault(`The connection failed (${codeOf(error)}).`, url));
    });
    // RFC 9110 §7.8: nobody asked for another protocol; Node.js would close the connection and tell nobody
    request.once('upgrade', (_, socket) => {
      socket.destroy();
      reject(answerFault('It answers with status 101.', url));
    });
    request.once('close', () => {
      clearTimeout(timer);
      reject(awayFault('The connection was closed without an answer.', url));
    });
    request.end(content?.body);
  });
}

/** Resolves and checks in one step, so that a name cannot lead elsewhere between the check and the call. */
function lookupWith(mayBePrivate: boolean, host: string): LookupFunction {
  return (name, options, callback) => {
    lookupName(name, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, []);
      const bad = mayBePrivate ? undefined : addresses.find(({ address }) => isPrivateAddress(address));
      if (bad !== undefined) return callback(new Refused(blockedBy(`${host} leads into a private network.`, host)), []);
      if (options.all === true) return callback(null, addresses);
      const [first] = addresses;
      if (first === undefined) return callback(Object.assign(new Error('no address'), { code: 'ENOTFOUND' }), []);
      return callback(null, first.address, first.family);
    });
  };
}

async function readBody(response: IncomingMessage, max_bytes: number, url: string, deadlineMs: number): Promise<Buffer> {
  const timer = setTimeout(() => response.destroy(awayFault('The answer did not end in time.', url)), Math.max(1, deadlineMs - performance.now()));
  try {
    return await decodeStream(response, response.headers['content-encoding'], max_bytes, placeOf(url));
  } catch (error) {
    if (error instanceof Refused) throw error;
    throw awayFault(`The answer broke off (${codeOf(error)}).`, url);
  } finally {
    clearTimeout(timer);
    response.destroy();
  }
}

const DECODERS: Readonly<Record<string, () => Transform>> = { gzip: () => createGunzip(), 'x-gzip': () => createGunzip(), deflate: () => createInflate(), br: () => createBrotliDecompress() };

/**
 * Reads a body to its end and undoes its Content-Encoding (RFC 9110 §8.4). Throws `Refused` as soon as the decoded bytes
 * exceed `max_bytes`, for an encoding that is not known, and for bytes that are not of it; a broken stream is thrown as it is.
 */
export async function decodeStream(source: NodeJS.ReadableStream, encoding: string | undefined, max_bytes: number, field: string): Promise<Buffer> {
  const name = (encoding ?? 'identity').trim().toLowerCase();
  const decoder = name === 'identity' || name === '' ? null : DECODERS[name]?.();
  if (decoder === undefined) throw new Refused({ code: 'http.unsupported-type', detail: `The content encoding must be one of ${Object.keys(DECODERS).join(', ')}.`, field: 'content-encoding' });
  const tooLong = new Refused({ code: 'feed.document-too-large', detail: `It has more than ${max_bytes} bytes when it is unpacked.`, field });
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const stop = (error: Error): void => {
      source.removeListener('data', feed);
      decoder?.destroy();
      reject(error);
    };
    const take = (chunk: Buffer): void => {
      length += chunk.length;
      if (length > max_bytes) stop(tooLong);
      else chunks.push(chunk);
    };
    const feed = (chunk: Buffer): void => {
      if (decoder === null) take(chunk);
      else if (!decoder.write(chunk)) {
        source.pause();
        decoder.once('drain', () => source.resume());
      }
    };
    source.on('error', stop);
    source.on('aborted', () => stop(Object.assign(new Error('aborted'), { code: 'ECONNRESET' })));
    let isWhole = false;
    source.on('data', feed);
    source.on('close', () => {
      if (!isWhole) stop(Object.assign(new Error('closed'), { code: 'ECONNRESET' }));
    });
    source.on('end', () => {
      isWhole = true;
      if (decoder === null) resolve(Buffer.concat(chunks));
      else decoder.end();
    });
    decoder?.on('data', take);
    decoder?.on('error', () => stop(new Refused({ code: 'feed.document-invalid', detail: `It is not of the content encoding ${name} that it states.`, field })));
    decoder?.on('end', () => resolve(Buffer.concat(chunks)));
  });
}

const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'no reason given');
