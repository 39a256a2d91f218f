import { goto } from '$app/navigation';
import { t } from '#lib/i18n/messages.ts';
import type { Command } from '#lib/keys/registry.svelte.ts';
import { clock } from '#lib/live/clock.svelte.ts';
import { applyTheme, shownTheme } from '#lib/ui/theme.ts';
import type { Desk } from './desk.svelte.ts';

/** What the page itself must do, since it holds the elements. */
export interface DeskHands {
  readonly focusMap: () => void;
  readonly focusLog: () => void;
  readonly readWords: () => void;
  readonly wholeCity: () => void;
}

const STEP_KEYS = [1, 2, 3, 4, 5, 6, 7, 8, 9] as const;

/** Pages of the desk, for the palette; they need no key of their own. */
const DESK = [
  { id: 'devices', path: '/devices' },
  { id: 'feeds', path: '/feeds' },
  { id: 'import', path: '/import', position: 'administrator' },
  { id: 'requests', path: '/requests' },
  { id: 'people', path: '/people', position: 'administrator' },
] as const satisfies readonly { id: string; path: string; position?: string }[];

/** Every verb of the console with its key: the one list that the keyboard, the palette, the key sheet and the buttons read. */
export function deskCommands(desk: Desk, hands: DeskHands): Command[] {
  const opened = (): boolean => desk.picture.opened !== null;
  const stepOpen = (): boolean => desk.can('complete_step') && desk.picture.opened?.stepList.some(({ state }) => state === 'open') === true;
  const queue = t('group_queue');
  const incident = t('group_incident');
  const view = t('group_view');
  const time = t('group_time');
  const general = t('group_general');
  return [
    { id: 'down', title: t('cmd_down'), keys: ['j', 'ArrowDown'], group: queue, run: () => desk.move(1) },
    { id: 'up', title: t('cmd_up'), keys: ['k', 'ArrowUp'], group: queue, run: () => desk.move(-1) },
    { id: 'open', title: t('cmd_open'), keys: ['Enter'], group: queue, enabled: () => desk.cursorId !== null, run: () => desk.open(desk.cursorId) },
    { id: 'scope', title: t('cmd_scope'), keys: ['q'], group: queue, run: () => (desk.scope = desk.scope === 'mine' ? 'all' : 'mine') },
    { id: 'new', title: t('cmd_new'), keys: ['i'], group: queue, enabled: () => !desk.past, run: () => desk.show({ kind: 'new' }) },
    { id: 'acknowledge', title: t('acknowledge'), keys: ['a'], group: incident, enabled: () => desk.can('acknowledge'), run: () => void desk.act({ act: 'acknowledge' }) },
    { id: 'take', title: t('take'), keys: ['t'], group: incident, enabled: () => desk.can('take'), run: () => void desk.act({ act: 'take' }) },
    { id: 'release', title: t('release'), keys: ['r'], group: incident, enabled: () => desk.can('release'), run: () => void desk.act({ act: 'release' }) },
    { id: 'log', title: t('cmd_log'), keys: ['n'], group: incident, enabled: () => opened() && !desk.past, run: hands.focusLog },
    { id: 'words', title: t('cmd_words'), keys: ['v'], group: incident, enabled: () => !desk.past && desk.picture.opened?.requestList.some(({ hasWords }) => hasWords) === true, run: hands.readWords },
    { id: 'tick', title: t('cmd_tick'), keys: [' '], group: incident, enabled: stepOpen, run: () => desk.tickNext() },
    ...STEP_KEYS.map((n): Command => ({ id: `tick-${n}`, title: t('cmd_tick_n', { n }), keys: [String(n)], group: incident, hidden: true, enabled: () => desk.can('complete_step') && opened(), run: () => desk.tick(n - 1) })),
    { id: 'close', title: t('close'), keys: ['c'], group: incident, enabled: () => desk.can('close'), run: () => desk.show({ kind: 'close' }) },
    { id: 'reopen', title: t('reopen'), keys: ['o'], group: incident, enabled: () => desk.can('reopen'), run: () => desk.show({ kind: 'reopen' }) },
    { id: 'undo', title: t('cmd_undo'), keys: ['z'], group: incident, enabled: () => !desk.past, run: () => void desk.undo() },
    { id: 'map', title: t('cmd_map'), keys: ['m'], group: view, run: hands.focusMap },
    { id: 'table', title: t('cmd_table'), keys: ['p'], group: view, run: () => (desk.view = desk.view === 'map' ? 'table' : 'map') },
    { id: 'city', title: t('cmd_city'), keys: ['g'], group: view, run: hands.wholeCity },
    { id: 'before', title: t('cmd_before'), keys: ['['], group: time, enabled: opened, run: () => desk.step(-1) },
    { id: 'after', title: t('cmd_after'), keys: [']'], group: time, enabled: () => desk.past, run: () => desk.step(1) },
    { id: 'play', title: t('cmd_play'), keys: ['y'], group: time, enabled: () => opened() || desk.playing, run: () => desk.play(clock.now) },
    { id: 'live', title: t('cmd_live'), keys: ['l'], group: time, enabled: () => desk.past, run: () => desk.goLive() },
    { id: 'palette', title: t('cmd_palette'), keys: ['mod+k'], group: general, run: () => desk.show({ kind: 'palette' }), hidden: true },
    { id: 'keys', title: t('cmd_keys'), keys: ['?'], group: general, run: () => desk.show({ kind: 'keys' }) },
    { id: 'theme', title: t('cmd_theme'), keys: ['b'], group: general, run: () => applyTheme(shownTheme() === 'dark' ? 'light' : 'dark') },
    { id: 'wall', title: t('cmd_wall'), keys: ['w'], group: general, run: () => void goto('/wall') },
    { id: 'explore', title: t('cmd_explore'), keys: ['d'], group: general, run: () => void goto('/explore') },
    ...DESK.filter((page) => !('position' in page) || desk.picture.me.positions.includes(page.position)).map(({ id, path }): Command => ({ id, title: t(`cmd_${id}`), keys: [], group: general, run: () => void goto(path) })),
    { id: 'escape', title: t('cmd_escape'), keys: ['Escape'], group: general, everywhere: true, run: () => escape(desk) },
  ];
}

/** One step out: from a field, from the past, from the incident. A dialog closes by itself. */
function escape(desk: Desk): void {
  if (document.querySelector('dialog[open]') !== null) return desk.hide();
  const focused = document.activeElement;
  if (focused instanceof HTMLElement && focused.matches('input, textarea, select, canvas')) return focused.blur();
  if (desk.past) return desk.goLive();
  desk.open(null);
}
