import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { disconnectPacket, writeVersion5 } from './version-5.ts';

const REASONS = new Map([[7, { code: 0x99, text: 'result: A finite JSON number is registered here.' }]]);

/** What comes out when `packets` of 3.1.1 are written in pieces. */
function translate(packets: readonly Buffer[], cuts: readonly number[] = []): Buffer {
  const stream = new PassThrough({ highWaterMark: 1_000_000 });
  writeVersion5(stream, { packet_bytes: 1_000, receiveMaximum: 100, assignedId: null, topicCount: () => 2, reasonOf: (id) => REASONS.get(id) });
  const bytes = Buffer.concat(packets);
  const at = [0, ...[...cuts].map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  for (const [n, end] of at.slice(1).entries()) stream.write(bytes.subarray(at[n], end));
  return (stream.read() as Buffer | null) ?? Buffer.alloc(0);
}
const publish = (topic: string, qos: 0 | 1, payload: Buffer): Buffer => {
  const body = Buffer.concat([Buffer.from([0, topic.length]), Buffer.from(topic), ...(qos === 0 ? [] : [Buffer.from([0, 9])]), payload]);
  const length: number[] = [];
  for (let left = body.length; ; left = Math.floor(left / 128)) {
    length.push((left % 128) | (left >= 128 ? 128 : 0));
    if (left < 128) break;
  }
  return Buffer.concat([Buffer.from([0x30 | (qos << 1), ...length]), body]);
};

test('acknowledgements get their reasons, and nothing where all is well', () => {
  expect(translate([Buffer.from([0x40, 2, 0, 1])])).toEqual(Buffer.from([0x40, 2, 0, 1]));
  const refused = translate([Buffer.from([0x40, 2, 0, 7])]);
  expect([...refused.subarray(2, 5)]).toEqual([0, 7, 0x99]);
  expect(refused.toString('utf8', 9)).toBe('result: A finite JSON number is registered here.');
  expect(translate([Buffer.from([0x90, 4, 0, 3, 1, 128])])).toEqual(Buffer.from([0x90, 5, 0, 3, 0, 1, 0x87]));
  expect(translate([Buffer.from([0xb0, 2, 0, 4])])).toEqual(Buffer.from([0xb0, 5, 0, 4, 0, 0, 0]));
  expect(translate([Buffer.from([0xd0, 0])])).toEqual(Buffer.from([0xd0, 0]));
  expect(translate([Buffer.from([0x20, 2, 0, 4])])).toEqual(Buffer.from([0x20, 3, 0, 0x86, 0]));
  expect(disconnectPacket(0x89)).toEqual(Buffer.from([0xe0, 2, 0x89, 0]));
});

test('messages pass whole, with no properties, however they are written', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ qos: fc.constantFrom(0 as const, 1 as const), payload: fc.uint8Array({ maxLength: 300 }) }), { maxLength: 5 }), fc.array(fc.nat(), { maxLength: 8 }), (messages, cuts) => {
      const out = translate(messages.map(({ qos, payload }) => publish('a/b', qos, Buffer.from(payload))), cuts);
      const expected = messages.map(({ qos, payload }) => {
        const plain = publish('a/b', qos, Buffer.concat([Buffer.of(0), Buffer.from(payload)])); // the length of the properties stands before the payload
        return plain;
      });
      expect(out).toEqual(Buffer.concat(expected));
    }),
  );
});
