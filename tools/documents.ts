// Writes what is generated (docs/reference/errors.md, configuration.md, sbom.cdx.json); with --check, fails when a file differs.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { ConfigSchema } from '../src/config.ts';
import { REFUSALS } from '../src/kernel/index.ts';
import { writeBillOfMaterials, type LockFile } from '../src/verify/bill-of-materials.ts';
import { BILL_OF_MATERIALS, findPageImports } from '../src/verify/build.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

function writeErrors(): string {
  const rows = Object.entries(REFUSALS).map(([code, { status, title, cure }]) => `| \`${code}\` | ${status} | ${title} | ${cure} |`);
  return ['# Refusals', '', 'Generated from `src/kernel/errors.ts` by `node tools/run.mjs tools/documents.ts`. Every refusal carries one of these codes, names the field and the cure.', '', '| code | HTTP status | what it says | what to do |', '|---|---|---|---|', ...rows, ''].join('\n');
}

function writeConfiguration(): string {
  const schema = z.toJSONSchema(ConfigSchema, { io: 'input', unrepresentable: 'any' });
  const rows = Object.entries(schema.properties ?? {}).map(([key, property]) => {
    const { description, default: otherwise } = property as { description?: string; default?: unknown };
    return `| \`${key}\` | \`CLERESTORY_${key.toUpperCase()}\` | ${otherwise === undefined ? 'not set' : `\`${JSON.stringify(otherwise)}\``} | ${description ?? ''} |`;
  });
  return ['# Configuration', '', 'Generated from `src/config.ts`. Environment over `clerestory.yaml` (or the file that `CLERESTORY_CONFIG` names) over defaults; an unknown key refuses the start.', '`npx clerestory start --print-config` shows what is in force and where it comes from.', '', '| key in the file | environment | default | meaning |', '|---|---|---|---|', ...rows, ''].join('\n');
}

const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as LockFile;
const documents: Record<string, string> = { [BILL_OF_MATERIALS]: writeBillOfMaterials(lock, await findPageImports(root)), 'docs/reference/errors.md': writeErrors(), 'docs/reference/configuration.md': writeConfiguration() };
let differing = 0;
for (const [file, text] of Object.entries(documents)) {
  const path = join(root, file);
  if (process.argv.includes('--check')) {
    if (!existsSync(path) || readFileSync(path, 'utf8') !== text) {
      console.error(`${file} is not what the code says: run \`node tools/run.mjs tools/documents.ts\``);
      differing += 1;
    }
  } else {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
}
process.exit(differing > 0 ? 1 : 0);
