/** One thing that a person can do here. Palette, key sheet, buttons and tests all read the same list. */
export interface Command {
  readonly id: string;
  readonly title: string;
  /** Values of KeyboardEvent.key; `mod+k` means Ctrl, or Cmd on a Mac. The first one is shown. */
  readonly keys: readonly string[];
  readonly group: string;
  /** False while it makes no sense; then it is shown dimmed and its key does nothing. */
  readonly enabled?: () => boolean;
  readonly run: () => void;
  /** Also works while a dialog or a field has the focus. */
  readonly everywhere?: boolean;
  /** Not listed in the palette, such as the numbered steps. */
  readonly hidden?: boolean;
}

const SWITCH = 'single-keys';

export class CommandRegistry {
  list: readonly Command[] = $state.raw([]);
  /** Single letters can be switched off (WCAG 2.2, 2.1.4), since speech input and stray hands press them. */
  singleKeys = $state(true);

  constructor(list: readonly Command[]) {
    this.list = list;
  }

  get(id: string): Command | undefined {
    return this.list.find((command) => command.id === id);
  }

  enabled(command: Command): boolean {
    return command.enabled?.() ?? true;
  }

  run(id: string): void {
    const command = this.get(id);
    if (command && this.enabled(command)) command.run();
  }

  setSingleKeys(on: boolean): void {
    this.singleKeys = on;
    localStorage.setItem(SWITCH, on ? 'on' : 'off');
  }

  /** Listens on the window; returns how to stop. */
  listen(): () => void {
    this.singleKeys = localStorage.getItem(SWITCH) !== 'off';
    const onKey = (event: KeyboardEvent): void => this.#press(event);
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }

  #press(event: KeyboardEvent): void {
    if (event.defaultPrevented || event.isComposing) return;
    const mod = event.ctrlKey || event.metaKey;
    const graph = event.getModifierState('AltGraph'); // `[` on many European keyboards
    if (event.altKey && !graph) return;
    const name = mod && !graph ? `mod+${event.key.toLowerCase()}` : event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const command = this.list.find(({ keys }) => keys.includes(name));
    if (!command || !this.enabled(command)) return;
    const single = !name.startsWith('mod+') && name !== 'Escape';
    if (single && (!this.singleKeys || event.repeat && !['j', 'k', '[', ']'].includes(name))) return;
    if (command.everywhere !== true && isBusy(event.target, name)) return;
    event.preventDefault();
    command.run();
  }
}

/** True where the key belongs to the control that has the focus. */
function isBusy(target: EventTarget | null, name: string): boolean {
  if (document.querySelector('dialog[open]') !== null) return true;
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target.matches('input, textarea, select')) return true;
  return (name === ' ' || name === 'Enter') && target.closest('button, a, summary, [role="slider"]') !== null;
}

/** How a key is written on a keycap. */
export function keycap(key: string): string {
  if (key === ' ') return 'Space';
  if (key === 'Escape') return 'Esc';
  if (key === 'Enter') return '↵';
  if (key === 'ArrowDown') return '↓';
  if (key === 'ArrowUp') return '↑';
  if (key.startsWith('mod+')) return `${/Mac|iPhone|iPad/.test(globalThis.navigator?.userAgent ?? '') ? '⌘' : 'Ctrl '}${key.slice(4).toUpperCase()}`;
  return key.length === 1 ? key.toUpperCase() : key;
}
