import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, expect, test } from 'vitest';
import { findRunningDatabase } from '../../src/platform/index.ts';
import { ROOT, makeDataFolder, runCli, startTestCity, type TestCity } from '../city.ts';
import { policyOf, removeWitnessFolders, startWitness, type WitnessProcess } from '../witnesses.ts';

const MINUTE_MS = 60_000;
const data = makeDataFolder({ from: join(ROOT, 'demo', 'city') });
const earlier = `${data}-earlier`;
const witnesses: WitnessProcess[] = [];
let city: TestCity | undefined;
afterAll(async () => {
  await city?.stop();
  for (const witness of witnesses) await witness.kill();
  removeWitnessFolders();
  for (const folder of [data, earlier]) rmSync(folder, { recursive: true, force: true });
});

/** What the city knows, except its keys. */
const STATE = ['postgres', 'log', 'broker'];
/** With owners, as root copies. */
function copy(from: string, to: string): void {
  const { status, stderr } = spawnSync('cp', ['-a', from, to], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`cp failed: ${stderr}`);
}

/** A resident reports something with a telephone number. */
async function report(at: TestCity): Promise<string> {
  const form = new URLSearchParams({ service_code: 'pothole', lat: '-34.8', long: '-56.1', description: 'A hole in front of the bakery', phone: '099 123 456' });
  const filed = await fetch(`${at.url}/open311/v2/requests.json`, { method: 'POST', body: form });
  const text = await filed.text();
  expect(filed.status, text).toBeLessThan(300);
  return (JSON.parse(text) as [{ service_request_id: string }])[0].service_request_id;
}

async function look(at: TestCity, id: string, times: number): Promise<void> {
  for (let n = 0; n < times; n += 1) {
    const seen = await at.call('POST', `/api/requests/${id}/contact`, { token: at.token('case_worker'), body: { purpose: 'service-requests', reasonCode: 'locate_fault', reason: `Asking for the exact place ${n}` } });
    expect(seen.status, `${seen.text}\n${at.output()}`).toBe(200);
  }
}

type Status = { size: number; witnesses: { quorum: string; witnessedSize: number | null; alarm: { code: string; detail: string } | null; each: { refuses: boolean }[] } };
async function until(at: TestCity, what: string, holds: (status: Status) => boolean): Promise<Status> {
  for (const deadline = Date.now() + MINUTE_MS; Date.now() < deadline; await sleep(200)) {
    const { json } = await at.call('GET', '/api/log');
    if (holds(json)) return json;
  }
  throw new Error(`not within a minute: ${what}; ${(await at.call('GET', '/api/log')).text}\n${at.output()}`);
}

const verify = (args: readonly string[]): { status: number | null; stdout: string } => runCli(['verify', ...args], {});

test('root deletes rows, sets database and log back to an earlier state and lets the real key sign another past: the witnesses refuse, and everybody sees it within a minute', async () => {
  // the city begins; its key goes to three witnesses, and their policy into the city folder
  city = await startTestCity({ data });
  const vkey = (await city.call('GET', '/log/vkey')).text.trim();
  expect((await city.call('GET', '/api/log')).json.witnesses).toMatchObject({ quorum: 'none-configured', alarm: null });
  await city.stop();
  witnesses.push(...(await Promise.all(['dpo.example/w', 'paper.example/w', 'neighbour.example/w'].map((name) => startWitness({ name, logs: [vkey] })))));
  const policy = join(data, 'city', 'witness-policy.txt');
  writeFileSync(policy, policyOf([vkey], witnesses, 2));
  city = await startTestCity({ data });
  const id = await report(city);
  await look(city, id, 3);
  const before = await until(city, 'the first looks are witnessed', ({ size, witnesses: { witnessedSize, alarm } }) => alarm === null && witnessedSize === size && size >= 3);
  await city.stop();
  mkdirSync(earlier);
  for (const part of STATE) copy(join(data, part), join(earlier, part));

  // looks that somebody will want to hide
  city = await startTestCity({ data });
  await look(city, id, 5);
  const after = await until(city, 'the looks to hide are witnessed', ({ size, witnesses: { witnessedSize } }) => witnessedSize === size && size >= before.size + 5);
  expect(after.witnesses).toMatchObject({ quorum: 'met', alarm: null });
  expect(verify(['witness', city.url, '--policy', policy])).toMatchObject({ status: 0 });
  const kept = join(data, 'city', 'kept-by-a-newspaper.txt');
  writeFileSync(kept, (await city.call('GET', '/log/witnessed')).text);

  // root deletes what the looks say; the log does not care
  const connection = findRunningDatabase(data);
  if (connection === null) throw new Error('the database does not run');
  const root = new pg.Client(connection);
  await root.connect();
  const { rows } = await root.query<{ name: string }>(`select table_name as name from information_schema.columns where column_name = 'commitment' and table_schema = 'public' and table_name <> 'log_body'`);
  expect(rows.length).toBeGreaterThan(0);
  for (const { name } of rows) await root.query(`delete from "${name}"`);
  await root.end();
  expect(verify(['log', data, '--since', kept])).toMatchObject({ status: 0 });
  await city.stop();

  // then sets everything back: database, log with the file witnessed, and the broker's journal, all of one earlier moment, so that the start finds no contradiction
  for (const part of STATE) {
    rmSync(join(data, part), { recursive: true });
    copy(join(earlier, part), join(data, part));
  }
  city = await startTestCity({ data });
  const restartedAt = Date.now();
  expect((await city.call('GET', '/api/log')).json.size).toBeLessThan(after.size);
  await until(city, 'an alarm for the log that was set back', ({ witnesses: { alarm } }) => alarm?.code === 'refused');
  const page = await city.call('GET', '/trust/log');
  expect(page.text).toContain('An outside witness disputes this log');
  expect((await city.call('GET', '/trust')).text).toContain('An outside witness disputes this log');
  expect(Date.now() - restartedAt).toBeLessThan(MINUTE_MS);
  const rolled = verify(['witness', city.url, '--policy', policy]);
  expect(rolled.status, rolled.stdout).toBe(1);
  expect(rolled.stdout).toMatch(/ROLLBACK: the witness w\d shows \d+ entries/);
  expect(verify(['log', city.url, '--since', kept])).toMatchObject({ status: 1 });

  // and fills up with harmless looks until the sizes fit: another tree, signed by the real key
  await look(city, id, after.size - before.size + 3);
  const grown = await until(city, 'all witnesses refuse the new past', ({ size, witnesses: { each } }) => size > after.size && each.every(({ refuses }) => refuses));
  expect(grown.witnesses).toMatchObject({ quorum: 'failing', alarm: { code: 'refused' } });
  expect(grown.witnesses.witnessedSize ?? 0).toBeLessThanOrEqual(before.size);
  await until(city, 'they say that it does not continue what they saw', ({ witnesses: { alarm } }) => /does not continue/.test(alarm?.detail ?? ''));
  const forked = verify(['witness', city.url, '--policy', policy]);
  expect([forked.status, /FORK: the newest head of \d+ entries does not continue/.test(forked.stdout)]).toEqual([1, true]);
  const since = verify(['log', city.url, '--since', kept]);
  expect(since.status).toBe(1);
  expect(since.stdout).toContain('NOT whole');

  // what the witnesses hold is a proof in itself: the city's own key has signed both pasts
  const held = spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', join(ROOT, 'src', 'cli.ts'), 'witness', 'show', '--data', witnesses[0]?.data ?? ''], { encoding: 'utf8' });
  expect(held.stdout).toContain(`size     ${after.size} entries`);
  expect(readFileSync(kept, 'utf8').split('\n')[1]).toBe(String(after.size));
});
