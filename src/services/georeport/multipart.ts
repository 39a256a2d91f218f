import type { FastifyRequest } from 'fastify';
import { LIMITS, Refused } from '../../kernel/index.ts';

const LIMITS_OF_FORM = { fieldNameSize: 300, fieldSize: LIMITS.text_chars * 4, fields: 300, files: 5, fileSize: 1_024, parts: 305, headerPairs: 50 };

const BODY_BYTES_MAX = 1_048_576;

/** Fields of a multipart form by name. A file that is not empty is refused: photos are not taken. */
export async function readMultipart(request: FastifyRequest): Promise<Record<string, string[]>> {
  if (Number(request.headers['content-length'] ?? 0) > BODY_BYTES_MAX) throw new Refused({ code: 'http.too-large', detail: `The form is larger than ${BODY_BYTES_MAX} bytes; photos and files are not taken yet.`, field: 'body' });
  const fields = new Map<string, string[]>();
  let hasFile = false;
  try {
    for await (const part of request.parts({ limits: LIMITS_OF_FORM })) {
      if (part.type === 'file') {
        for await (const chunk of part.file) hasFile ||= (chunk as Uint8Array).length > 0; // read to its end, so that the next part comes
        continue;
      }
      if (part.valueTruncated || part.fieldnameTruncated) throw new Refused({ code: 'http.too-large', detail: `A field is longer than ${LIMITS_OF_FORM.fieldSize} bytes.`, field: part.fieldname.slice(0, 60) });
      if (typeof part.value === 'string') fields.set(part.fieldname, [...(fields.get(part.fieldname) ?? []), part.value]);
    }
  } catch (error) {
    if (error instanceof Refused) throw error;
    // the parser's own errors are about what was sent: a broken boundary, too many parts, an end that came early
    throw Object.assign(new Refused({ code: 'http.malformed', detail: 'The multipart form cannot be read.', field: 'body' }), { cause: error });
  }
  if (hasFile) throw new Refused({ code: 'request.media-refused', detail: 'Photos and files are not taken yet.', field: 'media' });
  return Object.fromEntries(fields);
}
