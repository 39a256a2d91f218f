import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readOrMakeSigningKey } from '../../src/trust/keys/key-files.ts';
import { verifierKey } from '../../src/trust/log/note.ts';
import { formatAddCheckpoint } from '../../src/trust/witness/add-checkpoint.ts';
import { makeDataFolder, ROOT, runCli, startTestCity, type TestCity } from '../city.ts';
import { temporaryFolder } from '../log-folder.ts';
import { makePaperLog, makeSigner, policyOf, removeWitnessFolders, startWitness, type WitnessProcess } from '../witnesses.ts';

// Debian's golang-go and golang-golang-x-mod-dev bring the reference code; nothing is downloaded.
const SOURCES = '/usr/share/gocode';
const hasGo = spawnSync('go', ['version']).status === 0 && existsSync(join(SOURCES, 'src/golang.org/x/mod/sumdb/tlog'));
const SKIPPED = hasGo ? '' : ' (skipped: golang-go and golang-golang-x-mod-dev are not installed)';

const folder = temporaryFolder();
const program = join(folder, 'witness-go');
const children: ChildProcess[] = [];
const witnesses: WitnessProcess[] = [];
let city: TestCity | undefined;

beforeAll(() => {
  if (!hasGo) return;
  const { stderr } = spawnSync('go', ['build', '-o', program, fileURLToPath(new URL('./witness-go/main.go', import.meta.url))], {
    encoding: 'utf8',
    env: { ...process.env, GOPATH: SOURCES, GO111MODULE: 'off', GOFLAGS: '', GOCACHE: join(folder, 'go-cache') },
  });
  if (stderr !== '') throw new Error(stderr);
}, 240_000);
afterAll(async () => {
  await city?.stop();
  city?.remove();
  for (const child of children) child.kill('SIGKILL');
  for (const witness of witnesses) await witness.kill();
  removeWitnessFolders();
});

test.skipIf(!hasGo)(`a client in Go gets cosignatures from our witness that the reference code verifies, and the answers of tlog-witness${SKIPPED}`, async () => {
  const log = makePaperLog();
  log.grow(['one', 'two', 'three', 'four', 'five', 'six', 'seven']);
  const witness = await startWitness({ name: 'paper.example/w', logs: [log.vkey] });
  witnesses.push(witness);
  const submit = async (from: number, to: number, of = log, proof?: readonly Uint8Array[]): Promise<string[]> => {
    const input = formatAddCheckpoint(from, proof ?? (from <= to ? await of.prove(from, to) : []), of.checkpoint(to));
    const { stdout } = spawnSync(program, ['submit', witness.url, witness.vkey], { encoding: 'utf8', input });
    return stdout.trimEnd().split('\n');
  };
  const now_s = Math.floor(Date.now() / 1_000);
  for (const [from, to] of [[0, 3], [3, 3], [3, 7], [7, 7]] as const) {
    const [status, told] = await submit(from, to);
    expect([from, to, status?.startsWith('200 '), Number(/^cosigned at (\d+)$/.exec(told ?? '')?.[1]) >= now_s]).toEqual([from, to, true, true]);
  }
  expect(await submit(0, 7)).toEqual(['409 text/x.tlog.size', '7']);
  expect((await submit(9, 7))[0]).toMatch(/^400 /);
  expect((await submit(0, 1, makePaperLog('city.example/log', makeSigner(), ['x'])))[0]).toMatch(/^403 /);
  expect((await submit(0, 1, makePaperLog('other.example/log', makeSigner(), ['x'])))[0]).toMatch(/^404 /);
  const fork = log.fork(6);
  fork.grow(['another seven', 'eight']);
  expect((await submit(7, 7, fork))[0]).toMatch(/^409 text\/plain/);
  expect((await submit(7, 8, fork))[0]).toMatch(/^422 /);
  expect((await submit(7, 7, log, [Buffer.alloc(32)]))[0]).toMatch(/^422 /);
});

/** A witness in Go, of one log; gives its verifier key and address. */
async function serve(name: string, vkey: string): Promise<{ vkey: string; url: string }> {
  const child = spawn(program, ['serve', name, vkey], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const said: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) if (said.push(line) === 2) break;
  const [own = '', url = ''] = said;
  return { vkey: own, url };
}

test.skipIf(!hasGo)(`a city is witnessed by a witness in Go, head after head, and verify witness takes its word${SKIPPED}`, { timeout: 180_000 }, async () => {
  const data = makeDataFolder({ from: join(ROOT, 'demo', 'city') });
  const { publicKey } = readOrMakeSigningKey(data);
  const vkey = verifierKey(`clerestory-${Buffer.from(publicKey).toString('hex').slice(0, 16)}/log`, publicKey);
  const other = await serve('go.example/w', vkey);
  const stranger = await serve('stranger.example/w', makePaperLog().vkey); // watches another log: 404
  const policy = join(data, 'city', 'witness-policy.txt');
  writeFileSync(policy, policyOf([vkey], [other, stranger], 1));
  city = await startTestCity({ data });
  expect((await city.call('GET', '/log/vkey')).text.trim()).toBe(vkey);
  type Status = { size: number; witnesses: { quorum: string; witnessedSize: number | null; alarm: unknown; each: { lastSize: number | null; fault: string | null }[] } };
  const status = async (): Promise<Status> => (await city?.call('GET', '/api/log'))?.json as Status;
  await expect.poll(async () => (await status()).witnesses.quorum, { timeout: 60_000, interval: 200 }).toBe('met');
  const { size } = await status();
  const place = { service_code: 'street-light', point: [-56.187, -34.906], answers: { FAULT: 'out' }, description: 'It is dark here', name: 'Anna Tester' };
  const filed = await city.call('POST', '/api/portal/requests', { body: place });
  expect(filed.status, filed.text).toBe(201);
  const { requestId } = filed.json as { requestId: string };
  const seen = await city.call('POST', `/api/requests/${requestId}/contact`, { token: city.token('case_worker'), body: { purpose: 'service-requests', reasonCode: 'locate_fault', reason: 'Asking for the exact place' } });
  expect(seen.status, seen.text).toBe(200);
  const isWitnessed = async (): Promise<boolean> => {
    const { size: grown, witnesses: told } = await status();
    return grown > size && told.witnessedSize === grown;
  };
  await expect.poll(isWitnessed, { timeout: 60_000, interval: 200 }).toBe(true);
  const now = await status();
  expect(now.witnesses).toMatchObject({ alarm: null, each: [{ fault: null }, { fault: expect.stringContaining('404') as string }] });
  const verified = runCli(['verify', 'witness', city.url, '--policy', policy], {});
  expect(verified.status, verified.stdout).toBe(0);
  expect(verified.stdout).toContain('asked      w1');
});
