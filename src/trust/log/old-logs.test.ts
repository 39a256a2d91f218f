import { createHash } from 'node:crypto';
import { renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { shiftOf } from '../../contracts/tlog/place.ts';
import { freshDatabase } from '../../../test/database.ts';
import { openLogIn, temporaryFolder } from '../../../test/log-folder.ts';
import { openOldLogs } from './old-logs.ts';
import { tilePath } from './tile-path.ts';

const COUNT = 600;
const commitment = (at: number): Buffer => createHash('sha256').update(String(at)).digest();
const data = temporaryFolder();
const bundle = join(data, 'log-1', tilePath({ level: 'entries', index: 0, width: 256 }));

beforeAll(async () => {
  const log = await openLogIn(data, await freshDatabase());
  await log.appendMany(Array.from({ length: COUNT }, (_, at) => ({ kind: 'look', t: '2026-11-24T06:00:00.000Z', commit: commitment(at).toString('hex') })));
  await log.close();
  renameSync(join(data, 'log'), join(data, 'log-1'));
});

test('leaves of a log that is over are found and proved; what stands in a damaged bundle is lost, and nothing else', async () => {
  const old = openOldLogs(data);
  for (const at of [3, 300, COUNT - 1]) expect(await old.find(1, commitment(at), 0)).toBe(at + shiftOf(1));
  expect(await old.find(1, commitment(COUNT), 0)).toBeNull();
  expect(Buffer.from((await old.prove(1, 3))?.entry ?? '').toString('utf8')).toContain(commitment(3).toString('hex'));
  writeFileSync(bundle, 'damaged');
  expect([await old.find(1, commitment(3), 0), await openOldLogs(data).prove(1, 3)]).toEqual([null, null]);
  expect(await old.find(1, commitment(300), 0)).toBe(300 + shiftOf(1));
});

test('a fault of the disk is not taken for a lost leaf: whoever asks may try again', async () => {
  rmSync(bundle);
  symlinkSync(bundle, bundle); // reading it fails with ELOOP
  const old = openOldLogs(data);
  await expect(old.find(1, commitment(3), 0)).rejects.toThrow('ELOOP');
  await expect(old.prove(1, 3)).rejects.toThrow('ELOOP');
});
