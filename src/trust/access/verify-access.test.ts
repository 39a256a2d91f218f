import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import { openLogIn, temporaryFolder } from '../../../test/log-folder.ts';
import { checkAccess, readAccessFile, type AccessEntry, type AccessFile } from '../../contracts/tlog/access.ts';
import { readNoteKey, type NoteKey } from '../../contracts/tlog/note.ts';
import { findOwnLeaves } from '../../contracts/tlog/own-leaves.ts';
import { trustLogAlone, type TrustPolicy } from '../../contracts/tlog/policy.ts';
import { canonicalJson } from '../log/canonical.ts';
import { caseTag, commitTo, encodeLeaf } from '../log/entry.ts';
import type { TransparencyLog } from '../log/log.ts';
import { openFolder } from '../log/verify-command.ts';
import { verifyAccess, type VerifyAccessOptions } from './verify-access.ts';

const LOG_KEY = Buffer.alloc(32, 7);
const LOOKS = 5;
let folder: string;
let log: TransparencyLog;
let file: AccessFile;
let policy: TrustPolicy;

async function addLook(n: number, logKey: Uint8Array): Promise<AccessEntry> {
  const body = { at: `2026-11-24T06:00:0${String(n % 10)}.000Z`, record: 'contact', position: 'case_worker', department: "Citizens' office", pseudonym: 'heron-12', purpose: 'service-requests', reason: 'answer_resident: To call back', fields: ['phone'], via: 'detail', n };
  const nonce = Buffer.alloc(32, n);
  const leaf = { kind: 'look', t: body.at, purpose: body.purpose, position: body.position, pseudonym: body.pseudonym, caseTag: caseTag(logKey, n), n, commit: commitTo(nonce, body).toString('hex') };
  const index = await log.append(leaf);
  return { leaf: Buffer.from(encodeLeaf(leaf)).toString('utf8'), proof: await log.tlogProof(index), body: canonicalJson(body), nonce: nonce.toString('hex') };
}

beforeAll(async () => {
  folder = temporaryFolder();
  log = await openLogIn(folder, await freshDatabase());
  const entries: AccessEntry[] = [];
  for (let n = 1; n <= LOOKS; n += 1) {
    // other people's looks in between, more than a bundle of them
    await log.appendMany(Array.from({ length: 90 }, (_, at) => ({ kind: 'look', t: '2026-11-24T06:00:00.000Z', caseTag: caseTag(Buffer.alloc(32, 8), n * 1_000 + at), n: 1, commit: 'ab'.repeat(32) })));
    entries.push(await addLook(n, LOG_KEY));
  }
  file = { kind: 'clerestory-access', v: 1, city: 'Testville', requestId: 'req_1', madeAt: '2026-11-24T06:01:00.000Z', vkey: log.verifierKey(), policy: null, logKey: LOG_KEY.toString('hex'), entries };
  policy = (await trustLogAlone(log.verifierKey())) as TrustPolicy;
});
afterAll(() => log.close());

const faultsOf = async (changed: AccessFile): Promise<string[]> => (await checkAccess(changed, policy)).entries.flatMap(({ fault }) => (fault === null ? [] : [fault.code]));
const withEntry = (at: number, change: Partial<AccessEntry>): AccessFile => ({ ...file, entries: file.entries.map((entry, n) => (n === at ? { ...entry, ...change } : entry)) });

describe('the file of looks', () => {
  test('is right as it was made, and after a way through JSON', async () => {
    const read = readAccessFile(JSON.stringify(file));
    expect(typeof read).toBe('object');
    expect(await checkAccess(read as AccessFile, policy)).toMatchObject({ ok: true, missing: [], size: LOOKS * 91 });
  });

  test('shows another reason, another leaf, another proof, another key and a doubled entry', async () => {
    const [first, second] = file.entries as [AccessEntry, AccessEntry];
    expect(await faultsOf(withEntry(0, { body: (first.body as string).replace('To call back', 'To say hello') }))).toEqual(['commitment']);
    expect(await faultsOf(withEntry(0, { nonce: '00'.repeat(32) }))).toEqual(['commitment']);
    expect(await faultsOf(withEntry(0, { leaf: first.leaf.replace('heron-12', 'heron-13') }))).toEqual(['proof']);
    expect(await faultsOf(withEntry(0, { proof: second.proof }))).toEqual(['proof']);
    expect(await faultsOf(withEntry(0, { leaf: '{"kind":"look"}' }))).toEqual(['leaf']);
    expect(await faultsOf({ ...file, logKey: '11'.repeat(32) })).toEqual(['tag', 'tag', 'tag', 'tag', 'tag']);
    expect(await faultsOf({ ...file, entries: [...file.entries, first] })).toEqual(['number']);
  });

  test('no byte of a proof, a leaf or a body can be changed unnoticed', async () => {
    let seed = 1;
    const next = (below: number): number => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed % below;
    };
    for (let round = 0; round < 300; round += 1) {
      const at = next(LOOKS);
      const field = (['leaf', 'proof', 'body', 'nonce'] as const)[next(4)] as 'leaf' | 'proof' | 'body' | 'nonce';
      const text = (file.entries[at] as AccessEntry)[field] as string;
      const place = next(text.length);
      const other = String.fromCharCode(33 + next(90));
      if (text[place] === other) continue;
      const changed = withEntry(at, { [field]: text.slice(0, place) + other + text.slice(place + 1) });
      const read = readAccessFile(JSON.stringify(changed));
      if (typeof read !== 'string') expect((await checkAccess(read, policy)).ok, `${field} ${String(at)} at ${String(place)}: ${text[place] ?? ''} → ${other}`).toBe(false);
    }
  });

  test('a look that was taken out in the middle leaves a gap; at the end only the log shows it', async () => {
    expect(await checkAccess({ ...file, entries: file.entries.filter((_, at) => at !== 2) }, policy)).toMatchObject({ ok: false, missing: [3] });
    expect(await checkAccess({ ...file, entries: file.entries.slice(0, -1) }, policy)).toMatchObject({ ok: true });
    const reader = await openFolder(folder);
    const found = await findOwnLeaves((path) => (reader as NonNullable<typeof reader>).read(path), (await readNoteKey(log.verifierKey())) as NoteKey, file.logKey, 1);
    expect(found).toMatchObject({ ok: true, size: LOOKS * 91, leaves: Array.from({ length: LOOKS }, (_, n) => ({ n: n + 1, index: (n + 1) * 91 - 1 })) });
  });

  test.each(['', '[]', '{}', 'null', '{"kind":"clerestory-access","v":1}', '{"kind":"clerestory-access","v":2}', JSON.stringify({ kind: 'clerestory-access', v: 1, city: '', requestId: '', madeAt: '', vkey: '', logKey: '00', entries: [] })])('%s is no such file', (text) => {
    expect(typeof readAccessFile(text)).toBe('string');
  });
});

describe('clerestory verify access', () => {
  const run = async (content: string, options: VerifyAccessOptions = {}): Promise<{ code: number; text: string }> => {
    const path = join(folder, 'access.json');
    writeFileSync(path, content);
    const lines: string[] = [];
    const code = await verifyAccess(path, { ...options, print: (line) => lines.push(line) });
    return { code, text: lines.join('\n') };
  };

  test('says what it proved and what it did not', async () => {
    const alone = await run(JSON.stringify(file));
    expect(alone).toMatchObject({ code: 0 });
    expect(alone.text).toMatch(/numbered from 1 without a gap/);
    expect(alone.text).toMatch(/the key is the log’s: it came with the file/);
    const compared = await run(JSON.stringify(file), { key: log.verifierKey(), log: folder });
    expect(compared.code, compared.text).toBe(0);
    expect(compared.text).toMatch(/the log holds no other look/);
    expect(compared.text).not.toMatch(/it came with the file/);
  });

  test('finds a look that was kept back at the end by the log, and one in the middle without it', async () => {
    const short = JSON.stringify({ ...file, entries: file.entries.slice(0, -1) });
    expect((await run(short)).code).toBe(0);
    const compared = await run(short, { log: folder });
    expect(compared).toMatchObject({ code: 1 });
    expect(compared.text).toMatch(/number 5 at entry 454/);
    expect((await run(JSON.stringify({ ...file, entries: file.entries.slice(1) }))).text).toMatch(/numbers 1 are missing/);
  });

  test('is refused for another file, a missing one and a key that is none', async () => {
    expect((await run('hello')).code).toBe(2);
    expect((await run(JSON.stringify(file), { key: 'nothing' })).code).toBe(2);
    expect(await verifyAccess(join(folder, 'not-there.json'), { print: () => undefined })).toBe(2);
  });
});
