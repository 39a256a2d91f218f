import { once } from 'node:events';
import { createServer } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AddressInfo } from 'node:net';
import { beforeAll, expect, test } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import { openLogIn, temporaryFolder } from '../../../test/log-folder.ts';
import { ANONYMOUS } from '../../contracts/principal.ts';
import { buildHttp, silentLogger, type Http } from '../../platform/index.ts';
import { createPolicy } from '../policy/policy.ts';
import { registerLogRoutes } from './log-routes.ts';
import type { TransparencyLog } from './log.ts';
import { verifyLog } from './verify-command.ts';
import { verifyProofFile } from './verify-proof-command.ts';
import { UNWITNESSED } from '../witness/cosigning.ts';

const folder = temporaryFolder();
let log: TransparencyLog;
let http: Http;

const append = (count: number): Promise<number[]> =>
  Promise.all(Array.from({ length: count }, (_, n) => log.append({ kind: 'test', t: '2026-11-24T06:00:00.000Z', commit: n.toString(16).padStart(64, '0') })));

beforeAll(async () => {
  log = await openLogIn(folder, await freshDatabase());
  http = await buildHttp({ logger: silentLogger, authenticate: async () => ANONYMOUS, authorize: createPolicy(null).authorize });
  registerLogRoutes(http, { log, status: () => ({ ...log.status(0), witnesses: UNWITNESSED }) });
  await append(260);
  return async () => {
    await http.close();
    await log.close();
  };
});

test('checkpoint, tiles and bundles are public, with the types and caching of C2SP tlog-tiles', async () => {
  const checkpoint = await http.inject({ url: '/log/checkpoint' });
  expect(checkpoint.headers).toMatchObject({ 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-cache' });
  expect(checkpoint.body).toMatch(/^city\.example:8080\/log\n260\n[A-Za-z0-9+/]{43}=\n\n— city\.example:8080\/log [A-Za-z0-9+/]+=\n$/);
  for (const [path, bytes] of [
    ['tile/0/000', 8_192],
    ['tile/0/001.p/4', 128],
    ['tile/1/000.p/1', 32],
  ] as const) {
    const tile = await http.inject({ url: `/log/${path}` });
    expect(tile.headers).toMatchObject({ 'content-type': 'application/octet-stream', 'cache-control': 'public, max-age=31536000, immutable' });
    expect(tile.rawPayload.length).toBe(bytes);
  }
  expect((await http.inject({ url: '/log/tile/entries/001.p/4' })).rawPayload.length).toBeGreaterThan(4 * 100);
  expect((await http.inject({ url: '/api/log' })).json()).toMatchObject({ origin: 'city.example:8080/log', size: 260, looks: 0 });
});

test('bundles are compressed for who asks for it, tiles are not, and what is not there yet is not kept by caches', async () => {
  const path = '/log/tile/entries/000';
  const plain = await http.inject({ url: path });
  expect(plain.headers).toMatchObject({ vary: expect.stringContaining('accept-encoding') as string, 'access-control-allow-origin': '*' });
  expect(plain.headers['content-encoding']).toBeUndefined();
  for (const accepted of ['gzip', 'gzip, identity', 'br;q=1.0, gzip;q=0.8', 'deflate,gzip', '*']) {
    const packed = await http.inject({ url: path, headers: { 'accept-encoding': accepted } });
    expect([accepted, packed.headers['content-encoding'], packed.headers['content-type'], packed.headers['cache-control']]).toEqual([accepted, 'gzip', 'application/octet-stream', 'public, max-age=31536000, immutable']);
    expect(gunzipSync(packed.rawPayload).equals(plain.rawPayload)).toBe(true);
    expect(packed.rawPayload.length).toBeLessThan(plain.rawPayload.length);
  }
  for (const accepted of ['identity', 'br', 'gzip;q=0', 'gzip; q=0.000, br', 'xgzip']) expect([accepted, (await http.inject({ url: path, headers: { 'accept-encoding': accepted } })).headers['content-encoding']]).toEqual([accepted, undefined]);
  expect((await http.inject({ url: '/log/tile/0/000', headers: { 'accept-encoding': 'gzip' } })).headers['content-encoding']).toBeUndefined();
  const absent = await http.inject({ url: '/log/tile/0/002' });
  expect([absent.statusCode, absent.headers['cache-control']]).toEqual([404, 'no-cache']);
  for (const each of ['checkpoint', 'vkey', 'tile/0/000', 'proof/3']) expect([each, (await http.inject({ url: `/log/${each}` })).headers['access-control-allow-origin']]).toEqual([each, '*']);
});

test('nothing outside the published tree is given out', async () => {
  for (const path of ['tile/0/001.p/5', 'tile/0/002', 'tile/2/000.p/1', 'tile/64/000', 'tile/0/..%2f..%2fkeys%2flog.key', 'tile/../keys/log.key', 'tile/0/x000/000', 'vkey/x']) {
    expect([path, (await http.inject({ url: `/log/${path}` })).statusCode]).toEqual([path, 404]);
  }
});

test('the command checks a running server, also while it appends, and its checkpoint against one kept before', async () => {
  const address = await http.listen({ host: '127.0.0.1', port: 0 });
  const kept = join(folder, 'kept');
  writeFileSync(kept, log.checkpoint());
  const lines: string[] = [];
  let busy = true;
  const appending = (async () => {
    while (busy) await append(150);
  })();
  for (let times = 0; times < 3; times += 1) expect(await verifyLog(address, { print: (line) => lines.push(line), key: log.verifierKey(), since: kept })).toBe(0);
  busy = false;
  await appending;
  expect(lines.join('\n')).toContain('nothing that stood in the log at 260 entries was changed');
  expect(await verifyLog(`${address}/log/`, { print: () => undefined })).toBe(0);
});

test('an address without a log is told from a broken one', async () => {
  const page = createServer((_request, response) => response.setHeader('content-type', 'text/html').end('<p>hello'));
  page.listen(0, '127.0.0.1');
  await once(page, 'listening');
  const lines: string[] = [];
  expect(await verifyLog(`http://127.0.0.1:${(page.address() as AddressInfo).port}`, { print: (line) => lines.push(line) })).toBe(2);
  expect(lines[0]).toContain('There is no log');
  page.close();
});

test('the proof of an entry is public and holds under the key, and a wrong index is a refusal', async () => {
  const answer = await http.inject({ url: '/log/proof/17' });
  expect(answer.headers['content-type']).toBe('text/plain; charset=utf-8');
  const { entry } = await log.proveInclusion(17);
  const [proof, given] = [join(folder, 'proof'), join(folder, 'entry')];
  writeFileSync(proof, answer.body);
  writeFileSync(given, entry);
  const lines: string[] = [];
  const check = (options: Parameters<typeof verifyProofFile>[1]): Promise<number> => verifyProofFile(proof, { print: (line) => lines.push(line), ...options });
  expect(await check({ entry: given, key: log.verifierKey() })).toBe(0);
  expect(lines.join('\n')).toMatch(/Proved:[\s\S]*Not proved:/);
  expect(await check({ entry: given })).toBe(2);
  expect(await check({ key: log.verifierKey() })).toBe(2);
  expect(await check({ entry: given, key: log.verifierKey().replace('+A', '+B') })).toBe(2);
  writeFileSync(join(folder, 'policy'), `log ${log.verifierKey()}\nquorum none\n`);
  expect(await check({ entry: given, policy: join(folder, 'policy') })).toBe(0);
  writeFileSync(given, '{}');
  expect(await check({ entry: given, key: log.verifierKey() })).toBe(1);
  for (const index of ['9999999', '-1', '01', '1e1', 'x', '99999999999999999999']) expect([index, (await http.inject({ url: `/log/proof/${index}` })).statusCode]).toEqual([index, 404]);
  expect((await http.inject({ url: '/log/witnessed' })).statusCode).toBe(404);
});
