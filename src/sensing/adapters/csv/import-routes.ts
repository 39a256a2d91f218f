import multipart from '@fastify/multipart';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { PassThrough } from 'node:stream';
import { z } from 'zod';
import { CSV_LIMITS, CsvMapping, type CsvProgress, type CsvReport } from '../../../contracts/csv-import.ts';
import { LIMITS, REFUSALS, Refused, statusOf, type Refusal } from '../../../kernel/index.ts';
import { refusalsOf, type Http, type Logger } from '../../../platform/index.ts';
import type { CsvImports } from './import.ts';

const NDJSON = 'application/x-ndjson';
const Query = z.strictObject({ dryRun: z.enum(['true', 'false']).default('false') });
const PART_LIMITS = { fieldNameSize: 60, fieldSize: CSV_LIMITS.mapping_bytes, fields: 2, files: 2, fileSize: CSV_LIMITS.file_bytes, parts: 4, headerPairs: 20 };
/** Between two lines of progress, in readings. */
const PROGRESS_READINGS = 20_000;

interface Upload {
  readonly mapping: CsvMapping;
  readonly file: AsyncIterable<Uint8Array>;
}

/**
 * `POST /api/import/csv?dryRun=true`: multipart/form-data with `mapping` (JSON) and then `file`, plain or gzip. Answers the report; with
 * `Accept: application/x-ndjson` lines of progress and then the report or the problem.
 */
export async function registerCsvImportRoutes(http: Http, { imports, logger }: { readonly imports: CsvImports; readonly logger: Logger }): Promise<void> {
  await http.register(async (scope) => {
    await scope.register(multipart);
    scope.post('/api/import/csv', { config: { action: 'sensing.write' }, bodyLimit: CSV_LIMITS.file_bytes + CSV_LIMITS.mapping_bytes, schema: { querystring: Query } }, async (request, reply) => {
      if (request.principal.device !== undefined) throw new Refused({ code: 'auth.forbidden', detail: 'The token of a device writes into its own datastreams only.' });
      const upload = await readUpload(request);
      if ((request.query as z.infer<typeof Query>).dryRun === 'true') return reply.send(await imports.tryOut(upload.mapping, upload.file));
      if (request.headers.accept?.includes(NDJSON) === true) return streamProgress(imports, upload, request, reply, logger);
      return reply.send(await imports.run(upload.mapping, upload.file, request.principal, () => undefined));
    });
  });
}

async function readUpload(request: FastifyRequest): Promise<Upload> {
  if (!request.isMultipart()) throw new Refused({ code: 'http.unsupported-type', detail: 'Send multipart/form-data with mapping and file.', field: 'content-type' });
  let mapping: CsvMapping | null = null;
  try {
    for await (const part of request.parts({ limits: PART_LIMITS })) {
      if (part.type === 'file') {
        if (part.fieldname === 'mapping') throw wrongForm('mapping is sent as a file; send it as a field, with curl: -F "mapping=<mapping.json".', 'mapping');
        if (part.fieldname !== 'file' || mapping === null) throw wrongForm('mapping must come before file.', mapping === null ? 'mapping' : 'file');
        return { mapping, file: piecesOf(part.file) };
      }
      if (part.fieldname !== 'mapping' || typeof part.value !== 'string') throw wrongForm('The form has mapping and file only.', part.fieldname.slice(0, 60));
      if (part.valueTruncated) throw new Refused({ code: 'http.too-large', detail: `The mapping has at most ${CSV_LIMITS.mapping_bytes} bytes.`, field: 'mapping' });
      mapping = readMapping(part.value);
    }
  } catch (error) {
    throw asRefused(error);
  }
  throw wrongForm('The form needs a file.', 'file');
}

const wrongForm = (detail: string, field: string): Refused => new Refused({ code: 'http.invalid', detail, field });
/** Errors of the form's parser are about what was sent: a broken boundary, too many parts, an end that came early. */
const asRefused = (error: unknown): Refused => (error instanceof Refused ? error : Object.assign(new Refused({ code: 'http.malformed', detail: 'The multipart form cannot be read to its end.', field: 'body' }), { cause: error }));

async function* piecesOf(file: AsyncIterable<Uint8Array> & { truncated?: boolean }): AsyncGenerator<Uint8Array> {
  try {
    for await (const piece of file) yield piece;
  } catch (error) {
    throw asRefused(error);
  }
  if (file.truncated === true) throw new Refused({ code: 'http.too-large', detail: `A file has at most ${CSV_LIMITS.file_bytes} bytes as sent; gzip it or send it in parts.`, field: 'file' });
}

/** Reads the mapping; throws `Refused` with every field that is wrong. */
function readMapping(text: string): CsvMapping {
  let sent: unknown;
  try {
    sent = JSON.parse(text);
  } catch (error) {
    throw Object.assign(new Refused({ code: 'http.malformed', detail: 'The mapping is not JSON.', field: 'mapping' }), { cause: error });
  }
  const parsed = CsvMapping.safeParse(sent);
  if (parsed.success) return parsed.data;
  const refusals = parsed.error.issues.slice(0, 20).map((issue): Refusal => ({ code: issue.code === 'unrecognized_keys' ? 'http.unknown-field' : 'http.invalid', detail: issue.message.slice(0, LIMITS.name_chars), field: ['mapping', ...issue.path.map(String)].join('.') }));
  throw new Refused(...(refusals as [Refusal, ...Refusal[]]));
}

function streamProgress(imports: CsvImports, { mapping, file }: Upload, request: FastifyRequest, reply: FastifyReply, logger: Logger): FastifyReply {
  const out = new PassThrough();
  const write = (line: CsvProgress): void => void out.write(`${JSON.stringify(line)}\n`);
  let bytes = 0;
  let said = 0;
  const counted = async function* (): AsyncGenerator<Uint8Array> {
    for await (const piece of file) {
      bytes += piece.length;
      yield piece;
    }
  };
  const run = async (): Promise<void> => {
    try {
      const report: CsvReport = await imports.run(mapping, counted(), request.principal, (rows, readings) => {
        if (readings - said < PROGRESS_READINGS) return;
        said = readings;
        write({ progress: { rows, readings, bytes } });
      });
      write({ report });
    } catch (error) {
      const refusal: Refusal | undefined = refusalsOf(error)?.[0];
      if (refusal === undefined) logger.error({ err: error }, 'an import failed');
      write({ problem: refusal === undefined ? { code: 'internal', detail: 'Something broke on our side; what was reported as stored is stored.', cure: 'Send the file again: nothing is stored twice.', field: null, status: 500 } : { code: refusal.code, detail: refusal.detail, cure: REFUSALS[refusal.code].cure, field: refusal.field ?? null, status: statusOf(refusal) } });
    } finally {
      out.end();
    }
  };
  void run();
  return reply.header('content-type', `${NDJSON}; charset=utf-8`).send(out);
}
