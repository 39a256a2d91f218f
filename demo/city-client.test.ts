import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { CityRefusal, connectCity } from './city-client.ts';

let server: Server | undefined;
afterEach(() => server?.close());

type Handler = (request: IncomingMessage, reply: ServerResponse) => void;

async function listen(handle: Handler, port = 0): Promise<string> {
  server = createServer((request, reply) => {
    request.resume().once('end', () => handle(request, reply));
  }).listen(port, '127.0.0.1');
  await new Promise((resolve) => server?.once('listening', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

it('sends again after the time that a full city names, and then resolves', async () => {
  let calls = 0;
  const url = await listen((_request, reply) => {
    calls += 1;
    if (calls === 1) reply.writeHead(503, { 'retry-after': '1' }).end();
    else reply.writeHead(200, { 'content-type': 'application/json' }).end('{"taken":true}');
  });
  const waits: number[] = [];
  const city = connectCity({ url, token: 'secret', onRetry: (_reason, wait_ms) => waits.push(wait_ms) });
  expect(await city.post('/v1.1/CreateObservations', [])).toEqual({ taken: true });
  expect(waits).toEqual([1_000]);
});

it('outlives a restart of the city', async () => {
  const url = await listen((_request, reply) => reply.end('{}'));
  const port = Number(new URL(url).port);
  await new Promise((resolve) => server?.close(resolve));
  const reasons: string[] = [];
  const back = new Promise<void>((resolve, reject) => {
    setTimeout(() => void listen((_request, reply) => reply.end('{"back":true}'), port).then(() => resolve(), reject), 700);
  });
  expect(await connectCity({ url, token: undefined, onRetry: (reason) => reasons.push(reason) }).get('/')).toEqual({ back: true });
  await back;
  expect(reasons[0]).toMatch(/ECONNREFUSED/);
});

it('does not repeat what the city refuses for good, and says what it answered', async () => {
  let calls = 0;
  const url = await listen((_request, reply) => {
    calls += 1;
    reply.writeHead(403).end('the purpose has ended');
  });
  await expect(connectCity({ url, token: undefined }).post('/x', {})).rejects.toThrow(new CityRefusal(403, 'the purpose has ended'));
  expect(calls).toBe(1);
});

it('sends the token, the language and forms as forms, and follows links of the same city only', async () => {
  const seen: IncomingMessage[] = [];
  const url = await listen((request, reply) => {
    seen.push(request);
    reply.end('{}');
  });
  const city = connectCity({ url, token: 'secret' });
  await city.post('/open311/v2/requests.json', new URLSearchParams({ service_code: 'pothole' }), 'es');
  expect(seen[0]?.headers).toMatchObject({ authorization: 'Bearer secret', 'accept-language': 'es', 'content-type': 'application/x-www-form-urlencoded;charset=UTF-8' });
  await city.get(`${url}/v1.1/Things?$skip=1`);
  expect(seen[1]?.url).toBe('/v1.1/Things?$skip=1');
  await expect(city.get('http://127.0.0.1:1/elsewhere')).rejects.toThrow(/another server/);
});

it('ends when it is told to, even while the city is away', async () => {
  const end = new AbortController();
  const waiting = connectCity({ url: 'http://127.0.0.1:1', token: undefined, signal: end.signal, onRetry: () => end.abort() }).get('/');
  await expect(waiting).rejects.toThrow(/abort/i);
});
