import { scryptSync } from 'node:crypto';
import { TOTP } from 'otpauth';
import { beforeAll, expect, test } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import { manualClock, systemRandom } from '../../kernel/index.ts';
import { createBus, silentLogger, type Database } from '../../platform/index.ts';
import { createAttempts } from './attempts.ts';
import { createDoors, type Doors } from './doors.ts';
import { createOneTimeCodes, type OneTimeCodes } from './one-time-codes.ts';
import { createPasskeys } from './passkeys.ts';
import { createPasswords, type Derive } from './passwords.ts';
import { createSessions } from './sessions.ts';

// Whoever measures how long a refusal takes must not learn from it which names have accounts, or that a passphrase was right.
// What is counted is the work: no test of time is steady enough to show it.

const PASSWORD = 'correct horse battery';
const clock = manualClock(Date.parse('2026-11-24T06:00:00Z'));
const done: string[] = [];
let doors: Doors;
let codes: OneTimeCodes;
let secret: string;

beforeAll(async () => {
  const handle = await freshDatabase();
  const key = Buffer.from(systemRandom(32));
  const bus = await createBus(handle, clock, silentLogger);
  // every statement that goes to the database is noted by its kind
  const db: Database = handle.db.withPlugin({
    transformQuery: ({ node }) => {
      done.push(node.kind);
      return node;
    },
    transformResult: async ({ result }) => result,
  });
  const derive: Derive = async (password, salt, costLog2, r, p) => {
    done.push(`scrypt ${costLog2} ${r} ${p}`);
    return scryptSync(password, salt, 32, { N: 2 ** costLog2, r, p });
  };
  const passwords = createPasswords(systemRandom, 10, derive);
  const passkeys = createPasskeys({ clock, random: systemRandom });
  codes = createOneTimeCodes({ db, clock, random: systemRandom, key, city: 'Testport' });
  const attempts = createAttempts({ db, clock, key });
  const sessions = createSessions({ db, bus, clock, random: systemRandom, publicUrl: undefined, secondFactor: 'required' });
  doors = createDoors({ db, city: 'Testport', clock, random: systemRandom, passwords, passkeys, codes, sessions, attempts });
  const join = async (name: string): Promise<string> => {
    const accepted = await doors.acceptWithPassword((await doors.invite({ name, positions: ['operator'], lifetime_ms: 60_000 })).code, name, PASSWORD, '');
    if (!accepted.ok) throw new Error(accepted.refusal.detail);
    return accepted.value.principal.id;
  };
  const withCodes = await join('With Codes');
  const begun = await codes.begin(withCodes, 'With Codes');
  if (!begun.ok) throw new Error(begun.refusal.detail);
  secret = begun.value.secret.replaceAll('-', '');
  expect((await codes.confirm(withCodes, codeNow())).ok).toBe(true);
  await join('Without Codes');
  await handle.pool.query(`insert into person (id, name, name_key, positions, pseudonym, created_at) values ('per_key', 'Passkey Only', 'passkey only', '{operator}', 'p-key', now())`);
  return () => bus.close();
});

const codeNow = (): string => new TOTP({ secret, algorithm: 'SHA1', digits: 6, period: 30 }).generate({ timestamp: clock.nowMs() });

async function workOf(name: string, password: string, code: string): Promise<{ ok: boolean; detail: string; work: string[] }> {
  done.length = 0;
  const result = await doors.signInWithPassword({ name, password, code }, `192.0.2.${Math.floor(clock.nowMs() / 1_000) % 250}`, '');
  return { ok: result.ok, detail: result.ok ? '' : result.refusal.detail, work: [...done] };
}

test('a refusal costs the same work whether the name, the passphrase or the code was wrong', async () => {
  for (const code of ['000000', 'ABCD-EFGH-IJKL-MNOP', '']) {
    const nobody = await workOf('Nobody Here', 'wrong', code);
    const cases = {
      'wrong passphrase': await workOf('With Codes', 'wrong', code),
      'right passphrase, wrong code': await workOf('With Codes', PASSWORD, code),
      'wrong passphrase, no codes': await workOf('Without Codes', 'wrong', code),
      'no passphrase at all': await workOf('Passkey Only', 'wrong', code),
    };
    expect(nobody.work.filter((each) => each.startsWith('scrypt'))).toEqual(['scrypt 10 8 1']);
    for (const [what, each] of Object.entries(cases)) expect([code, what, each]).toEqual([code, what, nobody]);
  }
});

test('the right three open the door, and that is more work only after it is clear that they are right', async () => {
  clock.advance(60_000);
  const refused = await workOf('Nobody Here', 'wrong', '000000');
  const opened = await workOf('With Codes', PASSWORD, codeNow());
  expect(opened.ok).toBe(true);
  expect(opened.work.slice(0, refused.work.length)).toEqual(refused.work);
});
