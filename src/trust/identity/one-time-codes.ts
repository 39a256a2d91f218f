import { createHmac } from 'node:crypto';
import { Secret, TOTP } from 'otpauth';
import { ok, refuse, type Clock, type Random, type Result } from '../../kernel/index.ts';
import type { Database } from '../../platform/index.ts';
import { seal, unseal } from '../broker/ciphers.ts';
import { confirmOneTimeCode, findOneTimeCode, putOneTimeCode, replaceRecoveryCodes, spendRecoveryCode, spendStep } from './factor-store.ts';

/** RFC 4226 §4 R6 asks for 128 bits and recommends 160. */
const SECRET_BYTES = 20;
const PERIOD_S = 30;
const DIGITS = 6;
/** Steps before and after the present one that are taken: a phone's clock may be 30 s off (RFC 6238 §5.2). */
const SKEW_STEPS = 1;
const RECOVERY_CODES = 10;
const RECOVERY_BYTES = 10;
const RECOVERY_CHARS = 16;
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'; // RFC 4648 §6

/** Second factor beside a password: time-based one-time codes (RFC 6238: SHA-1, 6 digits, 30 s, as every app reads them) and recovery codes. */
export interface OneTimeCodes {
  /** Makes a secret that counts after `confirm`. `uri` is for a QR code, `secret` for typing. */
  begin(personId: string, name: string): Promise<Result<{ uri: string; secret: string }>>;
  /** Takes the first code of a new secret; gives the recovery codes, which are shown this once. */
  confirm(personId: string, code: string): Promise<Result<string[]>>;
  /** Takes a code of the app or a recovery code, each once. False also when the person has none set up. */
  take(personId: string, code: string): Promise<boolean>;
  /** Whether the person has set it up. */
  isSetUp(personId: string): Promise<boolean>;
  /** Puts new recovery codes in the place of the old ones. */
  renewRecoveryCodes(personId: string): Promise<Result<string[]>>;
}

export function createOneTimeCodes({ db, clock, random, key, city }: { db: Database; clock: Clock; random: Random; key: Uint8Array; city: string }): OneTimeCodes {
  const contextOf = (personId: string): readonly string[] => ['one-time-code', personId];
  const totpOf = (secret: Uint8Array, label: string): TOTP => new TOTP({ issuer: city, label, algorithm: 'SHA1', digits: DIGITS, period: PERIOD_S, secret: new Secret({ buffer: new Uint8Array(secret).buffer }) });
  const hashOf = (personId: string, recoveryCode: string): Buffer => createHmac('sha256', key).update(JSON.stringify(['recovery-code', personId, recoveryCode])).digest();
  const nobodySealed = Buffer.from(seal(key, contextOf(NOBODY), random(SECRET_BYTES), random));
  const makeRecoveryCodes = (): string[] => Array.from({ length: RECOVERY_CODES }, () => groupsOf(base32(random(RECOVERY_BYTES))));

  /** The step whose code this is, or null. Compared in constant time by the library. */
  const stepOf = (secretSealed: Buffer, personId: string, digits: string): number | null => {
    const timestamp = clock.nowMs();
    const delta = totpOf(unseal(key, contextOf(personId), secretSealed), '').validate({ token: digits, timestamp, window: SKEW_STEPS });
    return delta === null ? null : Math.floor(timestamp / 1_000 / PERIOD_S) + delta;
  };
  const takeDigits = async (personId: string, digits: string, needsConfirmed: boolean): Promise<boolean> => {
    const stored = await findOneTimeCode(db, personId);
    const counts = stored?.confirmed === needsConfirmed;
    // somebody without codes costs the same work, so that time does not tell who has them
    const step = counts ? stepOf(stored.secretSealed, personId, digits) : stepOf(nobodySealed, NOBODY, digits);
    return counts && step !== null && spendStep(db, personId, step);
  };

  return {
    begin: async (personId, name) => {
      const secret = random(SECRET_BYTES);
      if (!(await putOneTimeCode(db, personId, seal(key, contextOf(personId), secret, random), new Date(clock.nowMs()))))
        return refuse('auth.factor-present', 'One-time codes are set up already; remove them first.');
      const totp = totpOf(secret, name.replaceAll(':', ' '));
      return ok({ uri: totp.toString(), secret: groupsOf(totp.secret.base32) });
    },
    confirm: async (personId, code) => {
      const digits = compact(code);
      if (!isDigits(digits) || !(await takeDigits(personId, digits, false))) return refuse('auth.code-wrong', 'The code is not the one of this moment.', 'code');
      const codes = makeRecoveryCodes();
      await db.transaction().execute((trx) => confirmOneTimeCode(trx, personId, codes.map((made) => hashOf(personId, compact(made))), new Date(clock.nowMs())));
      return ok(codes);
    },
    take: async (personId, code) => {
      const typed = compact(code);
      if (isDigits(typed)) return takeDigits(personId, typed, true);
      return typed.length === RECOVERY_CHARS && spendRecoveryCode(db, personId, hashOf(personId, typed), new Date(clock.nowMs()));
    },
    isSetUp: async (personId) => (await findOneTimeCode(db, personId))?.confirmed === true,
    renewRecoveryCodes: async (personId) => {
      if ((await findOneTimeCode(db, personId))?.confirmed !== true) return refuse('auth.factor-unknown', 'One-time codes are not set up.');
      const codes = makeRecoveryCodes();
      await db.transaction().execute((trx) => replaceRecoveryCodes(trx, personId, codes.map((made) => hashOf(personId, compact(made)))));
      return ok(codes);
    },
  };
}

/** No person's id: those begin with per_. */
const NOBODY = 'nobody';
const isDigits = (text: string): boolean => /^\d{6}$/.test(text);
/** As it was meant: without the spaces and hyphens that make it readable. */
const compact = (text: string): string => text.replace(/[\s-]/g, '').toUpperCase();
const groupsOf = (text: string): string => (text.match(/.{1,4}/g) ?? []).join('-');

/** Base32 without padding (RFC 4648 §6); the bytes come in fives. */
function base32(bytes: Uint8Array): string {
  let bits = BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
  let text = '';
  for (let left = (bytes.length * 8) / 5; left > 0; left -= 1) {
    text = (ALPHABET[Number(bits & 31n)] ?? '') + text;
    bits >>= 5n;
  }
  return text;
}
