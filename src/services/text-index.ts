/** From words to what carries them; a query word may be the beginning of a word, or a usual abbreviation of it. */
export interface TextIndex<T> {
  /** `text` is folded. */
  add(text: string, item: T): void;
  /** Call once after the last `add`. */
  finish(): void;
  /** Items that carry every word, in the order of adding, at most 2,000. */
  find(words: readonly string[]): T[];
}

const FOUND_MAX = 2_000;

/** Street words as people shorten them; the query's side only. */
const ABBREVIATIONS: ReadonlyMap<string, string> = new Map([
  ['avda', 'avenida'],
  ['bv', 'bulevar'],
  ['bvar', 'bulevar'],
  ['blvd', 'boulevard'],
  ['gral', 'general'],
  ['dr', 'doctor'],
  ['ing', 'ingeniero'],
  ['pza', 'plaza'],
  ['str', 'strasse'],
  ['pl', 'platz'],
  ['rd', 'road'],
]);

export function createTextIndex<T>(): TextIndex<T> {
  const items: T[] = [];
  // each text with a space before every word, so that " word" is found at the beginning of a word only
  const texts: string[] = [];
  const postings = new Map<string, number[]>();
  let sorted: string[] = [];

  const firstAtOrAfter = (word: string): number => {
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sorted[middle] ?? '') < word) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const beginningWith = (word: string): readonly number[][] => {
    const lists: number[][] = [];
    for (let at = firstAtOrAfter(word); at < sorted.length && (sorted[at] ?? '').startsWith(word); at += 1) lists.push(postings.get(sorted[at] ?? '') ?? []);
    return lists;
  };
  const spellings = (word: string): readonly string[] => {
    const long = ABBREVIATIONS.get(word);
    return long === undefined ? [word] : [word, long];
  };

  return {
    add: (text, item) => {
      const index = items.push(item) - 1;
      texts.push(` ${text}`);
      for (const word of new Set(text.split(' '))) {
        const list = postings.get(word);
        if (list) list.push(index);
        else postings.set(word, [index]);
      }
    },
    finish: () => {
      sorted = [...postings.keys()].sort();
    },
    find: (words) => {
      if (words.length === 0) return [];
      const choices = words.map((word) => {
        const lists = spellings(word).flatMap(beginningWith);
        return { word, lists, size: lists.reduce((sum, list) => sum + list.length, 0) };
      });
      const [rarest, ...others] = choices.sort((a, b) => a.size - b.size);
      const found = new Set<number>();
      for (const list of rarest?.lists ?? []) {
        for (const index of list) {
          const text = texts[index] ?? '';
          if (others.every(({ word }) => spellings(word).some((spelling) => text.includes(` ${spelling}`)))) found.add(index);
        }
        if (found.size > FOUND_MAX) break;
      }
      return [...found]
        .sort((a, b) => a - b)
        .slice(0, FOUND_MAX)
        .flatMap((index) => items[index] ?? []);
    },
  };
}
