import { execFileSync } from 'node:child_process';
import { constants, createPublicKey, publicEncrypt } from 'node:crypto';

/** An RSA key pair on a PKCS#11 token, used through OpenSC's pkcs11-tool; the private key never leaves the token. */
export interface Token {
  /** Path of the PKCS#11 module. */
  readonly module: string;
  /** Label of the token. */
  readonly label: string;
  /** Label of the key pair on it. */
  readonly keyLabel: string;
  readonly pin: string;
}

const TIMEOUT_MS = 30_000;

/** RSA-OAEP (RFC 8017 §7.1). SHA-1 as its hash is what tokens offer in common; OAEP does not rest on collision resistance. */
export function wrapForToken(token: Token, key: Uint8Array): Buffer {
  const spki = call(token, ['--read-object', '--type', 'pubkey', '--label', token.keyLabel]);
  return publicEncrypt({ key: createPublicKey({ key: spki, format: 'der', type: 'spki' }), padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha1' }, key);
}

/** Throws when module, token, PIN or key are not right. */
export function unwrapByToken(token: Token, wrapped: Uint8Array): Buffer {
  // without file names it reads and writes its standard streams; these are sockets, which cannot be opened as /dev/stdin
  return call(token, ['--login', '--decrypt', '--mechanism', 'RSA-PKCS-OAEP', '--hash-algorithm', 'SHA-1', '--mgf', 'MGF1-SHA1', '--label', token.keyLabel], wrapped);
}

function call(token: Token, args: readonly string[], input?: Uint8Array): Buffer {
  try {
    // the PIN goes by the environment, for command lines can be read by every user of the machine
    return execFileSync('pkcs11-tool', ['--module', token.module, '--token-label', token.label, ...(args.includes('--login') ? ['--pin', 'env:CLERESTORY_PIN'] : []), ...args], {
      env: { PATH: process.env['PATH'], SOFTHSM2_CONF: process.env['SOFTHSM2_CONF'], CLERESTORY_PIN: token.pin },
      timeout: TIMEOUT_MS,
      ...(input === undefined ? { stdio: ['ignore', 'pipe', 'pipe'] } : { input, stdio: ['pipe', 'pipe', 'pipe'] }),
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new Error("pkcs11-tool is missing: install OpenSC (Debian's package opensc)");
    const said = String((error as { stderr?: Buffer }).stderr ?? '').trim().split('\n').at(-1) ?? '';
    throw new Error(said === '' ? 'pkcs11-tool gave no answer' : said, { cause: error });
  }
}
