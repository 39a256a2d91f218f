import type { FastifyRequest } from 'fastify';

const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * Whether a browser says that the request comes from a page of this server: Fetch Metadata (W3C, Sec-Fetch-Site), or else the
 * Origin (RFC 6454 §7). `unknown` when it says neither, as scripts do.
 */
export function siteOf(request: FastifyRequest, publicHost: string | undefined): 'same' | 'cross' | 'unknown' {
  const site = request.headers['sec-fetch-site'];
  if (site !== undefined) return site === 'same-origin' || site === 'none' ? 'same' : 'cross';
  const { origin, host } = request.headers;
  if (origin === undefined) return 'unknown';
  if (!URL.canParse(origin)) return 'cross';
  const from = new URL(origin).host;
  return from === host || from === publicHost ? 'same' : 'cross';
}

export const changesNothing = (request: FastifyRequest): boolean => SAFE_METHODS.has(request.method);
