import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { afterAll, expect, test } from 'vitest';
import { Refused } from '../kernel/index.ts';
import { createMetrics } from './metrics.ts';
import { createOutgoing, isPrivateAddress, originOf, type EgressHost, type Outgoing } from './outgoing.ts';

async function serve(handle: RequestListener): Promise<string> {
  const server = createServer(handle).listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const outgoing = (...egress: EgressHost[]): Outgoing => createOutgoing({ egress, metrics: createMetrics() });
const local = (host: string): EgressHost => ({ host, private: true });
const ask = { accept: 'application/json', max_bytes: 100_000 };

async function codeOf(act: Promise<unknown>): Promise<string> {
  try {
    await act;
    return 'taken';
  } catch (error) {
    if (error instanceof Refused) return error.refusals[0].code;
    throw error;
  }
}

test('nothing is called that is not on the list, and every blocked call is counted', async () => {
  let calls = 0;
  const origin = await serve((_request, response) => {
    calls += 1;
    response.end('{}');
  });
  const metrics = createMetrics();
  const out = createOutgoing({ egress: [local('http://127.0.0.1:1')], metrics });
  expect(await codeOf(out.get(`${origin}/a`, ask))).toBe('feed.egress-blocked');
  expect(out.check(`${origin}/a`)?.code).toBe('feed.egress-blocked');
  expect(await codeOf(out.get('file:///etc/passwd', ask))).toBe('feed.egress-blocked');
  expect(await codeOf(out.get('not an address', ask))).toBe('feed.egress-blocked');
  expect(calls).toBe(0);
  expect(await metrics.metrics()).toContain('clerestory_egress_blocked_total 3');
});

test('a listed host answers; a private one must be listed as such; credentials in the address are refused', async () => {
  const origin = await serve((_request, response) => response.setHeader('etag', '"v1"').end('{"a":1}'));
  const { port } = new URL(origin);
  expect((await outgoing(local(origin)).get(origin, ask)).body.toString()).toBe('{"a":1}');
  expect(await codeOf(outgoing({ host: origin, private: false }).get(origin, ask))).toBe('feed.egress-blocked');
  // a name that leads into a private network
  const named = `http://localhost:${port}`;
  expect(await codeOf(outgoing({ host: named, private: false }).get(named, ask))).toBe('feed.egress-blocked');
  expect((await outgoing(local(named)).get(named, ask)).validators).toEqual({ etag: '"v1"', last_modified: null });
  expect(await codeOf(outgoing(local(origin)).get(`http://user:secret@127.0.0.1:${port}/`, ask))).toBe('feed.egress-blocked');
  // https is meant unless http is said
  expect(await codeOf(outgoing(local(`127.0.0.1:${port}`)).get(origin, ask))).toBe('feed.egress-blocked');
});

test('what is not changed is not sent again', async () => {
  const origin = await serve((request, response) => {
    if (request.headers['if-none-match'] === '"v1"') response.writeHead(304).end();
    else response.setHeader('etag', '"v1"').end('body');
  });
  const out = outgoing(local(origin));
  const first = await out.get(origin, ask);
  const again = await out.get(origin, { ...ask, known: first.validators });
  expect([first.status, again.status, again.body.length]).toEqual([200, 304, 0]);
});

test('a redirect stays on its host, and ends', async () => {
  const other = await serve((_request, response) => response.end('secret'));
  const origin = await serve((request, response) => {
    const to: Record<string, string> = { '/home': '/there', '/away': other, '/round': '/round' };
    const location = to[request.url ?? ''];
    if (location === undefined) response.end('there');
    else response.writeHead(302, { location }).end();
  });
  const out = outgoing(local(origin), local(other));
  expect((await out.get(`${origin}/home`, ask)).body.toString()).toBe('there');
  expect(await codeOf(out.get(`${origin}/away`, ask))).toBe('feed.egress-blocked');
  expect(await codeOf(out.get(`${origin}/round`, ask))).toBe('feed.source-answer');
});

test('packed bodies are unpacked to a limit: a bomb is refused while it comes', async () => {
  let written = 0;
  const bomb = gzipSync(Buffer.alloc(64 * 1_048_576));
  const origin = await serve((request, response) => {
    const small = Buffer.from('x'.repeat(50_000));
    if (request.url === '/gzip') response.setHeader('content-encoding', 'gzip').end(gzipSync(small));
    else if (request.url === '/br') response.setHeader('content-encoding', 'br').end(brotliCompressSync(small));
    else if (request.url === '/false') response.setHeader('content-encoding', 'gzip').end('this is not gzip');
    else if (request.url === '/odd') response.setHeader('content-encoding', 'zip').end('x');
    else if (request.url === '/bomb') response.setHeader('content-encoding', 'gzip').end(bomb);
    else {
      const more = (): void => {
        written += 1;
        if (!response.destroyed) response.write(Buffer.alloc(65_536), () => setImmediate(more));
      };
      more();
    }
  });
  const out = outgoing(local(origin));
  expect((await out.get(`${origin}/gzip`, ask)).body.length).toBe(50_000);
  expect((await out.get(`${origin}/br`, ask)).body.length).toBe(50_000);
  expect(await codeOf(out.get(`${origin}/bomb`, ask))).toBe('feed.document-too-large');
  expect(await codeOf(out.get(`${origin}/endless`, ask))).toBe('feed.document-too-large');
  expect(await codeOf(out.get(`${origin}/false`, ask))).toBe('feed.document-invalid');
  expect(await codeOf(out.get(`${origin}/odd`, ask))).toBe('http.unsupported-type');
  expect(written).toBeGreaterThan(0);
});

test('a source that hangs, breaks off, is away or answers with an error is told apart', async () => {
  const origin = await serve((request, response) => {
    if (request.url === '/half') response.writeHead(200, { 'content-length': '100' }).write('half', () => response.destroy());
    else if (request.url === '/drip') response.write('first');
    else if (request.url === '/error') response.writeHead(503).end();
    else if (request.url === '/upgrade') response.socket?.end('HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\nConnection: Upgrade\r\n\r\n');
  });
  const out = outgoing(local(origin), local('http://127.0.0.1:9'));
  const soon = { ...ask, timeout_ms: 150 };
  expect(await codeOf(out.get(`${origin}/hang`, soon))).toBe('feed.source-away');
  expect(await codeOf(out.get(`${origin}/drip`, soon))).toBe('feed.source-away');
  expect(await codeOf(out.get(`${origin}/half`, ask))).toBe('feed.source-away');
  expect(await codeOf(out.get(`${origin}/error`, ask))).toBe('feed.source-answer');
  expect(await codeOf(out.get(`${origin}/upgrade`, ask))).toBe('feed.source-answer');
  expect(await codeOf(out.get('http://127.0.0.1:9/', ask))).toBe('feed.source-away');
});

test('what is under way breaks off when the server stops', async () => {
  const origin = await serve((request, response) => {
    if (request.url === '/drip') response.write('first');
  });
  const out = outgoing(local(origin));
  const codes = Promise.all([codeOf(out.get(`${origin}/hang`, ask)), codeOf(out.get(`${origin}/drip`, ask))]);
  await new Promise((resolve) => setTimeout(resolve, 100));
  out.close();
  expect(await codes).toEqual(['feed.source-away', 'feed.source-away']);
  expect(await codeOf(out.get(origin, ask))).toBe('feed.source-away');
});

test('addresses that are not of the public internet', () => {
  for (const address of ['127.0.0.1', '10.1.2.3', '172.31.0.1', '192.168.1.1', '169.254.169.254', '100.64.0.1', '0.0.0.0', '::1', 'fd00::1', 'fe80::1', '::ffff:10.0.0.1', '224.0.0.1', '2001:db8::1']) expect([address, isPrivateAddress(address)]).toEqual([address, true]);
  for (const address of ['8.8.8.8', '172.32.0.1', '2a00:1450:4001::1', '::ffff:8.8.8.8']) expect([address, isPrivateAddress(address)]).toEqual([address, false]);
});

test('a line of the list is a host and no more', () => {
  expect(originOf('data.example.org')).toBe('https://data.example.org');
  expect(originOf('data.example.org:8443')).toBe('https://data.example.org:8443');
  expect(originOf('http://data.example.org:80')).toBe('http://data.example.org');
  for (const wrong of ['', 'ftp://a', 'https://a/path', 'https://u:p@a', '*']) expect(() => originOf(wrong), wrong).toThrow(Refused);
});
