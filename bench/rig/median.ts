/** The middle of `times` runs, in milliseconds. `warmUps` runs before them do not count: the first one opens connections and compiles. */
export async function median(act: () => Promise<unknown>, times = 21, warmUps = 0): Promise<number> {
  const took: number[] = [];
  for (let n = -warmUps; n < times; n += 1) {
    const from = performance.now();
    await act();
    if (n >= 0) took.push(performance.now() - from);
  }
  return took.sort((a, b) => a - b)[times >> 1] ?? NaN;
}
