import { createHash, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import { openLogIn, temporaryFolder } from '../../../test/log-folder.ts';
import { verifyConsistency, verifyInclusion } from './verify-proofs.ts';
import { encodeBase64 } from '../../contracts/tlog/bytes.ts';
import { hashEntry, verifyConsistencyProof, verifyInclusionProof } from '../../contracts/tlog/merkle-proof.ts';
import { meetsQuorum, readTrustPolicy, trustLogAlone, type TrustPolicy } from '../../contracts/tlog/policy.ts';
import { readProof, verifyProof } from '../../contracts/tlog/proof.ts';

const SIZE = 700;

interface Witness {
  readonly name: string;
  readonly vkey: string;
  readonly privateKey: KeyObject;
  readonly id: Buffer;
}

function makeWitness(name: string): Witness {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const raw = Buffer.concat([Buffer.of(4), Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url')]);
  const id = createHash('sha256').update(`${name}\n`).update(raw).digest().subarray(0, 4);
  return { name, privateKey, id, vkey: `${name}+${id.toString('hex')}+${raw.toString('base64')}` };
}

function cosign({ name, privateKey, id }: Witness, checkpoint: string, time_s: bigint): string {
  const text = checkpoint.slice(0, checkpoint.indexOf('\n\n') + 1);
  const time = Buffer.alloc(8);
  time.writeBigUInt64BE(time_s);
  return `— ${name} ${Buffer.concat([id, time, sign(null, Buffer.from(`cosignature/v1\ntime ${time_s}\n${text}`), privateKey)]).toString('base64')}`;
}

const witnesses = ['w1.example', 'w2.example', 'w3.example'].map(makeWitness);
const [first, second, third] = witnesses as [Witness, Witness, Witness];
let vkey = '';
let proof = '';
let entry: Uint8Array;
let policy: TrustPolicy;

const policyText = (): string =>
  `# two of three\nlog ${vkey}\n${witnesses.map((each, at) => `witness W${at + 1} ${each.vkey} https://w.example/${at}\n`).join('')}group all-of-them 2 W1 W2 W3\nquorum\tall-of-them \n`;

async function readPolicy(text: string): Promise<TrustPolicy> {
  const read = await readTrustPolicy(text);
  if ('detail' in read) throw new Error(read.detail);
  return read;
}

beforeAll(async () => {
  const log = await openLogIn(temporaryFolder(), await freshDatabase());
  await log.appendMany(Array.from({ length: SIZE }, (_, n) => ({ kind: 'test', t: '2026-11-24T06:00:00.000Z', commit: n.toString(16).padStart(64, '0') })));
  await log.cosign(SIZE, [cosign(first, log.checkpoint(), 1_795_500_000n), cosign(third, log.checkpoint(), 1_795_500_002n)], true);
  vkey = log.verifierKey();
  proof = await log.tlogProof(299);
  entry = (await log.proveInclusion(299)).entry;
  policy = await readPolicy(policyText());
  await log.close();
});

test('a proof of the log holds under its key alone and under a policy, and tells which witnesses signed when', async () => {
  const alone = await trustLogAlone(vkey);
  expect(await verifyProof(proof, entry, alone as TrustPolicy)).toMatchObject({ ok: true, index: 299n, head: { size: 700n, origin: 'city.example:8080/log' }, cosigners: [] });
  expect(await verifyProof(proof, entry, policy)).toMatchObject({
    ok: true,
    cosigners: [
      { name: 'W1', at_s: 1_795_500_000 },
      { name: 'W3', at_s: 1_795_500_002 },
    ],
  });
});

test('each way in which a proof can be wrong has its own name', async () => {
  const fault = async (text: string, bytes = entry, trust = policy): Promise<string> => {
    const verdict = await verifyProof(text, bytes, trust);
    return verdict.ok ? 'ok' : verdict.fault;
  };
  const lines = proof.split('\n');
  expect(await fault(proof)).toBe('ok');
  expect(await fault(proof.replace('index 299', 'index 298'))).toBe('inclusion');
  expect(await fault(proof, new TextEncoder().encode('{}'))).toBe('inclusion');
  expect(await fault(lines.toSpliced(2, 1).join('\n'))).toBe('inclusion');
  expect(await fault(lines.toSpliced(2, 0, lines[2] as string).join('\n'))).toBe('inclusion');
  expect(await fault(proof.replace('index 299', 'index 18446744073709551615'))).toBe('inclusion');
  expect(await fault(proof.replace('\n700\n', '\n701\n'))).toBe('signature');
  expect(await fault(proof.replace(cosign(third, proof.slice(proof.indexOf('\n\n') + 2), 1_795_500_002n), ''))).toBe('format');
  expect(await fault(proof.replace(`${lines.at(-2)}\n`, ''))).toBe('quorum');
  expect(await fault(proof.replace(lines.at(-2) as string, cosign(third, proof.slice(proof.indexOf('\n\n') + 2).replace('700', '699'), 5n)))).toBe('cosignature');
  expect(await fault(proof, entry, await readPolicy(policyText().replace(' 2 W1', ' all W1')))).toBe('quorum');
  expect(await fault(proof, entry, { ...policy, logs: [] })).toBe('log-unknown');
  expect(await fault(proof, entry, await readPolicy('quorum none\n'))).toBe('log-unknown');
});

test('the form of a proof is read by the letter: extra data, no other order, no other spelling', () => {
  const head = 'c2sp.org/tlog-proof@v1';
  const checkpoint = 'o\n1\nAAAA\n\n— o AAAAAAAA\n';
  expect(readProof(`${head}\nextra AQID\nindex 0\n\n${checkpoint}`)).toMatchObject({ index: 0n, hashes: [], extra: Uint8Array.of(1, 2, 3), checkpoint });
  expect(readProof(`${head}\nextra \nindex 0\n\n${checkpoint}`)?.extra).toEqual(new Uint8Array());
  for (const wrong of [
    `${head}\nindex 00\n\n${checkpoint}`,
    `${head}\nindex +1\n\n${checkpoint}`,
    `${head}\nindex 1 \n\n${checkpoint}`,
    `${head}\nindex 0\nextra AQID\n\n${checkpoint}`,
    `${head}\nextra AQI\nindex 0\n\n${checkpoint}`,
    `${head}\n\n${checkpoint}`,
    `${head}\nindex 0\nAAAA\n\n${checkpoint}`,
    `${head}\r\nindex 0\r\n\r\n${checkpoint}`,
    ` ${head}\nindex 0\n\n${checkpoint}`,
    'c2sp.org/tlog-proof@v2\nindex 0\n\n',
    `${head}\nindex 0\n${`${Buffer.alloc(32).toString('base64')}\n`.repeat(65)}\n${checkpoint}`,
  ])
    expect([wrong, readProof(wrong)]).toEqual([wrong, null]);
});

test('any change of a character of a proof spoils it, and no text makes the checker throw', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat({ max: proof.length - 1 }), fc.string({ unit: 'grapheme-ascii', minLength: 0, maxLength: 2 }), async (at, put) => {
      const changed = proof.slice(0, at) + put + proof.slice(at + 1);
      if (changed === proof) return;
      expect(await verifyProof(changed, entry, await readPolicy(policyText().replace('group all-of-them 2 W1 W2 W3', 'group all-of-them all W1 W3')))).toMatchObject({ ok: false });
    }),
    { numRuns: 400 },
  );
  await fc.assert(
    fc.asyncProperty(fc.string({ maxLength: 300 }), async (text) => {
      expect(await verifyProof(text, entry, policy)).toMatchObject({ ok: false });
      expect(await verifyProof(`c2sp.org/tlog-proof@v1\nindex 0\n\n${text}`, entry, policy)).toMatchObject({ ok: false });
      await readTrustPolicy(text);
    }),
  );
});

test('a policy is read by the letter of tlog-policy', async () => {
  const [a, b] = [first.vkey, second.vkey];
  const wrong: readonly (readonly [string, number])[] = [
    ['', 1],
    [`witness A ${a}\n`, 2],
    [`witness A ${vkey}\nquorum A\n`, 1],
    [`log ${a}\nquorum none\n`, 1],
    [`log ${vkey}\nlog ${vkey}\nquorum none\n`, 2],
    [`witness A ${a}\nwitness B ${a}\nquorum A\n`, 2],
    [`witness none ${a}\nquorum none\n`, 1],
    [`witness A ${a}\nwitness A ${b}\nquorum A\n`, 2],
    [`quorum A\nwitness A ${a}\n`, 1],
    [`witness A ${a}\ngroup G 2 A\nquorum G\n`, 2],
    [`witness A ${a}\ngroup G 0 A\nquorum G\n`, 2],
    [`witness A ${a}\ngroup G 1 A A\nquorum G\n`, 2],
    [`witness A ${a}\ngroup G any A\ngroup H any A\nquorum G\n`, 3],
    [`witness A ${a}\ngroup G any none\nquorum G\n`, 2],
    [`witness A ${a}\nquorum A\nquorum A\n`, 3],
    [`quorum none\r\n`, 1],
    [`witness A ${a.replace('+', '+0')}\nquorum A\n`, 1],
  ];
  for (const [text, line] of wrong) expect([text, await readTrustPolicy(text)]).toEqual([text, { line, detail: expect.any(String) as string }]);
  const nested = await readPolicy(`witness A ${a}\nwitness B ${b}\nwitness C ${third.vkey}\ngroup G any A B\n\tgroup H all G C\n#\n\nquorum H\n`);
  expect([['A'], ['C'], ['A', 'B'], ['A', 'C'], ['B', 'C']].map((names) => meetsQuorum(nested, new Set(names)))).toEqual([false, false, false, true, true]);
});

test('the two checkers of proofs agree on made, mended and broken proofs of small trees', async () => {
  const hash = (...parts: Uint8Array[]): Buffer => parts.reduce((sum, part) => sum.update(part), createHash('sha256')).digest();
  const split = (n: number): number => 2 ** Math.floor(Math.log2(n - 1));
  const root = (leaves: Buffer[]): Buffer =>
    leaves.length === 0 ? hash() : leaves.length === 1 ? (leaves[0] as Buffer) : hash(Buffer.of(1), root(leaves.slice(0, split(leaves.length))), root(leaves.slice(split(leaves.length))));
  const path = (m: number, leaves: Buffer[]): Buffer[] => {
    if (leaves.length === 1) return [];
    const k = split(leaves.length);
    return m < k ? [...path(m, leaves.slice(0, k)), root(leaves.slice(k))] : [...path(m - k, leaves.slice(k)), root(leaves.slice(0, k))];
  };
  const subproof = (m: number, leaves: Buffer[], whole: boolean): Buffer[] => {
    if (m === leaves.length) return whole ? [] : [root(leaves)];
    const k = split(leaves.length);
    return m <= k ? [...subproof(m, leaves.slice(0, k), whole), root(leaves.slice(k))] : [...subproof(m - k, leaves.slice(k), false), root(leaves.slice(0, k))];
  };
  const all = Array.from({ length: 40 }, (_, n) => hash(Buffer.of(0), Buffer.of(n)));
  // the ways in which the public vectors of transparency-dev/merkle spoil a proof
  const spoil = (good: Buffer[], ...roots: Buffer[]): Buffer[][] => [
    good,
    [],
    [...good, Buffer.alloc(32)],
    [Buffer.alloc(32), ...good],
    good.slice(1),
    good.slice(0, -1),
    good.toReversed(),
    ...roots.flatMap((each) => [
      [each, ...good],
      [...good, each],
    ]),
    ...good.map((_, at) => good.with(at, Buffer.alloc(32, 1))),
    good.map((each) => each.subarray(1)),
  ];
  let accepted = 0;
  for (const size of [1, 2, 3, 7, 8, 25, 32, 40]) {
    const leaves = all.slice(0, size);
    for (const index of [0, 1, Math.floor(size / 2), size - 1, size, size + 1]) {
      for (const [at, tried] of spoil(index < size ? path(index, leaves) : [], root(leaves)).entries()) {
        for (const claimed of [size, 0, 1, size + 1, size * 2]) {
          const verdict = await verifyInclusionProof(all[index] ?? Buffer.alloc(32), BigInt(index), BigInt(claimed), tried, root(leaves));
          expect(verifyInclusion(all[index] ?? Buffer.alloc(32), index, claimed, tried, root(leaves))).toBe(verdict);
          if (at === 0 && claimed === size) expect([size, index, verdict]).toEqual([size, index, index < size]);
          accepted += Number(verdict);
        }
      }
    }
    for (const older of [0, 1, 2, Math.floor(size / 2), size - 1, size, size + 1]) {
      const old = all.slice(0, older);
      for (const [at, tried] of spoil(older > 0 && older < size ? subproof(older, leaves, true) : [], root(leaves), root(old)).entries()) {
        for (const [from, to] of [
          [older, size],
          [size, older],
          [older + 1, size],
        ] as const) {
          const verdict = await verifyConsistencyProof(BigInt(from), BigInt(to), root(old), root(leaves), tried);
          expect(verifyConsistency(from, to, root(old), root(leaves), tried)).toBe(verdict);
          if (at === 0 && from === older && to === size) expect([size, older, verdict]).toEqual([size, older, older <= size]);
          accepted += Number(verdict);
        }
      }
    }
  }
  expect(accepted).toBeGreaterThan(80);
});

test('sizes and indexes of 64 bits are told apart where numbers of 53 bits are not', async () => {
  const leaf = await hashEntry(Uint8Array.of(7));
  const siblings = Array.from({ length: 63 }, (_, at) => new Uint8Array(32).fill(at));
  // the last entry of a tree of 2^63: every sibling stands to its left
  let root: Uint8Array = leaf;
  for (const sibling of siblings) root = createHash('sha256').update(Buffer.of(1)).update(sibling).update(root).digest();
  const size = 1n << 63n;
  expect(await verifyInclusionProof(leaf, size - 1n, size, siblings, root)).toBe(true);
  expect(await verifyInclusionProof(leaf, size - 2n, size, siblings, root)).toBe(false);
  expect(await verifyInclusionProof(leaf, size - 1n, size - 1n, siblings, root)).toBe(false);
  expect(await verifyInclusionProof(leaf, size, size, siblings, root)).toBe(false);
  expect(await verifyInclusionProof(leaf, -1n, size, siblings, root)).toBe(false);
  expect(await verifyInclusionProof(leaf, 0n, 1n << 64n, siblings, root)).toBe(false);
  // the root over 2^62 entries and another half of the same size
  const [left, right] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
  const both = createHash('sha256').update(Buffer.of(1)).update(left).update(right).digest();
  expect(await verifyConsistencyProof(size / 2n, size, left, both, [right])).toBe(true);
  expect(await verifyConsistencyProof(size / 2n + 1n, size, left, both, [right])).toBe(false);
  expect(encodeBase64(both)).toBe(both.toString('base64'));
});
