import { createHmac, hkdfSync } from 'node:crypto';
import { newSecret } from '../../kernel/index.ts';

export const TOKEN_KINDS = ['word', 'name', 'surname', 'email', 'phone'] as const;
export type TokenKind = (typeof TOKEN_KINDS)[number];

export interface Token {
  readonly kind: TokenKind;
  readonly token: Buffer;
}

/** Keyed one-way functions of the city: what they give can be compared and not reversed without the key. */
export interface Blinding {
  /** HMAC-SHA-256, hex, kept apart by `use`. */
  mac(use: string, text: string): string;
  /** The secret of a follow-up link from the sender's idempotency key, so that a repeated send gets the same link (HKDF, RFC 5869). */
  secretFor(idempotencyKey: string): string;
  /** Tokens of a text's words, each once; at most 300. */
  ofWords(text: string): Token[];
  /** Tokens of contact data: the whole name, its words, the last word as surname, address and number. */
  ofContact(contact: Readonly<Record<string, string>>): Token[];
  /** The tokens that all have to be there to match what somebody typed; empty when there is nothing to look for. */
  ofQuery(by: 'words' | 'name' | 'email' | 'phone', text: string): Token[];
}

const TOKEN_BYTES = 16;
const WORD_MIN_CHARS = 3;
const WORDS_MAX = 300;
/** Numbers are compared by their last digits, because people write the country code or leave it out. */
const PHONE_DIGITS = 8;

/** `key`: 32 bytes of this city alone. */
export function createBlinding(key: Uint8Array): Blinding {
  const digest = (use: string, text: string): Buffer => createHmac('sha256', key).update(`${use}\u0000${text}`).digest();
  const tokenOf = (kind: TokenKind, text: string): Token => ({ kind, token: digest(`token ${kind}`, text).subarray(0, TOKEN_BYTES) });
  const emailOf = (text: string): Token[] => (text.trim() === '' ? [] : [tokenOf('email', text.trim().toLowerCase())]);
  const phoneOf = (text: string): Token[] => {
    const digits = text.replace(/\D/g, '');
    return digits.length < 4 ? [] : [tokenOf('phone', digits.slice(-PHONE_DIGITS))];
  };
  const nameWords = (text: string): string[] => [...new Set(foldWords(text))].slice(0, 20);
  return {
    mac: (use, text) => digest(`mac ${use}`, text).toString('hex'),
    secretFor: (idempotencyKey) => newSecret((size) => new Uint8Array(hkdfSync('sha256', key, new Uint8Array(0), `follow-up link\u0000${idempotencyKey}`, size))),
    ofWords: (text) => [...new Set(foldWords(text).filter((word) => word.length >= WORD_MIN_CHARS))].slice(0, WORDS_MAX).map((word) => tokenOf('word', word)),
    ofContact: (contact) => {
      const words = nameWords(contact['name'] ?? '');
      const surname = words.at(-1);
      return [...words.map((word) => tokenOf('name', word)), ...(surname === undefined ? [] : [tokenOf('surname', surname)]), ...emailOf(contact['email'] ?? ''), ...phoneOf(contact['phone'] ?? '')];
    },
    ofQuery: (by, text) => {
      if (by === 'email') return emailOf(text);
      if (by === 'phone') return phoneOf(text);
      if (by === 'name') return nameWords(text).map((word) => tokenOf('name', word));
      return [...new Set(foldWords(text).filter((word) => word.length >= WORD_MIN_CHARS))].slice(0, 10).map((word) => tokenOf('word', word));
    },
  };
}

/** Without case and accents, parted at everything that is neither letter nor digit. */
function foldWords(text: string): string[] {
  return text.toLowerCase().toWellFormed().normalize('NFD').replace(/\p{M}/gu, '').replaceAll('ß', 'ss').split(/[^\p{L}\p{N}]+/u).filter((word) => word !== '');
}
