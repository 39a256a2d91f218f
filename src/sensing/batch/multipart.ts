import { refuse, ok, Refused, type Refusal, type Result } from '../../kernel/index.ts';
import { BATCH, METHODS, REFERENCE_NAME, type BatchItem, type BatchRequest } from './request.ts';

/** A line of a body: where it starts, where its text ends, where the next line starts. */
interface Line {
  readonly start: number;
  readonly end: number;
  readonly next: number;
  readonly number: number;
}

interface Part {
  readonly headers: ReadonlyMap<string, string>;
  readonly content: Buffer;
  /** Number of the line at which the content starts, counted over the whole body. */
  readonly line: number;
}

const fault = (line: number, detail: string): Refused => new Refused({ code: 'batch.malformed', detail: `Line ${String(line)}: ${detail}`, field: `line ${String(line)}` });

/** The boundary of a multipart content type (RFC 2046 §5.1.1), or null. */
export function boundaryOf(contentType: string): string | null {
  const found = /^multipart\/mixed\s*;(?:.*;)?\s*boundary\s*=\s*(?:"([^"\\]{1,70})"|([^\s;"]{1,70}))\s*(?:;|$)/i.exec(contentType);
  const boundary = found?.[1] ?? found?.[2];
  return boundary === undefined || !/^[\w'()+,./:=? -]*[\w'()+,./:=?-]$/.test(boundary) ? null : boundary;
}

/** Reads a multipart batch (OData 4.0 Part 1 §11.7.1-3). Refuses with the number of the line. */
export function readMultipartBatch(body: Buffer, boundary: string): Result<BatchItem[]> {
  try {
    const items = readParts(body, boundary, 1).map((part) => readItem(part));
    const refusal = checkSize(items);
    return refusal === null ? ok(items) : { ok: false, refusal };
  } catch (error) {
    if (error instanceof Refused) return { ok: false, refusal: error.refusals[0] };
    throw error;
  }
}

/** Bounds on a batch of either form, and ids that are there once. */
export function checkSize(items: readonly BatchItem[]): Refusal | null {
  const requests = items.flatMap((item) => item.requests);
  if (requests.length > BATCH.parts) return refuse('http.too-large', `A batch has at most ${String(BATCH.parts)} requests.`, 'body').refusal;
  const ids = new Set<string>();
  for (const { id, place } of requests) {
    if (id === null) continue;
    if (ids.has(id)) return refuse('batch.malformed', `Two requests have the id ${JSON.stringify(id)}.`, place).refusal;
    ids.add(id);
  }
  return null;
}

function readItem(part: Part): BatchItem {
  const type = part.headers.get('content-type') ?? '';
  if (/^application\/http\s*(?:;|$)/i.test(type)) return { group: null, atomic: false, requests: [readRequest(part)] };
  if (!/^multipart\//i.test(type)) throw fault(part.line, 'a part is application/http, or multipart/mixed for a change set.');
  const boundary = boundaryOf(type);
  if (boundary === null) throw fault(part.line, 'the multipart/mixed of a change set names its boundary.');
  const requests = readParts(part.content, boundary, part.line).map((inner) => {
    if (!/^application\/http\s*(?:;|$)/i.test(inner.headers.get('content-type') ?? '')) throw fault(inner.line, 'a part of a change set is application/http; change sets do not nest.');
    return readRequest(inner);
  });
  return { group: null, atomic: true, requests };
}

function readParts(body: Buffer, boundary: string, firstLine: number): Part[] {
  const delimiter = Buffer.from(`--${boundary}`, 'latin1');
  const parts: Part[] = [];
  let start: Line | null = null; // first line of the part that is being read
  for (const line of linesOf(body, 0, firstLine)) {
    const kind = delimiterKind(body, line, delimiter);
    if (kind === null) continue;
    if (start !== null) {
      if (parts.length >= BATCH.parts) throw new Refused({ code: 'http.too-large', detail: `A batch has at most ${String(BATCH.parts)} parts.`, field: 'body' });
      parts.push(readPart(body.subarray(start.next, Math.max(start.next, lineBreakBefore(body, line.start))), start.number + 1));
    }
    if (kind === 'end') return parts;
    start = line;
  }
  throw fault(firstLine, start === null ? `no line is the delimiter --${boundary}.` : `the closing delimiter --${boundary}-- is missing; was the body cut off?`);
}

/** The line break before a delimiter belongs to it (RFC 2046 §5.1.1). */
function lineBreakBefore(body: Buffer, at: number): number {
  if (at === 0 || body[at - 1] !== 10) return at;
  return body[at - 2] === 13 ? at - 2 : at - 1;
}

function delimiterKind(body: Buffer, { start, end }: Line, delimiter: Buffer): 'next' | 'end' | null {
  if (end - start < delimiter.length || body.compare(delimiter, 0, delimiter.length, start, start + delimiter.length) !== 0) return null;
  const rest = body.toString('latin1', start + delimiter.length, Math.min(end, start + delimiter.length + 100)).trimEnd();
  return rest === '' ? 'next' : rest === '--' ? 'end' : null;
}

function* linesOf(body: Buffer, from: number, firstNumber: number): Generator<Line> {
  let number = firstNumber;
  for (let start = from; start < body.length; number += 1) {
    const found = body.indexOf(10, start);
    const next = found < 0 ? body.length : found + 1;
    let end = found < 0 ? body.length : found;
    if (end > start && body[end - 1] === 13) end -= 1;
    yield { start, end, next, number };
    start = next;
  }
}

function readPart(content: Buffer, firstLine: number): Part {
  const headers = new Map<string, string>();
  for (const line of linesOf(content, 0, firstLine)) {
    if (line.end === line.start) return { headers, content: content.subarray(line.next), line: line.number + 1 };
    readHeader(content, line, headers);
  }
  return { headers, content: content.subarray(content.length), line: firstLine + headers.size };
}

function readHeader(content: Buffer, { start, end, number }: Line, headers: Map<string, string>): void {
  if (end - start > BATCH.header_line_bytes || headers.size >= BATCH.header_lines) throw fault(number, `a part has at most ${String(BATCH.header_lines)} header lines of ${String(BATCH.header_line_bytes)} bytes.`);
  const found = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*$/.exec(content.toString('latin1', start, end));
  if (found === null) throw fault(number, 'a header is `Name: value`, and an empty line ends the headers.');
  headers.set(String(found[1]).toLowerCase(), String(found[2]));
}

const REQUEST_LINE = /^([A-Za-z]+) (\S+)(?: HTTP\/\d(?:\.\d)?)?$/;

function readRequest({ headers: partHeaders, content, line }: Part): BatchRequest {
  const lines = linesOf(content, 0, line);
  const first = lines.next();
  const text = first.done === true ? '' : content.toString('latin1', first.value.start, first.value.end);
  const found = REQUEST_LINE.exec(text);
  if (first.done === true || found === null) throw fault(line, 'a request starts with a line such as `POST Things HTTP/1.1`.');
  const method = String(found[1]).toUpperCase();
  if (!METHODS.has(method)) throw fault(line, `the method is one of ${[...METHODS].join(', ')}.`);
  const headers = new Map<string, string>();
  let body: Buffer | null = null;
  for (const header of lines) {
    if (header.end === header.start) {
      body = content.subarray(header.next);
      break;
    }
    readHeader(content, header, headers);
  }
  const id = (partHeaders.get('content-id') ?? headers.get('content-id'))?.replace(/^<(.*)>$/, '$1') ?? null;
  if (id !== null && (id.length > BATCH.id_chars || !REFERENCE_NAME.test(id))) throw fault(line, 'a Content-ID is made of letters, digits and . _ ~ -.');
  return { id, method, url: String(found[2]), headers, body: bodyOf(body, headers, line), dependsOn: [], place: `line ${String(line)}` };
}

/** What Content-Length says, when it is sent; else all, without the empty lines that some senders put after a request. */
function bodyOf(body: Buffer | null, headers: ReadonlyMap<string, string>, line: number): Buffer | null {
  if (body === null) return null;
  const stated = headers.get('content-length');
  if (stated !== undefined) {
    const length = /^\d{1,9}$/.test(stated) ? Number(stated) : NaN;
    if (!(length <= body.length) || body.toString('latin1', length).trim() !== '') throw fault(line, 'Content-Length is not the length of the body in bytes.');
    return length === 0 ? null : body.subarray(0, length);
  }
  return body.toString('latin1').trim() === '' ? null : body;
}
