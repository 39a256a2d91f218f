import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { makePaperLog, makeSigner, type PaperLog } from '../../../test/witnesses.ts';
import { manualClock, Refused, type ManualClock } from '../../kernel/index.ts';
import { silentLogger, type Http } from '../../platform/index.ts';
import { formatAddCheckpoint, parseAddCheckpoint } from './add-checkpoint.ts';
import { parseNoteKey, parseSignatureLines, splitNote, verifyCosignature, type NoteKey } from './signed-note.ts';
import { openWitnessFolder, readState, type WitnessFolder } from './state-file.ts';
import { buildWitnessServer } from './witness-server.ts';
import { createWitness, type Witness } from './witness.ts';

const NOW_MS = Date.UTC(2026, 10, 24, 6);
const folders: string[] = [];
const makeFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'clerestory-witness-'));
  folders.push(folder);
  return folder;
};
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

interface Rig {
  readonly witness: Witness;
  readonly key: NoteKey;
  readonly folder: string;
  readonly clock: ManualClock;
  readonly http: Http;
  send(log: PaperLog, oldSize: number, options?: { size?: number; proof?: readonly Uint8Array[] }): Promise<{ status: number; type: string; body: string }>;
}

async function openRig(logs: readonly PaperLog[], options: { folder?: string; wrap?: (folder: WitnessFolder) => WitnessFolder } = {}): Promise<Rig> {
  const path = options.folder ?? makeFolder();
  const folder = openWitnessFolder(path, 'paper.example/w');
  const clock = manualClock(NOW_MS);
  const witness = createWitness({ folder: options.wrap?.(folder) ?? folder, logs: logs.map(({ vkey }) => parseNoteKey(vkey) as NoteKey), clock, logger: silentLogger });
  const http = await buildWitnessServer({ witness, keys: folder.cosigners.map(({ key }) => key), clock, logger: silentLogger });
  return {
    witness,
    key: folder.cosigners[0].key,
    folder: path,
    clock,
    http,
    send: async (log, oldSize, { size = log.size(), proof } = {}) => {
      const body = formatAddCheckpoint(oldSize, proof ?? (oldSize <= size ? await log.prove(oldSize, size) : []), log.checkpoint(size));
      const answer = await http.inject({ method: 'POST', url: '/add-checkpoint', payload: body });
      return { status: answer.statusCode, type: String(answer.headers['content-type']), body: answer.body };
    },
  };
}

const grown = (count: number): PaperLog => {
  const log = makePaperLog();
  log.grow(Array.from({ length: count }, (_, at) => `entry ${at}`));
  return log;
};
const timeOf = (rig: Rig, log: PaperLog, lines: string): number | null => verifyCosignature(splitNote(Buffer.from(log.checkpoint()))?.text ?? '', parseSignatureLines(lines)?.[0] as never, rig.key);

test('a first checkpoint, growth and the same head again are cosigned, each with the time, and recorded before', async () => {
  const log = grown(3);
  const rig = await openRig([log]);
  const first = await rig.send(log, 0);
  expect(first).toMatchObject({ status: 200 });
  expect(timeOf(rig, log, first.body)).toBe(NOW_MS / 1_000);
  expect(readState(rig.folder).logs['city.example/log']).toMatchObject({ size: 3, time_s: NOW_MS / 1_000 });
  log.grow(['more', 'and more']);
  rig.clock.advance(5_000);
  const second = await rig.send(log, 3);
  expect(timeOf(rig, log, second.body)).toBe(NOW_MS / 1_000 + 5);
  rig.clock.advance(60_000);
  expect(timeOf(rig, log, (await rig.send(log, 5)).body)).toBe(NOW_MS / 1_000 + 65);
  rig.clock.advance(-600_000); // a clock that went back signs no earlier time
  expect(timeOf(rig, log, (await rig.send(log, 5)).body)).toBe(NOW_MS / 1_000 + 65);
  const hash = createHash('sha256').update('city.example/log').digest('hex');
  const latest = await rig.http.inject({ url: `/${hash}/checkpoint` });
  expect(latest.body.startsWith(log.checkpoint())).toBe(true);
  expect(timeOf(rig, log, latest.body.slice(log.checkpoint().length))).toBe(NOW_MS / 1_000 + 65);
  expect((await rig.http.inject({ url: `/${'0'.repeat(64)}/checkpoint` })).statusCode).toBe(404);
});

test('answers of tlog-witness: 400, 403, 404, 409 with and without a size, 422', async () => {
  const log = grown(8);
  const rig = await openRig([log]);
  await rig.send(log, 0, { size: 5 });
  expect(await rig.send(makePaperLog('other.example/log'), 0)).toMatchObject({ status: 404 });
  expect(await rig.send(makePaperLog('city.example/log', makeSigner(), ['x']), 0)).toMatchObject({ status: 403 });
  expect(await rig.send(log, 9)).toMatchObject({ status: 400 });
  expect(await rig.send(log, 0)).toMatchObject({ status: 409, type: 'text/x.tlog.size', body: '5\n' });
  expect(await rig.send(log, 4)).toMatchObject({ status: 409, type: 'text/x.tlog.size', body: '5\n' });
  expect(await rig.send(log, 4, { size: 4 })).toMatchObject({ status: 409, type: 'text/x.tlog.size', body: '5\n' });
  const page = async (): Promise<string> => (await rig.http.inject({ url: '/' })).body;
  const proof = await log.prove(5, 8);
  expect(await rig.send(log, 5, { proof: proof.slice(1) })).toMatchObject({ status: 422 });
  expect(await rig.send(log, 5, { proof: [...proof, randomBytes(32)] })).toMatchObject({ status: 422 });
  expect(await rig.send(log, 5, { size: 5, proof: [randomBytes(32)] })).toMatchObject({ status: 422 });
  expect(await page()).toContain('somebody sent a wrong proof');
  expect(await rig.send(log, 5, { size: 5 })).toMatchObject({ status: 200 });
  expect(await page()).toContain('In order');
  const fork = log.fork(4);
  fork.grow(['another', 'past', 'than', 'that']);
  expect(await rig.send(fork, 5)).toMatchObject({ status: 422 });
  const twin = await rig.send(fork, 5, { size: 5 });
  expect(twin).toMatchObject({ status: 409, body: 'The log has signed two different trees of 5 entries.\n' });
  expect(twin.type).not.toContain('tlog.size');
  expect(readState(rig.folder).logs['city.example/log']).toMatchObject({ size: 5 });
  const evidence = readdirSync(join(rig.folder, 'evidence')).map((name) => readFileSync(join(rig.folder, 'evidence', name), 'utf8'));
  expect(evidence.some((text) => text.includes(log.checkpoint(5)) && text.includes(fork.checkpoint(5)))).toBe(true);
  expect(await rig.send(log, 5)).toMatchObject({ status: 200 });
  expect(await page()).toContain('This proves a fork'); // and no later cosignature takes that back
});

test('an old size of 0 takes no proof, and a first tree of size 0 must be the empty one', async () => {
  const log = grown(2);
  expect(await (await openRig([log])).send(log, 0, { proof: [randomBytes(32)] })).toMatchObject({ status: 422 });
  expect(await (await openRig([log])).send(log, 0, { size: 0 })).toMatchObject({ status: 200 });
});

test('several signatures may come; a wrong one of a known key spoils the note', async () => {
  const log = grown(2);
  const rig = await openRig([log]);
  const post = async (checkpoint: string): Promise<number> => (await rig.http.inject({ method: 'POST', url: '/add-checkpoint', payload: formatAddCheckpoint(0, [], checkpoint) })).statusCode;
  const own = log.checkpoint().split('\n\n')[1] as string;
  const name = own.split(' ')[1] as string;
  const blob = Buffer.from(own.trim().split(' ')[2] as string, 'base64');
  blob.writeUInt8(blob.readUInt8(20) ^ 1, 20);
  expect(await post(`${log.checkpoint()}— ${name} ${blob.toString('base64')}\n`)).toBe(403);
  expect(await post(`${log.checkpoint()}— somebody.example ${randomBytes(80).toString('base64')}\n`)).toBe(200);
});

const good = formatAddCheckpoint(0, [], grown(1).checkpoint());
test.each<[string, string]>([
  ['nothing', ''],
  ['no old line', good.replace('old 0\n', '')],
  ['a leading zero', good.replace('old 0', 'old 00')],
  ['a sign', good.replace('old 0', 'old +1')],
  ['two spaces', good.replace('old 0', 'old  0')],
  ['a size of more than 2^53', good.replace('old 0', 'old 9999999999999999')],
  ['a carriage return', good.replace('old 0\n', 'old 0\r\n')],
  ['a short hash', good.replace('old 0\n', 'old 0\nAAAA\n')],
  ['base64 that is not canonical', good.replace('old 0\n', `old 0\n${'A'.repeat(42)}B=\n`)],
  ['64 proof lines', good.replace('old 0\n', `old 0\n${`${Buffer.alloc(32).toString('base64')}\n`.repeat(64)}`)],
  ['no signature', good.slice(0, good.indexOf('—'))],
  ['no last line break', good.slice(0, -1)],
  ['bytes that are not UTF-8', `${good.slice(0, -1)}\u0000\n`],
])('a request with %s is malformed: 400', async (_, body) => {
  const rig = await openRig([grown(1)]);
  const answer = await rig.http.inject({ method: 'POST', url: '/add-checkpoint', payload: body });
  expect([answer.statusCode, rig.witness.state().logs]).toEqual([400, {}]);
});

test('any bytes give an answer, never a fault; a body that is too long gives 413', async () => {
  const rig = await openRig([grown(1)]);
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.tuple(fc.nat(good.length - 1), fc.nat(255)).map(([at, byte]) => Buffer.from(good).fill(byte, at, at + 1))), async (bytes) => {
      const { status } = await rig.witness.addCheckpoint(bytes);
      return [400, 403, 404].includes(status) || 'wrong' in parseAddCheckpoint(bytes) === false;
    }),
    { numRuns: 300 },
  );
  expect((await rig.http.inject({ method: 'POST', url: '/add-checkpoint', payload: 'x'.repeat(200_000) })).statusCode).toBe(413);
});

test('of many requests at once for one origin the record never goes back, and each size has one root', async () => {
  const log = grown(40);
  const fork = log.fork(10);
  fork.grow(Array.from({ length: 30 }, (_, at) => `other ${at}`));
  const rig = await openRig([log]);
  await rig.send(log, 0, { size: 10 });
  const answers = await Promise.all(Array.from({ length: 60 }, (_, at) => rig.send(at % 2 === 0 ? log : fork, 10, { size: 11 + Math.floor(at / 2) })));
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 409]));
});

test('when the state cannot be written nothing is cosigned, and later it goes on', async () => {
  const log = grown(4);
  let full = true;
  const rig = await openRig([log], { wrap: (folder) => ({ ...folder, write: (state) => (full ? Promise.reject(Object.assign(new Error('no space left'), { code: 'ENOSPC' })) : folder.write(state)) }) });
  const refused = await rig.send(log, 0);
  expect([refused.status, refused.body.includes('—')]).toEqual([503, false]);
  full = false;
  expect(await rig.send(log, 0)).toMatchObject({ status: 200 });
});

test('a restart remembers; a state that is cut off, changed or gone, or a key that is gone, stops it', async () => {
  const log = grown(6);
  const rig = await openRig([log]);
  await rig.send(log, 0);
  expect(statSync(join(rig.folder, 'witness.key')).mode & 0o777).toBe(0o600);
  const again = await openRig([log], { folder: rig.folder });
  expect(again.key).toEqual(rig.key);
  expect(await again.send(log, 0)).toMatchObject({ status: 409, body: '6\n' });
  const path = join(rig.folder, 'witness.state');
  const whole = readFileSync(path);
  for (let length = 0; length < whole.length; length += 7) {
    writeFileSync(path, whole);
    truncateSync(path, length);
    expect(() => openWitnessFolder(rig.folder, undefined)).toThrow(Refused);
  }
  writeFileSync(path, whole.toString('utf8').replace('"size": 6', '"size": 5'));
  expect(() => openWitnessFolder(rig.folder, undefined)).toThrow(/was changed/);
  rmSync(path);
  expect(() => openWitnessFolder(rig.folder, undefined)).toThrow(/no witness\.state/);
  writeFileSync(path, whole);
  rmSync(join(rig.folder, 'witness.key'));
  expect(() => openWitnessFolder(rig.folder, undefined)).toThrow(/no witness\.key/);
  expect(existsSync(join(rig.folder, 'witness.key'))).toBe(false);
});

test('another name for an old key is refused', () => {
  const folder = makeFolder();
  openWitnessFolder(folder, 'paper.example/w');
  expect(() => openWitnessFolder(folder, 'other.example/w')).toThrow(/called paper\.example\/w/);
});

test('a body that trickles in is cut off, and others are answered meanwhile', async () => {
  const log = grown(1);
  const rig = await openRig([log]);
  rig.http.server.requestTimeout = 300;
  const url = new URL(await rig.http.listen({ host: '127.0.0.1', port: 0 }));
  const slow = connect(Number(url.port), url.hostname);
  slow.write('POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: 500\r\n\r\nold');
  const closed = new Promise<void>((resolve) => slow.once('close', () => resolve()));
  slow.on('error', () => undefined).resume();
  expect(await rig.send(log, 0)).toMatchObject({ status: 200 });
  await rig.http.close();
  await closed;
});
