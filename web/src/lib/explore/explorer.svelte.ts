import { contentOf, parseAnswer, type Content } from './answer.ts';
import { requestPath, type RequestLine } from './request-line.ts';

/** Why there is no answer, in the server's words. */
export interface Fault {
  readonly status: number;
  readonly message: string;
  readonly code: string;
  /** Query option that is wrong, such as $filter; empty when it is something else. */
  readonly option: string;
  /** Place in the option's text, from 0; null when the server named none. */
  readonly at: number | null;
}

export interface Loaded {
  readonly line: RequestLine;
  readonly status: number;
  readonly type: string;
  readonly text: string;
  readonly took_ms: number;
  readonly content: Content;
}

/** Asks one question at a time; a new one gives up the one before. */
export class Explorer {
  loaded = $state.raw<Loaded | null>(null);
  fault = $state.raw<Fault | null>(null);
  /** Moment of the question that is under way. */
  asked_ms = $state<number | null>(null);
  cancelled = $state(false);
  #asking: AbortController | undefined;

  get busy(): boolean {
    return this.asked_ms !== null;
  }

  cancel(): void {
    this.cancelled = this.busy;
    this.#asking?.abort();
  }

  clear(): void {
    this.#asking?.abort();
    this.loaded = null;
    this.fault = null;
  }

  async ask(line: RequestLine): Promise<void> {
    this.#asking?.abort();
    const asking = new AbortController();
    this.#asking = asking;
    const started_ms = performance.now();
    this.asked_ms = started_ms;
    this.cancelled = false;
    try {
      const response = await fetch(requestPath(line), { signal: asking.signal, headers: { accept: 'application/json, text/plain;q=0.9, */*;q=0.5' } });
      const text = await response.text();
      if (this.#asking !== asking) return;
      const type = response.headers.get('content-type') ?? '';
      this.fault = response.ok ? null : faultOf(response.status, text);
      this.loaded = response.ok ? { line, status: response.status, type, text, took_ms: performance.now() - started_ms, content: type.includes('json') && text !== '' ? contentOf(parseAnswer(text)) : { kind: 'text' } } : null;
    } catch (error) {
      if (this.#asking !== asking) return;
      this.fault = null;
      if (asking.signal.aborted) return; // given up: the answer before stays
      this.loaded = null;
      this.fault = { status: 0, message: error instanceof Error ? error.message : String(error), code: '', option: '', at: null };
    } finally {
      if (this.#asking === asking) {
        this.asked_ms = null;
        this.#asking = undefined;
      }
    }
  }
}

interface ErrorBody {
  readonly message?: string;
  readonly detail?: string;
  readonly error?: { readonly code?: string; readonly field?: string };
}

/** The server counts characters from 1: `$filter, character 12: …`. */
export function faultOf(status: number, text: string): Fault {
  let body: ErrorBody = {};
  try {
    body = JSON.parse(text) as ErrorBody;
  } catch {
    // a proxy in between answered with a page of its own; its status still tells
  }
  const message = body.message ?? body.detail ?? '';
  const place = /^(\$?\w+), character (\d+):/.exec(message);
  return { status, message, code: body.error?.code ?? '', option: place?.[1] ?? '', at: place?.[2] === undefined ? null : Number(place[2]) - 1 };
}
