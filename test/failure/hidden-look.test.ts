import { generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readNoteKey, type NoteKey } from '../../src/contracts/tlog/note.ts';
import { findOwnLeaves } from '../../src/contracts/tlog/own-leaves.ts';
import { systemRandom } from '../../src/kernel/index.ts';
import { createBroker } from '../../src/trust/broker/broker.ts';
import { openJournal } from '../../src/trust/broker/journal.ts';
import { openRootKeys } from '../../src/trust/keeper/root-keys.ts';
import { caseTag } from '../../src/trust/log/entry.ts';
import { verifierKey } from '../../src/trust/log/note.ts';
import { openFolder } from '../../src/trust/log/verify-command.ts';
import { freshDatabase } from '../database.ts';
import { openLogIn, temporaryFolder } from '../log-folder.ts';

// A city that changed its own code wants to look without the resident finding the leaf.

test('a look numbered far beyond the others is found all the same, and the number of another case is not taken for one', async () => {
  const folder = temporaryFolder();
  const log = await openLogIn(folder, await freshDatabase());
  const [own, other] = [Buffer.alloc(32, 7), Buffer.alloc(32, 8)];
  const leafOf = (key: Buffer, n: number, t = '2026-11-24T06:00:00.000Z') => ({ kind: 'look', t, caseTag: caseTag(key, n), n, commit: 'ab'.repeat(32) });
  const placed = await log.appendMany([leafOf(own, 1), leafOf(other, 2), leafOf(own, 5_000_000), leafOf(other, 5_000_000), leafOf(own, Number.MAX_SAFE_INTEGER)]);
  const reader = await openFolder(folder);
  const found = await findOwnLeaves((path) => (reader as NonNullable<typeof reader>).read(path), (await readNoteKey(log.verifierKey())) as NoteKey, own.toString('hex'), 1);
  expect(found).toMatchObject({ ok: true, leaves: [{ n: 1, index: placed[0] }, { n: 5_000_000, index: placed[2] }, { n: Number.MAX_SAFE_INTEGER, index: placed[4] }] });
  await log.close();
});

test('the broker does not go back to a log that it left, under which an older head would look new; nor after a new start', () => {
  const folder = temporaryFolder();
  const raw = Buffer.from(generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }).x as string, 'base64url');
  const [first, second, third] = ['city.example/log', 'city.example/log2', 'city.example/log3'].map((origin) => verifierKey(origin, raw)) as [string, string, string];
  const start = () => {
    const journal = openJournal(join(folder, 'broker'));
    return { journal, broker: createBroker({ roots: openRootKeys(join(folder, 'keys'), { token: null, passphrase: () => null }), journal, random: systemRandom }) };
  };
  const one = start();
  one.broker.hello({ vkey: first });
  one.broker.hello({ vkey: first });
  one.broker.hello({ vkey: second });
  expect(() => one.broker.hello({ vkey: first })).toThrow(expect.objectContaining({ denial: 'log-older' }) as Error);
  expect(one.journal.vkey()).toBe(second);
  one.journal.close();
  const two = start();
  expect(() => two.broker.hello({ vkey: first })).toThrow(expect.objectContaining({ denial: 'log-older' }) as Error);
  two.broker.hello({ vkey: second });
  two.broker.hello({ vkey: third });
  expect(() => two.broker.hello({ vkey: second })).toThrow(expect.objectContaining({ denial: 'log-older' }) as Error);
  two.journal.close();
});
