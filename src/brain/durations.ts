const PATTERN = /^(?:(\d{1,4})d)?(?:(\d{1,5})h)?(?:(\d{1,5})m)?(?:(\d{1,6})s)?$/;
const PARTS = [86_400_000, 3_600_000, 60_000, 1_000] as const;
const NAMES = ['d', 'h', 'min', 's'] as const;

/** `10m`, `1h`, `30s`, `2d`, `1h30m` in milliseconds; null for anything else. */
export function parseDurationMs(text: string): number | null {
  const match = text === '' ? null : PATTERN.exec(text);
  if (match === null) return null;
  return PARTS.reduce((sum, part_ms, at) => sum + Number(match[at + 1] ?? 0) * part_ms, 0);
}

/** `1 h 30 min`, for people. */
export function printDuration(duration_ms: number): string {
  let left = Math.round(duration_ms / 1_000) * 1_000;
  const words: string[] = [];
  PARTS.forEach((part_ms, at) => {
    const count = Math.floor(left / part_ms);
    left -= count * part_ms;
    if (count > 0) words.push(`${String(count)} ${NAMES[at] ?? ''}`);
  });
  return words.length === 0 ? '0 s' : words.slice(0, 2).join(' ');
}
