import type { Act, Incident, NewIncident } from '#contracts/incident';
import { call } from '#lib/api/client.ts';
import { t } from '#lib/i18n/messages.ts';
import { toasts } from '#lib/ui/toasts.svelte.ts';
import type { CityPicture } from './picture.svelte.ts';
import { inverse, momentsOf, needsPerson } from './rules.ts';

export type DeskDialog = { readonly kind: 'none' | 'close' | 'palette' | 'keys' | 'new' | 'reopen' } | { readonly kind: 'skip'; readonly step: string };
const NONE: DeskDialog = { kind: 'none' };
const UNDO_KEPT = 50;
const PLAY_STEP_MS = 900;
const HOUR_MS = 3_600_000;

/** What one person does at one console: cursor, dialogs, acts and their undo, and the time cursor's buttons. */
export class Desk {
  readonly picture: CityPicture;
  scope: 'mine' | 'all' = $state('mine');
  cursorId: string | null = $state(null);
  hoveredId: string | null = $state(null);
  view: 'map' | 'table' = $state('map');
  /** Which of the three columns a narrow screen shows. */
  tab: 'queue' | 'map' | 'incident' = $state('queue');
  dialog: DeskDialog = $state.raw(NONE);
  playing = $state(false);
  busy = $state(false);
  #acting: Promise<boolean> = Promise.resolve(true);
  #done: { id: string; act: Act }[] = [];
  #timer: ReturnType<typeof setInterval> | undefined;

  readonly rows = $derived.by(() => (this.scope === 'all' || this.picture.atMs !== null ? this.picture.incidents : this.picture.incidents.filter((incident) => needsPerson(incident, this.picture.me.id))));
  /** The incident that keys act on: the opened one, else the row under the cursor. */
  readonly target: Incident | undefined = $derived.by(() => this.picture.incident(this.picture.openedId ?? this.cursorId ?? ''));
  readonly past = $derived.by(() => this.picture.atMs !== null);

  constructor(picture: CityPicture) {
    this.picture = picture;
  }

  show(dialog: DeskDialog): void {
    this.dialog = dialog;
  }
  hide(): void {
    this.dialog = NONE;
  }

  move(by: 1 | -1): void {
    const { rows } = this;
    if (rows.length === 0) return;
    const at = rows.findIndex(({ id }) => id === this.cursorId);
    const next = rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.max(0, Math.min(rows.length - 1, at + by))];
    if (next) this.cursorId = next.id;
    this.tab = 'queue';
  }

  open(id: string | null): void {
    if (id !== null) {
      this.cursorId = id;
      this.tab = 'incident';
    } else this.tab = 'queue';
    void this.picture.open(id);
  }

  /** True when this act makes sense on the target now. */
  can(act: Act['act']): boolean {
    const incident = this.target;
    if (!incident || this.past) return false;
    switch (act) {
      case 'acknowledge':
        return incident.state === 'new';
      case 'take':
        return incident.state !== 'closed' && incident.owner?.id !== this.picture.me.id;
      case 'release':
        return incident.state !== 'closed' && incident.owner?.id === this.picture.me.id;
      case 'reopen':
        return incident.state === 'closed';
      case 'note':
        return true;
      default:
        // the server wants it seen before it is worked or closed
        return incident.state === 'acknowledged' || incident.state === 'in_progress';
    }
  }

  /** Acts on the target; says what was done or why not. */
  act(act: Act, options: { id?: string; undoing?: boolean } = {}): Promise<boolean> {
    const acting = this.#act(act, options);
    this.#acting = acting;
    return acting;
  }

  async #act(act: Act, options: { id?: string; undoing?: boolean }): Promise<boolean> {
    const id = options.id ?? this.target?.id;
    if (id === undefined || this.past) return false;
    const number = this.picture.incident(id)?.number ?? 0;
    const answer = await this.picture.act(id, act);
    if (!answer.ok) {
      const { status, title, cure, detail } = answer.problem;
      toasts.say('refused', status === 409 ? t('refused_conflict', { number }) : t('refused', { title: detail || title, cure }));
      return false;
    }
    if (options.undoing !== true) this.#done = [...this.#done, { id, act }].slice(-UNDO_KEPT);
    toasts.say('done', t(`did_${act.act}`, { number: answer.value.number }));
    return true;
  }

  /** Takes back this person's last act. */
  async undo(): Promise<void> {
    await this.#acting; // a quick hand means the act that is still on its way
    const last = this.#done.at(-1);
    if (!last) return toasts.say('refused', t('undo_nothing'));
    const back = inverse(last.act);
    if (!back) {
      this.#done = this.#done.slice(0, -1);
      return toasts.say('refused', t('undo_note'));
    }
    if (await this.act(back, { id: last.id, undoing: true })) this.#done = this.#done.slice(0, -1);
  }

  tickNext(): void {
    const step = this.picture.opened?.stepList.find(({ state }) => state === 'open');
    if (step) void this.act({ act: 'complete_step', step: step.id });
  }

  tick(index: number): void {
    const step = this.picture.opened?.stepList[index];
    if (step) void this.act(step.state === 'open' ? { act: 'complete_step', step: step.id } : { act: 'undo_step', step: step.id });
  }

  async create(incident: NewIncident): Promise<string | null> {
    const answer = await call<Incident>(fetch, '/api/incidents', { method: 'POST', body: incident, key: crypto.randomUUID() });
    if (!answer.ok) return `${answer.problem.detail || answer.problem.title} ${answer.problem.cure}`;
    this.hide();
    this.open(answer.value.id);
    return null;
  }

  /** The span of the time bar: from an hour before the incident opened until now. */
  span(nowMs: number): { fromMs: number; toMs: number } | null {
    const incident = this.picture.openedNow;
    return incident ? { fromMs: Date.parse(incident.openedAt) - HOUR_MS, toMs: nowMs } : null;
  }

  /** Moments worth stopping at: the entries of the opened incident's log, oldest first. */
  get moments(): readonly number[] {
    return momentsOf(this.picture.openedNow?.log ?? []);
  }

  step(by: 1 | -1): void {
    const from = this.picture.atMs;
    const { moments } = this;
    const next = by < 0 ? moments.findLast((at) => at < (from ?? Number.POSITIVE_INFINITY)) : moments.find((at) => from !== null && at > from);
    if (next !== undefined) void this.picture.goTo(next);
    else if (by > 0) this.goLive();
    else {
      const first = moments[0];
      if (first !== undefined) void this.picture.goTo(first - HOUR_MS);
    }
  }

  /** Steps through the span in a hundred parts, one every 0.9 s. */
  play(nowMs: number): void {
    if (this.playing) return this.pause();
    const span = this.span(nowMs);
    if (!span) return;
    const step_ms = (span.toMs - span.fromMs) / 100;
    this.playing = true;
    if (this.picture.atMs === null) void this.picture.goTo(span.fromMs);
    this.#timer = setInterval(() => {
      if (this.picture.readingPast) return; // the last picture is still on its way
      const next = (this.picture.atMs ?? span.fromMs) + step_ms;
      if (next >= span.toMs) this.goLive();
      else void this.picture.goTo(next);
    }, PLAY_STEP_MS);
  }

  pause(): void {
    this.playing = false;
    clearInterval(this.#timer);
  }

  goLive(): void {
    this.pause();
    void this.picture.goTo(null);
  }
}
