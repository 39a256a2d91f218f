import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { writeZip } from '../../../test/zip.ts';
import { Refused } from '../../kernel/index.ts';
import { ZIP_LIMITS, openZip } from './zip.ts';

const read = async (body: Buffer, name: string, limits = ZIP_LIMITS): Promise<string | null> => {
  const content = await (await openZip(body, limits)).readEntry(name);
  if (content === null) return null;
  const parts: Buffer[] = [];
  for await (const part of content) parts.push(part);
  return Buffer.concat(parts).toString('utf8');
};
const codeOf = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
    return 'taken';
  } catch (error) {
    if (error instanceof Refused) return error.refusals[0].code;
    throw error;
  }
};

describe('an archive', () => {
  it('gives its files by name, also with bytes after its end', async () => {
    const body = await writeZip({ 'a.txt': 'Münster', 'b.txt': '' });
    expect(await read(body, 'a.txt')).toBe('Münster');
    expect(await read(body, 'b.txt')).toBe('');
    expect(await read(body, 'c.txt')).toBeNull();
    expect(await read(Buffer.concat([body, Buffer.alloc(680)]), 'a.txt')).toBe('Münster');
  });

  it('that is larger than its limit is refused before and while it is read', async () => {
    const bomb = await writeZip({ 'a.txt': Buffer.alloc(1_000_000) });
    const limits = { ...ZIP_LIMITS, entry_bytes: 100_000 };
    expect(await codeOf(read(bomb, 'a.txt', limits))).toBe('feed.document-too-large');
    const liar = await writeZip({ 'a.txt': Buffer.alloc(1_000_000) }, { uncompressed_bytes: 10 });
    expect(await codeOf(read(liar, 'a.txt', limits))).toBe('feed.document-invalid');
    const both = await writeZip({ 'a.txt': Buffer.alloc(80_000), 'b.txt': Buffer.alloc(80_000) });
    const archive = await openZip(both, { ...limits, total_bytes: 100_000 });
    const drain = async (name: string): Promise<number> => {
      let bytes = 0;
      for await (const part of (await archive.readEntry(name)) ?? []) bytes += part.length;
      return bytes;
    };
    expect(await drain('a.txt')).toBe(80_000);
    expect(await codeOf(drain('b.txt'))).toBe('feed.document-too-large');
    expect(await codeOf(openZip(both, { ...limits, entries: 1 }))).toBe('feed.document-too-large');
  });

  it.each(['../a.txt', '/etc/a', 'a\\..\\b'])('with a file named %s is refused', async (name) => {
    expect(await codeOf(openZip(await writeZip({ [name]: 'x' })))).toBe('feed.document-invalid');
  });

  it('of any bytes is read or Refused', async () => {
    const valid = await writeZip({ 'a.txt': 'abc'.repeat(100), 'b.txt': 'x' });
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => void (await codeOf(read(Buffer.from(bytes), 'a.txt')))), { numRuns: 300 });
    await fc.assert(
      fc.asyncProperty(fc.nat(valid.length - 1), fc.nat(255), fc.nat(valid.length), async (place, byte, end) => {
        const broken = Buffer.from(valid);
        broken[place] = byte;
        await codeOf(read(broken, 'a.txt'));
        await codeOf(read(broken.subarray(0, end), 'a.txt'));
      }),
      { numRuns: 1_000 },
    );
  });
});
