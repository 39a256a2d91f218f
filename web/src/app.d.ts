import type { IncomingMessage } from 'node:http';

/** The part of Fastify's `inject` that the pages use: an answer without a network hop, with the same checks. */
interface InjectedAnswer {
  statusCode: number;
  headers: Record<string, string | string[] | number | undefined>;
  rawPayload: Uint8Array<ArrayBuffer>;
}
interface InjectTarget {
  inject(request: { method: string; url: string; headers: Record<string, string>; payload?: Uint8Array; remoteAddress?: string }): Promise<InjectedAnswer>;
}

declare global {
  namespace App {
    interface Platform {
      /** Node's request; `app` is set by the server that hosts the pages. */
      req: IncomingMessage & { app?: InjectTarget };
    }
    interface Locals {
      /** What the browser asked for; pages of the room always speak English. */
      language: 'en' | 'de' | 'es' | 'fr';
      theme: 'auto' | 'light' | 'dark';
    }
    interface Error {
      message: string;
      /** Code of the server's table of refusals, when it is one. */
      code?: string;
    }
  }
}
