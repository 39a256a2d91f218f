import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { isoCBOR } from '@simplewebauthn/server/helpers';

/** A passkey in software (WebAuthn level 3, ES256, attestation `none`) for tests of the server. */
export interface Authenticator {
  readonly credentialId: string;
  register(options: { challenge: string; rp: { id: string } }): unknown;
  signIn(options: { challenge: string; rpId: string }, origin?: string): unknown;
}

const USER_PRESENT_AND_VERIFIED = 0x05;
const ATTESTED = 0x40;
const sha256 = (data: string | Uint8Array): Buffer => createHash('sha256').update(data).digest();
const url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');

export function createAuthenticator(ownOrigin: string, credentialId = url(randomBytes(16))): Authenticator {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  let counter = 0;
  const headOf = (rpId: string, flags: number): Buffer => {
    const count = Buffer.alloc(4);
    count.writeUInt32BE((counter += 1));
    return Buffer.concat([sha256(rpId), Uint8Array.of(flags), count]);
  };
  const clientData = (type: string, challenge: string, origin: string): Buffer => Buffer.from(JSON.stringify({ type, challenge, origin, crossOrigin: false }));

  return {
    credentialId,
    register: ({ challenge, rp }) => {
      const { x, y } = publicKey.export({ format: 'jwk' });
      const coordinate = (text: string | undefined): Uint8Array<ArrayBuffer> => new Uint8Array(Buffer.from(text ?? '', 'base64url'));
      // COSE_Key (RFC 9053 §7.1): kty EC2, alg ES256, crv P-256, x, y
      const key = isoCBOR.encode(
        new Map<number, number | Uint8Array<ArrayBuffer>>([
          [1, 2],
          [3, -7],
          [-1, 1],
          [-2, coordinate(x)],
          [-3, coordinate(y)],
        ]),
      );
      const id = Buffer.from(credentialId, 'base64url');
      const authData = Buffer.concat([headOf(rp.id, USER_PRESENT_AND_VERIFIED | ATTESTED), Buffer.alloc(16), Uint8Array.of(id.length >> 8, id.length & 255), id, key]);
      const attestation = isoCBOR.encode(
        new Map<string, string | Map<string, string> | Uint8Array<ArrayBuffer>>([
          ['fmt', 'none'],
          ['attStmt', new Map()],
          ['authData', new Uint8Array(authData)],
        ]),
      );
      return {
        id: credentialId,
        rawId: credentialId,
        type: 'public-key',
        clientExtensionResults: {},
        response: { clientDataJSON: url(clientData('webauthn.create', challenge, ownOrigin)), attestationObject: url(attestation), transports: ['internal'] },
      };
    },
    signIn: ({ challenge, rpId }, origin = ownOrigin) => {
      const authData = headOf(rpId, USER_PRESENT_AND_VERIFIED);
      const data = clientData('webauthn.get', challenge, origin);
      const signature = sign('sha256', Buffer.concat([authData, sha256(data)]), privateKey);
      return {
        id: credentialId,
        rawId: credentialId,
        type: 'public-key',
        clientExtensionResults: {},
        response: { clientDataJSON: url(data), authenticatorData: url(authData), signature: url(signature) },
      };
    },
  };
}
