/** What a page does with an answer that is not 2xx: the server's refusal (RFC 9457) as it stands. */
export interface Problem {
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly code: string;
  readonly cure: string;
  readonly field: string;
}

export type Answer<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: Problem };

type Fetch = typeof globalThis.fetch;

const NO_CONNECTION: Problem = { status: 0, title: 'The server does not answer', detail: 'The request did not get through.', code: 'no-connection', cure: 'Check the network; nothing was changed.', field: '' };

async function problemOf(response: Response): Promise<Problem> {
  const text = await response.text();
  let body: Partial<Problem> = {};
  try {
    body = JSON.parse(text) as Partial<Problem>;
  } catch {
    // a proxy in between answered with a page of its own; its status still tells
  }
  return { status: response.status, title: body.title ?? `The server answered ${response.status}`, detail: body.detail ?? '', code: body.code ?? '', cure: body.cure ?? '', field: body.field ?? '' };
}

/** GET or POST of JSON, with an Idempotency-Key where `key` is given; never throws for a refusal or a broken network. An aborted read is thrown as the browser does. */
export async function call<T>(fetch: Fetch, path: string, init: { method?: 'GET' | 'POST' | 'PUT' | 'DELETE'; body?: unknown; signal?: AbortSignal; key?: string } = {}): Promise<Answer<T>> {
  let response: Response;
  try {
    response = await fetch(path, {
      method: init.method ?? 'GET',
      headers: { accept: 'application/json', ...(init.body === undefined ? {} : { 'content-type': 'application/json' }), ...(init.key === undefined ? {} : { 'idempotency-key': init.key }) },
      ...(init.body === undefined ? {} : { body: JSON.stringify(init.body) }),
      ...(init.signal === undefined ? {} : { signal: init.signal }),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    return { ok: false, problem: NO_CONNECTION };
  }
  if (!response.ok) return { ok: false, problem: await problemOf(response) };
  if (response.status === 204) return { ok: true, value: undefined as T };
  return { ok: true, value: (await response.json()) as T };
}
