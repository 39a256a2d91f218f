import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { findFreePort } from './http.ts';

const HOST = '127.0.0.1';

test('a taken port is passed over, and the chosen one is below those of outgoing connections', async () => {
  const first = await findFreePort(HOST, () => Buffer.from([1, 2]));
  const holder = createServer().listen(first, HOST);
  await once(holder, 'listening');
  const draws = [Buffer.from([1, 2]), Buffer.from([1, 2]), Buffer.from([3, 4])];
  const second = await findFreePort(HOST, () => draws.shift() ?? Buffer.alloc(2));
  await expect(findFreePort(HOST, () => Buffer.from([1, 2]))).rejects.toThrow('EADDRINUSE');
  holder.close();
  expect(draws).toEqual([]);
  expect(second).not.toBe(first);
  for (const port of [first, second]) expect(port >= 1_024 && port < 32_768).toBe(true);
});
