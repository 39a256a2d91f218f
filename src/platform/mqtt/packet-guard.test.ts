import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LIMITS } from '../../kernel/index.ts';
import { createPacketGuard } from './packet-guard.ts';

function packet(bodyBytes: number): Buffer {
  const head = [0x30];
  let left = bodyBytes;
  do {
    head.push((left % 128) | (left >= 128 ? 128 : 0));
    left = Math.floor(left / 128);
  } while (left > 0);
  return Buffer.concat([Buffer.from(head), Buffer.alloc(bodyBytes, 0xff)]);
}

/** Whether the guard lets all of `bytes` through when they come in pieces. */
function passes(bytes: Buffer, cuts: readonly number[]): boolean {
  const guard = createPacketGuard();
  const at = [0, ...[...cuts].map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return at.slice(1).every((end, n) => guard(bytes.subarray(at[n], end)));
}

test('packets within the limits pass, however the connection cuts them', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(8_192), { minLength: 1, maxLength: 6 }), fc.array(fc.nat(), { maxLength: 10 }), (sizes, cuts) => {
      expect(passes(Buffer.concat(sizes.map(packet)), cuts)).toBe(true);
    }),
  );
});

test('the first packet has a smaller limit than the later ones', () => {
  expect(passes(packet(8_193), [])).toBe(false);
  expect(passes(Buffer.concat([packet(100), packet(LIMITS.mqtt_packet_bytes)]), [])).toBe(true);
  expect(passes(Buffer.concat([packet(100), packet(LIMITS.mqtt_packet_bytes + 1)]), [3, 104])).toBe(false);
});

test('a length of more than four bytes is refused', () => {
  expect(passes(Buffer.from([0x10, 0xff, 0xff, 0xff, 0xff, 0x01]), [])).toBe(false);
});
