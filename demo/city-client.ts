import { setTimeout as sleep } from 'node:timers/promises';

/** Waits between attempts: 0.5 s, doubled to at most 15 s, unless the server names a time. */
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
const REQUEST_TIMEOUT_MS = 30_000;

/** The city refused a request for good: sending it again would not help. */
export class CityRefusal extends Error {
  readonly status: number;
  constructor(status: number, detail: string) {
    super(`the city answered ${status}: ${detail}`);
    this.name = 'CityRefusal';
    this.status = status;
  }
}

export interface CityClient {
  /** Answer of a GET as JSON, under a path of the city or a full link that it gave. */
  get(path: string): Promise<unknown>;
  /** Sends JSON, or a form when the body is URLSearchParams, in a language (BCP 47). Resolves with the JSON of the answer, null when it has none. */
  post(path: string, body: unknown, language?: string): Promise<unknown>;
}

interface CityClientOptions {
  readonly url: string;
  readonly token: string | undefined;
  /** Told when the city is away and the request will be sent again. */
  readonly onRetry?: (reason: string, wait_ms: number) => void;
  readonly signal?: AbortSignal;
}

/** A client of the public APIs that outlives a restart of the server: it sends again until an answer comes or the signal ends it. */
export function connectCity({ url, token, onRetry = () => undefined, signal }: CityClientOptions): CityClient {
  const authorization: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };

  const attempt = async (method: string, path: string, body: unknown, language: string): Promise<{ readonly value: unknown } | { readonly again: string; readonly wait_ms: number | null }> => {
    const form = body instanceof URLSearchParams;
    const target = new URL(path, url);
    if (target.origin !== new URL(url).origin) throw new Error(`the city linked to another server: ${target.origin}`);
    const answer = await fetch(target, {
      method,
      headers: { ...authorization, accept: 'application/json', 'accept-language': language, ...(body === undefined || form ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: form ? body : JSON.stringify(body) }),
      signal: AbortSignal.any([AbortSignal.timeout(REQUEST_TIMEOUT_MS), ...(signal ? [signal] : [])]),
    });
    const text = await answer.text();
    if (answer.ok) return { value: text === '' ? null : (JSON.parse(text) as unknown) };
    if (answer.status === 503 || answer.status === 429 || answer.status === 502) {
      const seconds = Number(answer.headers.get('retry-after') ?? '');
      return { again: `status ${answer.status}`, wait_ms: seconds > 0 ? seconds * 1_000 : null };
    }
    throw new CityRefusal(answer.status, text.slice(0, 500));
  };

  const send = async (method: string, path: string, body: unknown, language = 'en'): Promise<unknown> => {
    let wait_ms = FIRST_WAIT_MS;
    for (;;) {
      let reason: string;
      let named_ms: number | null = null;
      try {
        const outcome = await attempt(method, path, body, language);
        if ('value' in outcome) return outcome.value;
        [reason, named_ms] = [outcome.again, outcome.wait_ms];
      } catch (error) {
        // fetch throws a TypeError when there is no connection; everything else is an answer or a bug.
        const away = error instanceof TypeError || (error instanceof DOMException && error.name === 'TimeoutError');
        if (signal?.aborted || !away) throw error;
        reason = error instanceof TypeError && error.cause instanceof Error ? error.cause.message : error.message;
      }
      const next_ms = Math.min(named_ms ?? wait_ms, LONGEST_WAIT_MS);
      onRetry(reason, next_ms);
      await sleep(next_ms, undefined, signal ? { signal } : {});
      wait_ms = Math.min(wait_ms * 2, LONGEST_WAIT_MS);
    }
  };

  return { get: (path) => send('GET', path, undefined), post: (path, body, language) => send('POST', path, body, language) };
}
