/** What a rule of the brain says of itself; rules are the city's algorithms. */
export interface AlgorithmCard {
  readonly id: string;
  readonly title: string;
  readonly why: string;
  readonly owner: string;
  readonly purpose: string;
  /** The condition in words. */
  readonly sentence: string;
  /** The rule document as it runs. */
  readonly document: string;
}

export type PartKind = 'rule' | 'service' | 'feed' | 'export';

/** Something of the city that works on data for a purpose. */
export interface Part {
  readonly kind: PartKind;
  readonly id: string;
  readonly purpose: string;
}

/** What the modules above trust tell of themselves; asked anew each time. */
export interface PartsDirectory {
  declare(kind: PartKind, list: () => readonly { readonly id: string; readonly purpose: string }[]): void;
  declareAlgorithms(list: () => readonly AlgorithmCard[]): void;
  parts(): readonly Part[];
  algorithms(): readonly AlgorithmCard[];
}

export function createPartsDirectory(): PartsDirectory {
  const kinds = new Map<PartKind, () => readonly { readonly id: string; readonly purpose: string }[]>(); // one a kind
  let cards: () => readonly AlgorithmCard[] = () => [];
  return {
    declare: (kind, list) => void kinds.set(kind, list),
    declareAlgorithms: (list) => void (cards = list),
    parts: () => [...cards().map(({ id, purpose }): Part => ({ kind: 'rule', id, purpose })), ...[...kinds].flatMap(([kind, list]) => list().map(({ id, purpose }): Part => ({ kind, id, purpose })))],
    algorithms: () => cards(),
  };
}
