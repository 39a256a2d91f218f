import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Refused } from '../../kernel/index.ts';

const SHIPPED = fileURLToPath(new URL('../../../policies/', import.meta.url));
const SCHEMA = 'schema.cedarschema';
const CITY_FILES_MAX = 100;
const FILE_MAX_BYTES = 262_144;

export interface PolicyFile {
  readonly name: string;
  readonly text: string;
}

/** The policy as text: what the product ships, and what the city adds, which may only forbid. */
export interface PolicyTexts {
  readonly schema: string;
  readonly shipped: readonly PolicyFile[];
  readonly city: readonly PolicyFile[];
}

/** Reads policies/ of the product and city/policies of the data folder. Throws `Refused` when the city's are too many or too large. */
export function readPolicyTexts(dataFolder: string | null): PolicyTexts {
  return {
    schema: readFileSync(join(SHIPPED, SCHEMA), 'utf8'),
    shipped: readFolder(SHIPPED),
    city: dataFolder === null ? [] : readFolder(join(dataFolder, 'city', 'policies')).map(({ name, text }) => ({ name: `city/policies/${name}`, text })),
  };
}

/** SHA-256 of the schema and all files with their names, hex; the same text under another name is another policy. */
export function hashOfTexts({ schema, shipped, city }: PolicyTexts): string {
  const parts = [[SCHEMA, schema], ...[...shipped, ...city].map(({ name, text }) => [name, text])];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

function readFolder(folder: string): PolicyFile[] {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => name.endsWith('.cedar')).sort();
  if (names.length > CITY_FILES_MAX) throw new Refused({ code: 'start.config-invalid', detail: `city/policies holds more than ${CITY_FILES_MAX} files.`, field: 'policies' });
  return names.map((name) => {
    const text = readFileSync(join(folder, name), 'utf8');
    if (Buffer.byteLength(text) > FILE_MAX_BYTES) throw new Refused({ code: 'start.config-invalid', detail: `city/policies/${name} is larger than ${FILE_MAX_BYTES} bytes.`, field: name });
    return { name, text };
  });
}
