import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameMemory } from './fan-out.ts';
import type { Frame } from './stream.ts';

const incident = (seq: number): Frame => ({ kind: 'incident', data: String(seq), seq });
const seqs = (frames: readonly Frame[]): (number | string)[] => frames.map(({ kind, seq }) => seq ?? kind);

describe('what a window that joins late is told', () => {
  it('is exactly what came after its picture', () => {
    const memory = new FrameMemory(10);
    for (const seq of [11, 12, 15]) memory.keep(incident(seq));
    expect(seqs(memory.since(11))).toEqual([12, 15]);
    expect(seqs(memory.since(15))).toEqual([]);
  });

  it('is to read anew when its picture is older than what is remembered', () => {
    const memory = new FrameMemory(10);
    memory.keep(incident(11));
    expect(seqs(memory.since(9))).toEqual(['resync', 11]);
  });

  it('is to read anew after the server itself said so, until the position is known again', () => {
    const memory = new FrameMemory(10);
    memory.keep(incident(11));
    memory.keep({ kind: 'resync', data: '{}', seq: null });
    expect(seqs(memory.since(11))).toEqual(['resync']);
    memory.keep(incident(40));
    expect(seqs(memory.since(39))).toEqual([40]);
  });

  it('never misses a frame without being told to read anew, however many came', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1_500 }), fc.integer({ min: 0, max: 1_500 }), (count, after) => {
        const memory = new FrameMemory(0);
        for (let seq = 1; seq <= count; seq += 1) memory.keep(incident(seq));
        const told = seqs(memory.since(after));
        const missed = Array.from({ length: Math.max(0, count - after) }, (_, index) => after + 1 + index);
        if (told[0] === 'resync') expect(missed.length).toBeGreaterThan(500);
        else expect(told).toEqual(missed);
      }),
    );
  });
});
