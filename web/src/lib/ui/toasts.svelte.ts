export interface Toast {
  readonly id: number;
  readonly kind: 'done' | 'refused';
  readonly text: string;
}

const SHOWN_MS = { done: 4_000, refused: 12_000 } as const;
const KEPT = 4;

/** Short messages at the foot of the screen: the last thing done, and the newest refusals; four at most. */
class Toasts {
  list: Toast[] = $state([]);
  #next = 1;

  say(kind: Toast['kind'], text: string): void {
    const toast = { id: this.#next++, kind, text };
    // a fast hand does four things a second; only the last of them needs saying, refusals all
    const kept = kind === 'done' ? this.list.filter((each) => each.kind === 'refused') : this.list;
    this.list = [...kept, toast].slice(-KEPT);
    setTimeout(() => this.drop(toast.id), SHOWN_MS[kind]);
  }

  drop(id: number): void {
    this.list = this.list.filter((toast) => toast.id !== id);
  }
}

export const toasts = new Toasts();
