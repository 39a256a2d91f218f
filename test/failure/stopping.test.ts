import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { connectAsync } from 'mqtt';
import { afterAll, expect, test } from 'vitest';
import { startTestCity, type TestCity } from '../city.ts';

let city: TestCity | undefined;
afterAll(async () => {
  if (city?.process.exitCode === null) await city.kill();
  city?.remove();
});

test('a city stops when it is told to, whoever still holds a connection to it', async () => {
  city = await startTestCity();
  const token = city.token('administrator');
  const options = { username: 'x', password: token, reconnectPeriod: 0 };
  for (const url of [`${city.url.replace('http', 'ws')}/mqtt`, `mqtt://127.0.0.1:${String(city.mqttPort)}`]) {
    const client = await connectAsync(url, options);
    client.on('error', () => undefined); // the city ends the connection
    await client.subscribeAsync('v1.1/Observations', { qos: 0 });
  }
  const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
  for (const head of ['GET /v1.1/Things HTTP/1.1\r\nHost: x\r\n', `GET /elsewhere HTTP/1.1\r\nHost: x\r\n${upgrade}`, `GET // HTTP/1.1\r\nHost: x\r\n${upgrade}`, 'POST /v1.1/Things HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{', 'GET /v1.1/Things HTTP/1.1\r\nHost: x\r\n\r\n', '']) {
    const socket = connectTcp({ port: Number(new URL(city.url).port), host: '127.0.0.1', allowHalfOpen: true });
    socket.on('error', () => undefined); // a reset is what a stop may look like
    await once(socket, 'connect');
    socket.write(head);
  }
  expect(await city.stop()).toBe(0);
});
