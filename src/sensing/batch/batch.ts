import { statusOf, type Refusal } from '../../kernel/index.ts';
import { STATUS_CODES } from '../../platform/index.ts';
import { describeRefusal } from '../error-shape.ts';
import { performChangeSet, type ChangeSetDeps } from './change-set.ts';
import { referTo } from './references.ts';
import { BATCH, type BatchAnswer, type BatchItem, type BatchRequest } from './request.ts';

export interface BatchOptions {
  /** Goes on after a request has failed (OData 4.0 Part 1 §8.2.8.3). */
  readonly continueOnError: boolean;
  /** Path under which the API stands, such as /v1.1. */
  readonly root: string;
  /** Origins that absolute addresses may have. */
  readonly origins: ReadonlySet<string>;
  /** Sends one request to this server with the credential of the batch. */
  readonly send: (request: { readonly method: string; readonly url: string; readonly headers: Readonly<Record<string, string>>; readonly body: Buffer | null }) => Promise<BatchAnswer>;
  readonly changeSets: ChangeSetDeps;
}

export interface AnsweredRequest {
  readonly request: BatchRequest;
  readonly item: BatchItem;
  readonly answer: BatchAnswer;
}

/** What the requests before have come to. */
interface Past {
  /** Path of what a request has created or changed, by its id. */
  readonly entities: Map<string, string>;
  readonly failed: Set<string>;
  bytes: number;
}

// A part says for itself what it is; who is asking is settled by the batch (RFC 9110 §7.6.1 and §11.6.2 name the others)
const PASSED: ReadonlySet<string> = new Set(['accept', 'content-type', 'prefer', 'if-match', 'if-none-match']);

/** Carries out a batch in order (OData 4.0 Part 1 §11.7.2). Requests behind a failed one get no answer, unless the sender wants to go on. */
export async function performBatch(items: readonly BatchItem[], options: BatchOptions): Promise<AnsweredRequest[]> {
  const past: Past = { entities: new Map(), failed: new Set(), bytes: 0 };
  const answered: AnsweredRequest[] = [];
  for (const item of items) {
    const answers = item.atomic ? await performGroup(item, past, options) : await Promise.all(item.requests.map((request) => performOne(request, past, options)));
    item.requests.forEach((request, at) => {
      const answer = answers[at];
      if (answer !== undefined) answered.push({ request, item, answer });
    });
    const failed = answers.some((answer) => answer.status >= 400);
    if (failed && item.group !== null) past.failed.add(item.group);
    if (failed && !options.continueOnError) break;
  }
  return answered;
}

async function performOne(request: BatchRequest, past: Past, options: BatchOptions): Promise<BatchAnswer> {
  const answer = await send(request, past, options);
  remember(request, answer, past, options);
  return answer;
}

/** One answer for each request; the one that failed has its own, and the others say that they depended on it. */
async function performGroup({ requests }: BatchItem, past: Past, options: BatchOptions): Promise<BatchAnswer[]> {
  const reading = requests.findIndex(({ method }) => method === 'GET' || method === 'HEAD');
  const fresh = (): Past => ({ entities: new Map(past.entities), failed: new Set(past.failed), bytes: past.bytes });
  let inside = fresh();
  const outcome =
    reading >= 0
      ? { kind: 'failed' as const, at: reading, answer: refusalAnswer({ code: 'http.invalid', detail: 'A change set holds no requests that read.', field: requests[reading]?.place ?? '' }) }
      : await performChangeSet(options.changeSets, requests.length, (at) => {
          if (at === 0) inside = fresh(); // also when the set starts again
          return performOne(requests[at] as BatchRequest, inside, options);
        });
  past.bytes = inside.bytes;
  if (outcome.kind === 'done') {
    for (const [id, path] of inside.entities) past.entities.set(id, path);
    return [...outcome.answers];
  }
  for (const { id } of requests) if (id !== null) past.failed.add(id);
  return requests.map(({ place }, at) => (at === outcome.at ? outcome.answer : refusalAnswer({ code: 'batch.dependency-failed', detail: 'Another request of the change set failed, so nothing of it was done.', field: place })));
}

function remember({ id, method }: BatchRequest, { status, headers }: BatchAnswer, past: Past, { root }: BatchOptions): void {
  if (id === null) return;
  if (status >= 400) past.failed.add(id);
  const location = headers['location'];
  if (method === 'POST' && location !== undefined) past.entities.set(id, location.slice(location.indexOf(`${root}/`)));
}

async function send(request: BatchRequest, past: Past, options: BatchOptions): Promise<BatchAnswer> {
  const missing = request.dependsOn.find((name) => past.failed.has(name));
  if (missing !== undefined) return refusalAnswer({ code: 'batch.dependency-failed', detail: `The request ${missing}, which this one depends on, failed.`, field: request.place });
  if (past.bytes > BATCH.answer_bytes) return refusalAnswer({ code: 'http.too-large', detail: `The answers before this one have more than ${String(BATCH.answer_bytes)} bytes together; ask in several batches.`, field: request.place });
  const referred = referTo(request, past, options);
  if ('code' in referred) return refusalAnswer(referred);
  const headers: Record<string, string> = {};
  for (const [name, value] of request.headers) if (PASSED.has(name)) headers[name] = value;
  if (referred.body !== null) headers['content-type'] ??= 'application/json';
  const answer = await options.send({ method: request.method, url: referred.url, headers, body: referred.body });
  past.bytes += answer.body.length;
  return answer;
}

/** A refusal in the shape of the API. */
function refusalAnswer(refusal: Refusal): BatchAnswer {
  return { status: statusOf(refusal), headers: { 'content-type': 'application/json; charset=utf-8' }, body: Buffer.from(JSON.stringify(describeRefusal(refusal))) };
}

const CRLF = '\r\n';

/** The answer to a multipart batch and its boundary; a change set that failed has one answer (OData 4.0 Part 1 §11.7.5). */
export function writeMultipartBatch(answered: readonly AnsweredRequest[]): { readonly boundary: string; readonly body: Buffer } {
  const outer: Buffer[][] = [];
  const boundary = freeBoundary('batch', answered);
  const setBoundary = freeBoundary('changeset', answered);
  for (const [item, members] of Map.groupBy(answered, (one) => one.item)) {
    const failed = members.find(({ answer }) => answer.status >= 400 && answer.status !== 424) ?? members.find(({ answer }) => answer.status >= 400);
    if (!item.atomic) outer.push(...members.map(httpPart));
    else if (failed !== undefined) outer.push(httpPart(failed));
    else outer.push([Buffer.from(`Content-Type: multipart/mixed; boundary=${setBoundary}${CRLF}${CRLF}`), ...enclose(members.map(httpPart), setBoundary)]);
  }
  return { boundary, body: Buffer.concat(enclose(outer, boundary)) };
}

function httpPart({ request, answer }: AnsweredRequest): Buffer[] {
  const head = [
    'Content-Type: application/http',
    'Content-Transfer-Encoding: binary',
    ...(request.id === null ? [] : [`Content-ID: ${request.id}`]),
    '',
    `HTTP/1.1 ${String(answer.status)} ${STATUS_CODES[answer.status] ?? 'Unknown'}`,
    ...Object.entries(answer.headers).filter(([name]) => name !== 'content-length').map(([name, value]) => `${name}: ${value}`),
    `content-length: ${String(answer.body.length)}`,
    '',
    '',
  ].join(CRLF);
  return [Buffer.from(head, 'latin1'), answer.body];
}

const enclose = (parts: readonly Buffer[][], boundary: string): Buffer[] => [...parts.flatMap((part) => [Buffer.from(`--${boundary}${CRLF}`), ...part, Buffer.from(CRLF)]), Buffer.from(`--${boundary}--${CRLF}`)];

/** A boundary that stands in none of the answers (RFC 2046 §5.1.1). */
function freeBoundary(name: string, answered: readonly AnsweredRequest[]): string {
  for (let number = 1; ; number += 1) {
    const boundary = `${name}_${String(number)}`;
    if (!answered.some(({ answer }) => answer.body.includes(`--${boundary}`))) return boundary;
  }
}
