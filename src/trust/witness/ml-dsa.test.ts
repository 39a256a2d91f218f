import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { makePaperLog, makeSigner, policyOf } from '../../../test/witnesses.ts';
import { cosignedAt, readNoteKey, splitNote as splitNoteInBrowser, type NoteKey as BrowserKey } from '../../contracts/tlog/note.ts';
import { meetsQuorum, readTrustPolicy } from '../../contracts/tlog/policy.ts';
import { manualClock, Refused, unwrap } from '../../kernel/index.ts';
import { silentLogger } from '../../platform/index.ts';
import { formatAddCheckpoint } from './add-checkpoint.ts';
import { isQuorum, parsePolicy } from './policy-file.ts';
import { cosign, COSIGNATURE_ML_DSA, formatNoteKey, noteKey, parseNoteKey, parseSignatureLines, splitNote, verifyCosignature, type NoteKey } from './signed-note.ts';
import { openWitnessFolder } from './state-file.ts';
import { createWitness } from './witness.ts';
import { openCosignedHead } from './witnessed.ts';

const NOW_S = Date.UTC(2026, 10, 24, 6) / 1_000;
const folders: string[] = [];
const makeFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'clerestory-witness-'));
  folders.push(folder);
  return folder;
};
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

const log = makePaperLog();
log.grow(['one', 'two', 'three']);

async function cosignedBy(path: string): Promise<{ keys: readonly NoteKey[]; checkpoint: string }> {
  const folder = openWitnessFolder(path, 'paper.example/w', true);
  const witness = createWitness({ folder, logs: [parseNoteKey(log.vkey) as NoteKey], clock: manualClock(NOW_S * 1_000), logger: silentLogger });
  const answer = await witness.addCheckpoint(Buffer.from(formatAddCheckpoint(folder.state.logs['city.example/log']?.size ?? 0, [], log.checkpoint())));
  expect(answer.status).toBe(200);
  return { keys: folder.cosigners.map(({ key }) => key), checkpoint: log.checkpoint() + answer.body };
}

test('a witness with a key of ML-DSA-44 gives two lines of one name, and the message is laid out by the letter of tlog-cosignature', async () => {
  const { keys, checkpoint } = await cosignedBy(makeFolder());
  const [ed25519, mlDsa] = keys as [NoteKey, NoteKey];
  const { text, signatures } = splitNote(Buffer.from(checkpoint)) as NonNullable<ReturnType<typeof splitNote>>;
  expect(signatures.slice(1).map(({ name, signature }) => [name, signature.length])).toEqual([['paper.example/w', 72], ['paper.example/w', 2_428]]);
  expect([mlDsa.type, mlDsa.publicKey.length, mlDsa.id.equals(ed25519.id)]).toEqual([6, 1_312, false]);
  expect(verifyCosignature(text, signatures[2] as never, mlDsa)).toBe(NOW_S);
  expect(verifyCosignature(text, signatures[2] as never, ed25519)).toBeNull();

  const uint64 = (value: number): Buffer => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(BigInt(value));
    return bytes;
  };
  const root = Buffer.from(text.split('\n')[2] ?? '', 'base64');
  const message = Buffer.concat([Buffer.from('737562747265652f76310a00', 'hex'), Buffer.from('\u000fpaper.example/w'), uint64(NOW_S), Buffer.from('\u0010city.example/log'), uint64(0), uint64(3), root]);
  const publicKey = createPublicKey({ key: { kty: 'AKP', alg: 'ML-DSA-44', pub: mlDsa.publicKey.toString('base64url') }, format: 'jwk' });
  const signature = signatures[2]?.signature.subarray(8) as Buffer;
  expect(verify(null, message, publicKey, signature)).toBe(true);
  message.writeUInt8(message.readUInt8(20) ^ 1, 20);
  expect(verify(null, message, publicKey, signature)).toBe(false);
});

test('both checkers, of the server and of the browser, take the line and refuse every changed one', async () => {
  const { keys, checkpoint } = await cosignedBy(makeFolder());
  const key = keys[1] as NoteKey;
  const browserKey = (await readNoteKey(formatNoteKey(key))) as BrowserKey;
  expect(await cosignedAt(splitNoteInBrowser(checkpoint) as never, browserKey)).toBe(BigInt(NOW_S));
  const line = splitNote(Buffer.from(checkpoint))?.signatures[2]?.line as string;
  const blob = Buffer.from(line.trim().split(' ')[2] as string, 'base64');
  for (const at of [4, 11, 12, 100, 1_500, blob.length - 1]) {
    const changed = Buffer.from(blob);
    changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
    const note = checkpoint.replace(line, `— paper.example/w ${changed.toString('base64')}\n`);
    const { text, signatures } = splitNote(Buffer.from(note)) as NonNullable<ReturnType<typeof splitNote>>;
    expect([at, verifyCosignature(text, signatures[2] as never, key)]).toEqual([at, null]);
    expect([at, await cosignedAt(splitNoteInBrowser(note) as never, browserKey)]).toEqual([at, 'wrong']);
  }
  for (const [from, to] of [['\n3\n', '\n4\n'], ['city.example/log\n', 'town.example/log\n']] as const) {
    const { text, signatures } = splitNote(Buffer.from(checkpoint.replace(from, to))) as NonNullable<ReturnType<typeof splitNote>>;
    expect(verifyCosignature(text, signatures[2] as never, key)).toBeNull();
  }
  // extension lines are not in the message
  const { text, signatures } = splitNote(Buffer.from(checkpoint)) as NonNullable<ReturnType<typeof splitNote>>;
  expect(verifyCosignature(`${text}extension\n`, signatures[2] as never, key)).toBe(NOW_S);
  const other = generateKeyPairSync('ml-dsa-44');
  const stranger = noteKey('paper.example/w', COSIGNATURE_ML_DSA, Buffer.from(other.publicKey.export({ format: 'jwk' })['pub'] as string, 'base64url'));
  const foreign = parseSignatureLines(cosign(text, NOW_S, stranger, other.privateKey))?.[0];
  expect([verifyCosignature(text, foreign as never, stranger), verifyCosignature(text, foreign as never, key)]).toEqual([NOW_S, null]);
  expect(() => cosign(`${'x'.repeat(256)}\n3\n${Buffer.alloc(32).toString('base64')}\n`, NOW_S, stranger, other.privateKey)).toThrow(RangeError);
});

test('a policy may ask for keys of both kinds; a head with one of them does not meet it', async () => {
  const { keys, checkpoint } = await cosignedBy(makeFolder());
  const text = policyOf([log.vkey], keys.map((key) => ({ vkey: formatNoteKey(key), url: 'http://127.0.0.1:9' })), 2);
  const policy = unwrap(parsePolicy(Buffer.from(text)));
  const head = openCosignedHead(Buffer.from(checkpoint), policy);
  expect('wrong' in head ? head.wrong : isQuorum(policy, new Set(head.times.keys()))).toBe(true);
  const one = openCosignedHead(Buffer.from(checkpoint.split('\n').slice(0, 6).join('\n').concat('\n')), policy);
  expect('wrong' in one ? one.wrong : [one.times.size, isQuorum(policy, new Set(one.times.keys()))]).toEqual([1, false]);
  const inBrowser = await readTrustPolicy(text);
  expect('line' in inBrowser ? inBrowser.detail : meetsQuorum(inBrowser, new Set(['w1', 'w2']))).toBe(true);
  // a log is signed with Ed25519: a key of ML-DSA-44 is none of a log
  expect(parsePolicy(Buffer.from(`log ${formatNoteKey(keys[1] as NoteKey)}\nquorum none\n`)).ok).toBe(false);
  for (const short of [makeSigner().publicKey, Buffer.alloc(1_311), Buffer.alloc(1_313)]) expect(parseNoteKey(formatNoteKey(noteKey('w', COSIGNATURE_ML_DSA, short)))).toBeNull();
});

test('the second key stays, also without the option; gone or changed it stops the witness', async () => {
  const path = makeFolder();
  openWitnessFolder(path, 'paper.example/w'); // a witness of before
  const { keys } = await cosignedBy(path);
  expect(openWitnessFolder(path, undefined).cosigners.map(({ key }) => formatNoteKey(key))).toEqual(keys.map(formatNoteKey));
  const file = join(path, 'witness-ml-dsa.key');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readFileSync(join(path, 'witness.state'), 'utf8')).toContain('"ml_dsa"');
  rmSync(file);
  expect(() => openWitnessFolder(path, undefined, true)).toThrow(/no witness-ml-dsa\.key/);
  expect(() => openWitnessFolder(path, undefined)).toThrow(Refused);
});
