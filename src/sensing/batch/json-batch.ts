import { ok, Refused, unwrap, type Result } from '../../kernel/index.ts';
import { parseExactJson, writeExactJson } from '../ingest/exact-json.ts';
import { checkSize } from './multipart.ts';
import { BATCH, METHODS, REFERENCE_NAME, type BatchAnswer, type BatchItem, type BatchRequest } from './request.ts';

const FIELDS: ReadonlySet<string> = new Set(['id', 'method', 'url', 'headers', 'body', 'atomicityGroup', 'dependsOn', 'if']);

const fault = (place: string, detail: string): Refused => new Refused({ code: 'batch.malformed', detail, field: place });

/** Reads a JSON batch (OData 4.01 JSON Format §19.1). Numbers of the bodies stay as they were written. */
export function readJsonBatch(body: Buffer): Result<BatchItem[]> {
  try {
    const document = unwrap(parseExactJson(body));
    const requests = isObject(document) ? document['requests'] : undefined;
    if (!Array.isArray(requests)) throw fault('requests', 'A JSON batch is {"requests": [{"id", "method", "url", "body"}, …]}.');
    if (requests.length > BATCH.parts) throw new Refused({ code: 'http.too-large', detail: `A batch has at most ${String(BATCH.parts)} requests.`, field: 'requests' });
    const items = gather(requests.map((request, at) => readRequest(request, `requests.${String(at)}`)));
    const refusal = checkSize(items) ?? checkOrder(items);
    return refusal === null ? ok(items) : { ok: false, refusal };
  } catch (error) {
    if (error instanceof Refused) return { ok: false, refusal: error.refusals[0] };
    throw error;
  }
}

interface GroupedRequest extends BatchRequest {
  readonly group: string | null;
}

function readRequest(value: unknown, place: string): GroupedRequest {
  if (!isObject(value)) throw fault(place, 'A request is a JSON object.');
  const unknown = Object.keys(value).find((name) => !FIELDS.has(name));
  if (unknown !== undefined) throw fault(`${place}.${unknown.slice(0, 100)}`, `A request has ${[...FIELDS].join(', ')} only.`);
  if (value['if'] !== undefined) throw new Refused({ code: 'http.not-implemented', detail: 'Conditions of requests are not built; use dependsOn.', field: `${place}.if` });
  const { id, method, url, body } = value;
  if (typeof id !== 'string' || id.length > BATCH.id_chars || !REFERENCE_NAME.test(id)) throw fault(`${place}.id`, 'It must be a text of letters, digits and . _ ~ -, at most 100.');
  if (typeof method !== 'string' || !METHODS.has(method.toUpperCase())) throw fault(`${place}.method`, `It must be one of ${[...METHODS].join(', ').toLowerCase()}.`);
  if (typeof url !== 'string' || url === '') throw fault(`${place}.url`, 'It must be an address, such as Things.');
  const group = value['atomicityGroup'] ?? null;
  if (group !== null && (typeof group !== 'string' || group === id || !REFERENCE_NAME.test(group))) throw fault(`${place}.atomicityGroup`, 'It must be a text like an id, and another than the id.');
  const headers = readHeaders(value['headers'], `${place}.headers`);
  return { id, group, method: method.toUpperCase(), url, headers, body: body === undefined || body === null ? null : Buffer.from(writeExactJson(body)), dependsOn: readNames(value['dependsOn'], `${place}.dependsOn`), place };
}

function readHeaders(value: unknown, place: string): ReadonlyMap<string, string> {
  if (value === undefined || value === null) return new Map();
  if (!isObject(value)) throw fault(place, 'It must be an object of texts.');
  const entries = Object.entries(value);
  if (entries.length > BATCH.header_lines) throw fault(place, `A request has at most ${String(BATCH.header_lines)} headers.`);
  return new Map(
    entries.map(([name, text]) => {
      if (!/^[!#$%&'*+.^_`|~\w-]{1,100}$/.test(name) || typeof text !== 'string' || text.length > BATCH.header_line_bytes || !/^[\t\x20-\x7e\x80-\xff]*$/.test(text)) throw fault(`${place}.${name.slice(0, 100)}`, 'A header is a name with a text.');
      return [name.toLowerCase(), text];
    }),
  );
}

function readNames(value: unknown, place: string): readonly string[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || !value.every((name): name is string => typeof name === 'string')) throw fault(place, 'It must be a list of ids.');
  return value;
}

/** Requests of one group stand together (OData 4.01 JSON Format §19.1: their order is that of the first). */
function gather(requests: readonly GroupedRequest[]): BatchItem[] {
  const items: { group: string | null; atomic: boolean; requests: BatchRequest[] }[] = [];
  for (const request of requests) {
    const { group } = request;
    const last = items.at(-1);
    if (group !== null && last?.group === group) last.requests.push(request);
    else if (group !== null && items.some((item) => item.group === group)) throw fault(request.place, `The requests of the group ${group} must stand next to each other.`);
    else items.push({ group, atomic: group !== null, requests: [request] });
  }
  return items;
}

function checkOrder(items: readonly BatchItem[]): Refused['refusals'][0] | null {
  const before = new Set<string>();
  for (const { group, requests } of items) {
    for (const { id, dependsOn, place } of requests) {
      const unknown = dependsOn.find((name) => !before.has(name));
      if (unknown !== undefined) return fault(`${place}.dependsOn`, `No request or group before this one is ${JSON.stringify(unknown.slice(0, 100))}.`).refusals[0];
      if (id !== null) before.add(id);
    }
    if (group !== null) before.add(group);
  }
  return null;
}

/** The answer to a JSON batch; bodies that are JSON stand in it as they are. */
export function writeJsonBatch(answers: readonly { readonly request: BatchRequest; readonly group: string | null; readonly answer: BatchAnswer }[]): string {
  const responses = answers.map(({ request, group, answer }) => {
    const { headers } = answer;
    const body = answer.body.length === 0 ? '' : `,"body":${/^application\/(?:[\w.+-]*\+)?json\b/.test(headers['content-type'] ?? '') ? answer.body.toString() : JSON.stringify(answer.body.toString())}`;
    return `{"id":${JSON.stringify(request.id)}${group === null ? '' : `,"atomicityGroup":${JSON.stringify(group)}`},"status":${String(answer.status)},"headers":${JSON.stringify(headers)}${body}}`;
  });
  return `{"responses":[${responses.join(',')}]}`;
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
