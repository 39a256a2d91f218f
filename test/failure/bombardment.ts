import { Agent, request as httpRequest } from 'node:http';
import { expect } from 'vitest';
import type { TestCity } from '../city.ts';
import { createMutator, type Mutator } from './mutation.ts';

// 100,000 a protocol by FUZZ_REQUESTS=100000; the suite runs a share of it.
export const REQUESTS = Number(process.env['FUZZ_REQUESTS'] ?? 2_000);
export const LANES = 16;
const ANSWER_TIMEOUT_MS = 30_000;

/** A request as it goes over the wire. */
export interface Sent {
  readonly method: string;
  readonly path: string;
  readonly body: string | Buffer | null;
  readonly type: string;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly retryAfter: string | undefined;
}

/** Requests by the thousand against a city, none of which may be answered by a fault of the server. */
export interface Bombardment {
  /** Answers by status. Fails at the first answer that is a fault of the server, or none. */
  send(seed: number, make: (mutator: Mutator) => Sent, requests?: number): Promise<ReadonlyMap<number, number>>;
  /** The city runs, answers, and has logged no fault of its own. */
  expectHealthy(): Promise<void>;
  describe(statuses: ReadonlyMap<number, number>): string;
  close(): void;
}

export function openBombardment(city: TestCity, token: string): Bombardment {
  let looked = 0; // characters of the city's output
  const agent = new Agent({ keepAlive: true, maxSockets: LANES });

  /** Null for what Node's own client refuses to send. */
  const sendOne = ({ method, path, body, type, headers }: Sent): Promise<Answer | null> =>
    new Promise((resolve, reject) => {
      let outgoing;
      try {
        outgoing = httpRequest(`${city.url}${path.startsWith('/') ? '' : '/'}${path}`, { method, agent, headers: { authorization: `Bearer ${token}`, ...(body === null ? {} : { 'content-type': type, 'content-length': Buffer.byteLength(body) }), ...headers } });
      } catch {
        resolve(null);
        return;
      }
      outgoing.setTimeout(ANSWER_TIMEOUT_MS, () => outgoing.destroy(new Error(`no answer to ${method} ${path.slice(0, 300)}`)));
      outgoing.on('error', reject);
      outgoing.on('response', (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += text.length < 4_000 ? part : ''));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text, retryAfter: response.headers['retry-after'] }));
        response.on('error', reject);
      });
      outgoing.end(body ?? undefined);
    });

  return {
    send: async (seed, make, requests = REQUESTS) => {
      const statuses = new Map<number, number>();
      const mutator = createMutator(seed);
      let left = requests;
      const lane = async (): Promise<void> => {
        while (left > 0) {
          left -= 1;
          const sent = make(mutator);
          const shown = (): string => `${sent.method} ${JSON.stringify(sent.path.slice(0, 500))} ${JSON.stringify(String(sent.body ?? '').slice(0, 1_000))}`;
          let answer;
          try {
            answer = await sendOne(sent);
          } catch (error) {
            throw new Error(`${shown()}: ${(error as Error).message}`, { cause: error });
          }
          if (answer === null) continue;
          const { status, retryAfter, text } = answer;
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
          const isFault = status >= 500 && status !== 501 && !(status === 503 && retryAfter !== undefined);
          expect(isFault, `${String(status)} for ${shown()}: ${text.slice(0, 300)}`).toBe(false);
        }
      };
      await Promise.all(Array.from({ length: LANES }, lane));
      return statuses;
    },
    expectHealthy: async () => {
      expect(city.process.exitCode).toBeNull();
      const answer = await city.call('GET', '/v1.1/Things?$count=true&$top=1');
      expect(answer.status).toBe(200);
      const said = city.output().slice(looked);
      looked += said.length;
      const faults = said.split('\n').filter((line) => /a request failed|uncaught|unhandled|a feed failed|an import failed|could not be taken/i.test(line));
      expect(faults.map((line) => line.slice(0, 1_500)).slice(0, 3)).toEqual([]);
    },
    describe: (statuses) => [...statuses].sort(([a], [b]) => a - b).map(([status, count]) => `${String(status)} × ${String(count)}`).join(', '),
    close: () => agent.destroy(),
  };
}
