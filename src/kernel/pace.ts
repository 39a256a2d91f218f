import type { Clock } from './clock.ts';

const JUMP_MS = 3_600_000;
const REST_MS = 24 * 3_600_000;

/**
 * Whether the clock has gone at the pace of a monotonic one for a day, as far as the calls of the answer have seen it. A clock that
 * jumps a year ahead would otherwise delete a year of readings before anybody has put it right.
 */
export function watchPace(clock: Clock, monotonicMs: () => number = () => performance.now()): () => boolean {
  let [seenMs, tickMs] = [clock.nowMs(), monotonicMs()];
  let jumpedMs = -Infinity;
  return () => {
    const [nowMs, nowTickMs] = [clock.nowMs(), monotonicMs()];
    if (Math.abs(nowMs - seenMs - (nowTickMs - tickMs)) > JUMP_MS) jumpedMs = nowTickMs;
    [seenMs, tickMs] = [nowMs, nowTickMs];
    return nowTickMs - jumpedMs >= REST_MS;
  };
}
