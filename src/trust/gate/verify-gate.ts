import { open } from 'node:fs/promises';
import type { GateVerdict } from '../../contracts/gate.ts';
import { judge } from './verdict.ts';

const FILE_BYTES = 268_435_456;
const SHOWN = 200;

/**
 * `clerestory verify gate FILE`: what the gate says to each line of a text file, each member of a JSON list, or one binary file.
 * Exit code 0 when nothing would be refused, 1 when something would, 2 when there is nothing to look at.
 */
export async function verifyGate(path: string, { country = 'DE' }: { country?: string | undefined }, say: (line: string) => void = console.log): Promise<number> {
  if (!/^[A-Z]{2}$/.test(country)) {
    say(`--country takes a code of ISO 3166-1 such as DE, not ${country}.`);
    return 2;
  }
  const bytes = await readWhole(path);
  if (typeof bytes === 'string' || bytes.length === 0) {
    say(typeof bytes === 'string' ? bytes : 'The file is empty: nothing to check.');
    return 2;
  }
  const documents = documentsOf(bytes);
  let refused = 0;
  const byRule = new Map<string, number>();
  for (const [at, document] of documents.entries()) {
    const verdict = judge(document, country);
    if (!verdict.refused) continue;
    refused += 1;
    for (const rule of verdict.rules) byRule.set(rule, (byRule.get(rule) ?? 0) + 1);
    if (refused <= SHOWN) say(`${String(at + 1).padStart(7)}  refused  ${describe(verdict)}`);
  }
  if (refused > SHOWN) say(`         and ${String(refused - SHOWN)} more`);
  say(`${String(documents.length)} documents, ${String(documents.length - refused)} would pass the detectors, ${String(refused)} would be refused.`);
  for (const [rule, count] of [...byRule].sort((a, b) => b[1] - a[1])) say(`  ${rule.padEnd(20)} ${String(count)}`);
  say('Proved: what the detectors and shape tests of this version say to these documents, read as structured results (OM_Observation).');
  say('Not proved: that names and free descriptions of persons are noticed; that a stream with a narrower registration would take them; anything about behaviour over time.');
  return refused === 0 ? 0 : 1;
}

const describe = ({ findings, rules }: GateVerdict): string => {
  const [first] = findings;
  return `${rules.join(', ')}${first === undefined ? '' : ` at ${first.path === '' ? 'the top' : first.path} ${String(first.start)}-${String(first.end)}${first.through.length === 0 ? '' : ` through ${first.through.join(', ')}`}`}`;
};

async function readWhole(path: string): Promise<Buffer | string> {
  let file;
  try {
    file = await open(path);
  } catch (error) {
    return `The file ${path} cannot be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}.`;
  }
  try {
    const { size } = await file.stat();
    return size > FILE_BYTES ? `The file has more than ${String(FILE_BYTES)} bytes; split it.` : await file.readFile();
  } finally {
    await file.close();
  }
}

/** One JSON document, the members of a JSON list, lines of text, or the whole of a binary file. */
function documentsOf(bytes: Buffer): (string | Buffer)[] {
  const text = bytes.toString('utf8');
  if (text.includes('\ufffd') || /[\0-\x08\x0e-\x1f]/.test(text)) return [bytes];
  const trimmed = text.trim();
  if (trimmed.startsWith('[') || trimmed.startsWith('{')) {
    try {
      const whole = JSON.parse(trimmed) as unknown;
      return Array.isArray(whole) && whole.every((member) => typeof member === 'object' && member !== null && !Array.isArray(member)) ? whole.map((member) => JSON.stringify(member)) : [trimmed];
    } catch {
      // lines of JSON, or of text
    }
  }
  return trimmed.split(/\r?\n/).filter((line) => line.trim() !== '');
}
