import { ok, refuse, type Refusal, type Result } from '../../kernel/index.ts';
import type { SentObservation } from './admission.ts';
import { readId, readLink } from './observation-body.ts';

/** One block of a data array (18-088 §13.2): rows of one Datastream or MultiDatastream under common columns. */
export interface DataArrayBlock {
  readonly datastreamId: number;
  /** The id is that of a MultiDatastream. */
  readonly isMulti: boolean;
  readonly rows: readonly unknown[];
  /** Reads one row. The object is used again for the next one. */
  read(row: unknown): SentObservation | Refusal;
}

const COLUMNS = ['result', 'phenomenonTime', 'resultTime', 'resultQuality', 'validTime', 'parameters', 'feature'] as const;
const COLUMN_OF: Readonly<Record<string, (typeof COLUMNS)[number]>> = {
  result: 'result',
  phenomenonTime: 'phenomenonTime',
  resultTime: 'resultTime',
  resultQuality: 'resultQuality',
  validTime: 'validTime',
  parameters: 'parameters',
  'FeatureOfInterest/id': 'feature',
  'FeatureOfInterest/@iot.id': 'feature',
};
const BLOCK_FIELDS: ReadonlySet<string> = new Set(['Datastream', 'MultiDatastream', 'components', 'dataArray', 'dataArray@iot.count']);

/** Reads the body of CreateObservations: `[{Datastream, components, dataArray, "dataArray@iot.count"?}]`. Refuses a wrong shape as a whole. */
export function readDataArrays(body: unknown): Result<DataArrayBlock[]> {
  if (!Array.isArray(body)) return refuse('http.invalid', 'The body is a JSON array of blocks, each with Datastream, components and dataArray.', 'body');
  const blocks: DataArrayBlock[] = [];
  for (const [at, block] of (body as unknown[]).entries()) {
    const read = readBlock(block, String(at));
    if (!read.ok) return read;
    blocks.push(read.value);
  }
  return ok(blocks);
}

function readBlock(block: unknown, path: string): Result<DataArrayBlock> {
  if (typeof block !== 'object' || block === null || Array.isArray(block)) return refuse('http.invalid', 'A block is a JSON object.', path);
  const fields = block as Record<string, unknown>;
  const stranger = Object.keys(fields).find((name) => !BLOCK_FIELDS.has(name));
  if (stranger !== undefined) return refuse('http.unknown-field', 'A block has Datastream or MultiDatastream, components, dataArray and dataArray@iot.count only.', `${path}.${stranger.slice(0, 255)}`);
  const isMulti = fields['MultiDatastream'] !== undefined;
  const kind = isMulti ? 'MultiDatastream' : 'Datastream';
  if (isMulti && fields['Datastream'] !== undefined) return refuse('http.invalid', 'A block belongs to a Datastream or to a MultiDatastream, not to both.', `${path}.MultiDatastream`);
  const datastreamId = readLink(fields[kind]);
  if (datastreamId === null) return refuse('http.invalid', `It must be a link to an existing ${kind}: {"@iot.id": 1}.`, `${path}.${kind}`);
  const { components, dataArray } = fields;
  if (!Array.isArray(components) || components.length > 7) return refuse('http.invalid', 'It must list the names of the columns.', `${path}.components`);
  const columns: (typeof COLUMNS)[number][] = [];
  for (const name of components as unknown[]) {
    const column = typeof name === 'string' && Object.hasOwn(COLUMN_OF, name) ? COLUMN_OF[name] : undefined;
    if (column === undefined || columns.includes(column)) return refuse('gate.field-unregistered', `Columns may be ${Object.keys(COLUMN_OF).join(', ')}, each once.`, `${path}.components`);
    columns.push(column);
  }
  if (!columns.includes('result')) return refuse('http.invalid', 'A column must be result.', `${path}.components`);
  if (!Array.isArray(dataArray)) return refuse('http.invalid', 'It must be an array of rows.', `${path}.dataArray`);
  const count = fields['dataArray@iot.count'];
  if (count !== undefined && count !== dataArray.length) return refuse('http.invalid', `It says another number than the ${dataArray.length} rows that came.`, `${path}.dataArray@iot.count`);
  return ok({ datastreamId, isMulti, rows: dataArray as unknown[], read: readerOf(columns) });
}

function readerOf(columns: readonly (typeof COLUMNS)[number][]): (row: unknown) => SentObservation | Refusal {
  const width = columns.length;
  const at = (column: (typeof COLUMNS)[number]): number => columns.indexOf(column);
  const [result, phenomenonTime, resultTime, resultQuality, validTime, parameters, feature] = COLUMNS.map(at) as [number, number, number, number, number, number, number];
  const wrongWidth: Refusal = { code: 'http.invalid', detail: `A row is an array of ${width} values, one for each component.`, field: 'dataArray' };
  const wrongFeature: Refusal = { code: 'http.invalid', detail: 'It must be the id of an existing FeatureOfInterest.', field: 'FeatureOfInterest/id' };
  const sent: { -readonly [Field in keyof SentObservation]: SentObservation[Field] } = { result: undefined, phenomenonTime: undefined, resultTime: undefined, resultQuality: undefined, validTime: undefined, parameters: undefined, feature: undefined };
  return (row) => {
    if (!Array.isArray(row) || row.length !== width) return wrongWidth;
    sent.result = row[result];
    if (phenomenonTime >= 0) sent.phenomenonTime = row[phenomenonTime];
    if (resultTime >= 0) sent.resultTime = row[resultTime];
    // null stands for "not sent" in a column that other rows fill
    if (resultQuality >= 0) sent.resultQuality = row[resultQuality] ?? undefined;
    if (validTime >= 0) sent.validTime = row[validTime] ?? undefined;
    if (parameters >= 0) sent.parameters = row[parameters] ?? undefined;
    if (feature >= 0) {
      const value: unknown = row[feature];
      const id = value === null || value === undefined ? undefined : readId(value);
      if (id === null) return wrongFeature;
      sent.feature = id;
    }
    return sent;
  };
}
