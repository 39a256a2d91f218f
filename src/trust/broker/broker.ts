import type { Random } from '../../kernel/index.ts';
import { canonicalJson, type Json } from '../log/canonical.ts';
import { caseTag, commitTo, encodeLeaf, NONCE_BYTES, type Leaf } from '../log/entry.ts';
import { hashLeaf } from '../log/merkle.ts';
import { checkCheckpoint } from '../log/verify-checkpoint.ts';
import { verifyConsistency, verifyInclusion } from '../log/verify-proofs.ts';
import { fingerprintOf, KEY_BYTES, ownerKeyOf, seal, unseal } from './ciphers.ts';
import type { Journal, Opening, SeenHead } from './journal.ts';
import type { Denial, LookAct, OpenItem, PreparedLook, Protocol, WrappedKeys } from './protocol.ts';
import type { RootKeys } from './roots.ts';

const ITEMS_MAX = 200;
const REWRAP_MAX = 1_000;
/** Twelve months are the longest that a look may stay sealed. */
const SEALED_DAYS_MAX = 366;
const DAY_MS = 86_400_000;

/** The broker understood and does not do it. */
export class Denied extends Error {
  readonly denial: Denial;
  constructor(denial: Denial, detail: string) {
    super(detail);
    this.denial = denial;
  }
}

type Use = 'record' | 'log';
type LookBody = { readonly [key: string]: Json } & LookAct & { readonly case: string; readonly record: string; readonly fields: readonly string[]; readonly n: number };

const encode = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const decode = (text: string): Buffer => Buffer.from(text, 'base64');

/**
 * The one place where case keys are unwrapped. Nothing is decrypted for the city before the broker has itself seen the leaf of that
 * very look in the signed log and has written the opening into its journal.
 */
export function createBroker({ roots, journal, random }: { roots: RootKeys; journal: Journal; random: Random }): Protocol {
  const wrapUnder = (version: number, caseId: string, use: Use, key: Uint8Array): string => {
    const root = roots.get(version);
    if (root === null) throw new Denied('root-missing', `The broker does not hold version ${version} of the root key.`);
    return encode(seal(root, ['case-key', caseId, use, version], key, random));
  };
  const unwrapKey = (caseId: string, use: Use, keys: WrappedKeys): Buffer => {
    const root = roots.get(keys.version);
    if (root === null) throw new Denied('root-missing', `The broker does not hold version ${keys.version} of the root key.`);
    return open(root, ['case-key', caseId, use, keys.version], use === 'record' ? keys.recordKey : keys.logKey);
  };
  const withKey = <T>(caseId: string, use: Use, keys: WrappedKeys, work: (key: Buffer) => T): T => wiping(unwrapKey(caseId, use, keys), work);

  const writeLook = (logKey: Buffer, body: LookBody, context: readonly (string | number)[]): PreparedLook => {
    const bytes = random(NONCE_BYTES);
    const nonce = Buffer.from(bytes).toString('hex');
    const sealed = seal(logKey, context, Buffer.from(canonicalJson({ nonce, body })), random);
    return { leaf: leafOf(logKey, body, commitTo(bytes, body)) as PreparedLook['leaf'], sealed: encode(sealed), nonce, body: canonicalJson(body) };
  };

  /** Takes the head that the city shows: signed, and grown out of the one seen last. */
  const acceptHead = (checkpoint: string, from: number, consistency: readonly string[]): SeenHead => {
    const checked = checkCheckpoint(Buffer.from(checkpoint), journal.vkey() ?? '', 'checkpoint');
    if ('fault' in checked) throw new Denied('log-forked', `The checkpoint is not right: ${checked.fault.detail}.`);
    const head = { size: checked.head.size, root: Buffer.from(checked.head.root) };
    const seen = journal.seen();
    if (seen === null) return head;
    if (from !== seen.size || head.size < seen.size) throw new Denied('log-older', `The broker has seen the log at size ${seen.size}.`);
    if (!verifyConsistency(seen.size, head.size, seen.root, head.root, consistency.map(decode))) throw new Denied('log-forked', 'The log does not contain the one that the broker saw before.');
    return head;
  };

  /** The leaf is computed here from the sealed body, so that the city cannot show another one. */
  const checkLook = ({ caseId, keys, record, look }: OpenItem, head: SeenHead): { opening: Opening; fields: readonly string[] } =>
    withKey(caseId, 'log', keys, (logKey) => {
      const { nonce, body } = readBody(logKey, lookContext(caseId, look.n), look.sealed);
      if (body.case !== caseId || body.record !== record || body.n !== look.n) throw new Denied('look-wrong', 'The look is at another case or record.');
      const leafHash = Buffer.from(hashLeaf(encodeLeaf(leafOf(logKey, body, commitTo(Buffer.from(nonce, 'hex'), body)))));
      if (!verifyInclusion(leafHash, look.index, head.size, look.proof.map(decode), head.root)) throw new Denied('leaf-not-in-log', 'The leaf of this look does not stand in the log at that index.');
      if (journal.spent(leafHash)) throw new Denied('leaf-spent', 'This leaf has opened a record already.');
      return { opening: { index: look.index, leafHash }, fields: body.fields };
    });

  return {
    hello: ({ vkey }) => {
      const known = journal.vkey();
      if (known !== vkey) {
        if (known !== null && publicKeyOf(known) !== publicKeyOf(vkey)) throw new Denied('log-unknown', 'The log is signed by another key than the one that this broker knows.');
        if (journal.left(vkey)) throw new Denied('log-older', 'This log was left for one of another name; restart the log under a new name.');
        journal.beginLog(vkey);
      }
      const list = roots.list().map(({ version, fingerprint }) => ({ version, fingerprint: encode(fingerprint) }));
      return { roots: list, protection: roots.protection, seen: journal.seen()?.size ?? 0, openings: journal.count() };
    },
    makeKeys: ({ caseId, ownerSecret }) => {
      const version = roots.newest();
      return wiping(Buffer.from(random(KEY_BYTES)), (recordKey) =>
        wiping(Buffer.from(random(KEY_BYTES)), (logKey) => {
          const keys = { version, recordKey: wrapUnder(version, caseId, 'record', recordKey), logKey: wrapUnder(version, caseId, 'log', logKey) };
          if (ownerSecret === null) return { keys, owner: null };
          const sealFor = (own: Buffer, use: Use, key: Buffer): string => encode(seal(own, ['owner-key', caseId, use, 1], key, random));
          return wiping(ownerKeyOf(ownerSecret, caseId), (own) => ({ keys, owner: { recordKey: sealFor(own, 'record', recordKey), logKey: sealFor(own, 'log', logKey) } }));
        }),
      );
    },
    seal: ({ caseId, keys, record, recordVersion, plain }) => ({
      sealed: withKey(caseId, 'record', keys, (key) => encode(seal(key, [caseId, record, recordVersion], Buffer.from(JSON.stringify(plain)), random))),
    }),
    prepare: ({ act, items }) => {
      if (items.length === 0 || items.length > ITEMS_MAX) throw new Denied('malformed', `A call opens 1 to ${ITEMS_MAX} records.`);
      if (act.until !== undefined && !(Date.parse(act.until) > Date.parse(act.at) && Date.parse(act.until) <= Date.parse(act.at) + SEALED_DAYS_MAX * DAY_MS))
        throw new Denied('malformed', 'A look is sealed for twelve months at most.');
      const looks = items.map(({ caseId, keys, record, fields, n }) =>
        withKey(caseId, 'log', keys, (logKey) => writeLook(logKey, { ...act, case: caseId, record, fields: [...fields], n: act.until === undefined ? n : 0 }, lookContext(caseId, act.until === undefined ? n : 0))),
      );
      return { looks };
    },
    open: ({ checkpoint, from, consistency, items }) => {
      if (items.length === 0 || items.length > ITEMS_MAX) throw new Denied('malformed', `A call opens 1 to ${ITEMS_MAX} records.`);
      const head = acceptHead(checkpoint, from, consistency);
      const checked = items.map((item) => checkLook(item, head));
      if (new Set(checked.map(({ opening }) => opening.leafHash.toString('hex'))).size !== items.length) throw new Denied('leaf-spent', 'One leaf stands for two openings.');
      journal.append(checked.map(({ opening }) => opening), head);
      return { plain: items.map((item, at) => withKey(item.caseId, 'record', item.keys, (key) => pick(readRecord(key, item), checked[at]?.fields ?? []))) };
    },
    reveal: ({ caseId, keys, n, sealed, index, at }) =>
      withKey(caseId, 'log', keys, (logKey) => {
        const { nonce, body } = readBody(logKey, lookContext(caseId, 0), sealed);
        if (body.until === undefined || body.case !== caseId || Date.parse(at) < Date.parse(body.until)) throw new Denied('look-wrong', 'The date of this sealed look has not come.');
        return writeLook(logKey, { ...body, n, opens: { index, nonce, body: canonicalJson(body) } }, lookContext(caseId, n));
      }),
    openOwn: ({ caseId, owner, ownerSecret, ...item }) => ({
      plain: wiping(ownerKeyOf(ownerSecret, caseId), (own) => wiping(open(own, ['owner-key', caseId, 'record', 1], owner.recordKey), (key) => readRecord(key, { caseId, ...item }))),
    }),
    ownLogKey: ({ caseId, owner, ownerSecret }) => ({
      logKey: wiping(ownerKeyOf(ownerSecret, caseId), (own) => wiping(open(own, ['owner-key', caseId, 'log', 1], owner.logKey), (key) => key.toString('hex'))),
    }),
    readLooks: ({ caseId, keys, looks }) => ({
      looks: withKey(caseId, 'log', keys, (logKey) =>
        looks.map(({ n, sealed }) => {
          const { nonce, body } = readBody(logKey, lookContext(caseId, n), sealed);
          return { nonce, body: canonicalJson(body) };
        }),
      ),
    }),
    tag: ({ caseId, keys, n }) => ({ caseTag: withKey(caseId, 'log', keys, (logKey) => caseTag(logKey, n)) }),
    rotate: ({ at }) => {
      const version = roots.rotate(at);
      return { version, fingerprint: encode(fingerprintOf(roots.get(version) as Uint8Array)) };
    },
    rewrap: ({ items }) => {
      if (items.length > REWRAP_MAX) throw new Denied('malformed', `A call rewraps ${REWRAP_MAX} cases at most.`);
      const version = roots.newest();
      const rewrap = (caseId: string, use: Use, keys: WrappedKeys): string => withKey(caseId, use, keys, (key) => wrapUnder(version, caseId, use, key));
      return { keys: items.map(({ caseId, keys }) => ({ version, recordKey: rewrap(caseId, 'record', keys), logKey: rewrap(caseId, 'log', keys) })) };
    },
    retire: ({ version, windowDays, at }) => ({ destroyed: roots.retire(version, windowDays, at) }),
  };
}

/** Case keys and keys derived from links last as long as the work with them. */
function wiping<T>(key: Buffer, work: (key: Buffer) => T): T {
  try {
    return work(key);
  } finally {
    key.fill(0);
  }
}

function open(key: Uint8Array, context: readonly (string | number)[], sealed: string): Buffer {
  try {
    return unseal(key, context, decode(sealed));
  } catch (cause) {
    throw new Denied('key-wrong', `Nothing opens under this key and context (${cause instanceof Error ? cause.message : 'unknown'}).`);
  }
}

/** A sealed look has no number until it is revealed. */
const lookContext = (caseId: string, n: number): readonly (string | number)[] => (n === 0 ? ['look.sealed', caseId] : ['look', caseId, n]);

const readBody = (logKey: Buffer, context: readonly (string | number)[], sealed: string) => JSON.parse(open(logKey, context, sealed).toString('utf8')) as { nonce: string; body: LookBody };

function readRecord(key: Buffer, { caseId, record, recordVersion, sealed }: Pick<OpenItem, 'caseId' | 'record' | 'recordVersion' | 'sealed'>): Record<string, string> {
  return wiping(open(key, [caseId, record, recordVersion], sealed), (plain) => JSON.parse(plain.toString('utf8')) as Record<string, string>);
}

const pick = (all: Record<string, string>, fields: readonly string[]): Record<string, string> => Object.fromEntries(fields.map((field) => [field, (Object.hasOwn(all, field) ? all[field] : undefined) ?? '']));

/** docs/reference/log.md, "Leaf". A sealed look says when it opens and nothing else. */
function leafOf(logKey: Buffer, body: LookBody, commitment: Buffer): Leaf {
  const commit = commitment.toString('hex');
  const { at: t, purpose, position, pseudonym, n } = body;
  const opens = body['opens'] as { index: number } | undefined;
  if (n === 0) return { kind: 'look.sealed', t, until: body.until as string, commit };
  return { kind: 'look', t, purpose, position, pseudonym, caseTag: caseTag(logKey, n), n, commit, ...(opens === undefined ? {} : { opens: opens.index }) };
}

/** The key in `name+hash+key`: a log that was restored has another name and the same key. */
const publicKeyOf = (vkey: string): string => vkey.split('+').slice(2).join('+');
