import fc from 'fast-check';
import { expect, test } from 'vitest';
import { makeSigner } from '../../../test/witnesses.ts';
import { isQuorum, leastQuorum, parsePolicy, quorumTime, type Policy } from './policy-file.ts';
import { COSIGNATURE, ED25519, formatNoteKey, noteKey } from './signed-note.ts';

const vkey = (name: string, type: typeof ED25519 | typeof COSIGNATURE = COSIGNATURE): string => formatNoteKey(noteKey(name, type, makeSigner().publicKey));
const LOG = vkey('city.example/log', ED25519);
const [X1, X2, X3, Y1, Y2, Y3] = ['x1', 'x2', 'x3', 'y1', 'y2', 'y3'].map((name) => vkey(name)) as [string, string, string, string, string, string];

const EXAMPLE = `log ${LOG}

witness X1 ${X1}
witness X2 ${X2}
\twitness  X3\t${X3} https://x3.example/w/
group X-witnesses 2 X1 X2 X3
 # the others
witness Y1 ${Y1}
witness Y2 ${Y2}
witness Y3 ${Y3}
group Y-witnesses any Y1 Y2 Y3
group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
`;
const parse = (text: string): ReturnType<typeof parsePolicy> => parsePolicy(Buffer.from(text));
const must = (text: string): Policy => {
  const parsed = parse(text);
  if (!parsed.ok) throw new Error(parsed.refusal.detail);
  return parsed.value;
};

test('the example of tlog-policy: two of the X and one of the Y', () => {
  const policy = must(EXAMPLE);
  expect(policy.witnesses.map(({ name, url }) => [name, url])).toEqual([['X1', null], ['X2', null], ['X3', 'https://x3.example/w'], ['Y1', null], ['Y2', null], ['Y3', null]]);
  expect(leastQuorum(policy)).toBe(3);
  const holds = (...names: string[]): boolean => isQuorum(policy, new Set(names));
  expect([holds('X1', 'X3', 'Y2'), holds('X1', 'X2', 'X3', 'Y1'), holds('X1', 'X2', 'X3'), holds('X1', 'Y1', 'Y2', 'Y3'), holds()]).toEqual([true, true, false, false, false]);
});

test('a quorum of none needs nobody; of one witness that one', () => {
  expect(leastQuorum(must('quorum none\n'))).toBe(0);
  expect(isQuorum(must('quorum none\n'), new Set())).toBe(true);
  const one = must(`witness a ${X1}\nwitness b ${X2}\nquorum b\n`);
  expect([isQuorum(one, new Set(['a'])), isQuorum(one, new Set(['b']))]).toEqual([false, true]);
});

test('the quorum holds since the latest time at which enough had signed no earlier', () => {
  const policy = must(`witness a ${X1}\nwitness b ${X2}\nwitness c ${X3}\ngroup g 2 a b c\nquorum g\n`);
  expect(quorumTime(policy, new Map([['a', 100], ['b', 300], ['c', 200]]))).toBe(200);
  expect(quorumTime(policy, new Map([['a', 100]]))).toBeNull();
});

const w = `witness a ${X1}\nwitness b ${X2}\n`;
test.each<[string, string, RegExp]>([
  ['no quorum', w, /no line "quorum/],
  ['two quorums', `${w}quorum a\nquorum b\n`, /second line "quorum"/],
  ['quorum of an unknown name', `${w}quorum c\n`, /line 3.*not the name/],
  ['quorum before its definition', `quorum a\n${w}`, /line 1.*not the name/],
  ['group before its members', `group g any a\n${w}quorum g\n`, /line 1.*not the name/],
  ['k of zero', `${w}group g 0 a b\nquorum g\n`, /from 1 to 2/],
  ['k above n', `${w}group g 3 a b\nquorum g\n`, /from 1 to 2/],
  ['k with a leading zero', `${w}group g 01 a b\nquorum g\n`, /from 1 to 2/],
  ['a group without members', `${w}group g all\nquorum g\n`, /must be "group/],
  ['none as a member', `${w}group g any none\nquorum g\n`, /not the name/],
  ['none as a name', `witness none ${X3}\nquorum none\n`, /taken/],
  ['a name twice', `${w}group a any b\nquorum a\n`, /taken/],
  ['a member twice', `${w}group g any a\ngroup h any a b\nquorum h\n`, /a is a member already/],
  ['a witness key twice', `${w}witness c ${X1}\nquorum a\n`, /stands in an earlier line/],
  ['a log key twice', `log ${LOG}\nlog ${LOG}\nquorum none\n`, /stands in an earlier line/],
  ['a log key as a witness', `witness a ${LOG}\nquorum a\n`, /cosignature/],
  ['a witness key as a log', `log ${X1}\nquorum none\n`, /Ed25519/],
  ['a key with a wrong hash', `witness a ${X1.replace(/\+[0-9a-f]{8}\+/, '+00000000+')}\nquorum a\n`, /cosignature/],
  ['an address of another scheme', `witness a ${X1} ftp://w.example\nquorum a\n`, /http or https/],
  ['a carriage return', `${w.replaceAll('\n', '\r\n')}quorum a\r\n`, /control character/],
  ['a file that was cut off', `${w}quorum a`, /cut off/],
  ['an unknown line', `${w}watcher a\nquorum a\n`, /begins with/],
])('a policy is refused: %s', (_, text, detail) => {
  const parsed = parse(text);
  expect(parsed).toMatchObject({ ok: false, refusal: { code: 'log.policy-invalid' } });
  expect(parsed.ok ? '' : parsed.refusal.detail).toMatch(detail);
});

test('any bytes give a policy or a refusal, and a group never holds with fewer than its threshold', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => typeof parsePolicy(bytes).ok === 'boolean'), { numRuns: 500 });
  const keys = Array.from({ length: 12 }, (_, at) => vkey(`w${at}`));
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 12 }).chain((n) => fc.tuple(fc.constant(n), fc.integer({ min: 1, max: n }), fc.subarray(Array.from({ length: n }, (_, at) => at)))), ([n, k, signed]) => {
      const names = Array.from({ length: n }, (_, at) => `w${at}`);
      const policy = must(`${names.map((name, at) => `witness ${name} ${keys[at] ?? ''}\n`).join('')}group g ${k} ${names.join(' ')}\nquorum g\n`);
      return isQuorum(policy, new Set(signed.map((at) => `w${at}`))) === signed.length >= k && leastQuorum(policy) === k;
    }),
  );
});
