import type { City } from '#contracts/common';
import type { Act, Incident, IncidentDetail, Queue } from '#contracts/incident';
import type { LiveIncident, LiveReadings } from '#contracts/live';
import type { FeedHealth } from '#contracts/feed';
import type { Feed, Feeds, Places, PlaceState } from '#contracts/place';
import type { Principal } from '#contracts/principal';
import { call, type Answer, type Problem } from '#lib/api/client.ts';
import { clock } from '#lib/live/clock.svelte.ts';
import { LiveConnection } from '#lib/live/connection.svelte.ts';
import type { Frame } from '#lib/live/stream.ts';
import { applyReadings, byId, byUrgency, needsPerson, predict, predictDetail, withIncident, withItem } from './rules.ts';
import { isoOf } from './time.ts';

export interface PictureStart {
  readonly city: City;
  readonly me: Principal;
  readonly queue: Queue;
  readonly places: Places;
  readonly feeds: Feeds;
}

interface Past {
  readonly atMs: number;
  readonly incidents: readonly Incident[];
  readonly places: readonly PlaceState[];
  readonly detail: IncidentDetail | null;
}

/** Frames that may wait while the pictures are read anew; a longer wait reads them once more. */
const HELD_FRAMES = 1_000;
const REREAD_DETAIL_MS = 120;

/**
 * What the room sees: the live picture, kept current by frames, and beside it the past one while the time cursor stands
 * somewhere else. Everything on screen reads `incidents`, `places` and `opened`, and so obeys the cursor.
 */
export class CityPicture {
  readonly city: City;
  readonly me: Principal;
  readonly connection: LiveConnection;

  feeds: readonly Feed[] = $state.raw([]);
  sources: readonly FeedHealth[] = $state.raw([]);
  closedToday = $state(0);
  openedId: string | null = $state(null);
  /** Why the opened incident or the past cannot be shown. */
  trouble: Problem | null = $state.raw(null);
  readingPast = $state(false);

  #incidents = $state.raw(byId<string, Incident>([]));
  #places = $state.raw(byId<number, PlaceState>([]));
  #detail: IncidentDetail | null = $state.raw(null);
  #past: Past | null = $state.raw(null);
  #seq = 0;
  #held: Frame[] | null = null;
  #pastReads: AbortController | undefined;
  #detailTimer: ReturnType<typeof setTimeout> | undefined;
  /** Acts under way by incident, each resolving with the revision it led to; one entry an incident, gone when answered. */
  // eslint-disable-next-line svelte/prefer-svelte-reactivity -- nothing on the screen reads it
  readonly #turns = new Map<string, Promise<number | undefined>>();
  /** Acts of this person that are on their way, by incident: frames of the same incident wait for the answer. */
  readonly #onTheWay: Record<string, number> = {};

  readonly atMs = $derived(this.#past?.atMs ?? null);
  readonly incidents = $derived(this.#past ? [...this.#past.incidents].sort(byUrgency) : [...this.#incidents.values()].sort(byUrgency));
  readonly places = $derived(this.#past ? this.#past.places : [...this.#places.values()]);
  readonly needingMe = $derived([...this.#incidents.values()].filter((incident) => needsPerson(incident, this.me.id)).length);
  readonly opened = $derived(this.#past ? this.#past.detail : this.#detail);
  /** The opened incident as it is now, for the ticks of the time bar. */
  readonly openedNow = $derived(this.#detail);

  constructor(start: PictureStart) {
    this.city = start.city;
    this.me = start.me;
    this.connection = new LiveConnection((frame) => this.#take(frame));
    this.#setPictures(start.queue, start.places, start.feeds);
  }

  /** In the browser: starts the clock and the stream; returns how to stop. */
  run(): () => void {
    const stopClock = clock.run();
    const close = this.connection.open(this.#seq);
    return () => {
      stopClock();
      close();
      clearTimeout(this.#detailTimer);
    };
  }

  #setPictures(queue: Queue, places: Places, feeds: Feeds): void {
    clock.correct(queue.asOf);
    this.#seq = queue.seq;
    this.#incidents = byId(queue.incidents);
    this.closedToday = queue.closedToday;
    this.#places = byId(places.places);
    this.feeds = feeds.feeds;
    this.sources = feeds.sources;
  }

  /** Reads queue, places and feeds again; frames that come meanwhile wait and are applied on top. */
  async reread(): Promise<void> {
    if (this.#held !== null) return;
    this.#held = [];
    const [queue, places, feeds] = await Promise.all([call<Queue>(fetch, '/api/queue'), call<Places>(fetch, '/api/places'), call<Feeds>(fetch, '/api/feeds')]);
    const held: Frame[] = this.#held;
    this.#held = null;
    if (queue.ok && places.ok && feeds.ok) {
      this.#setPictures(queue.value, places.value, feeds.value);
      this.trouble = null;
    } else this.trouble = [queue, places, feeds].find((answer) => !answer.ok)?.problem ?? null;
    for (const frame of held) this.#take(frame);
    if (this.openedId !== null) await this.#readDetail(this.openedId);
  }

  #take(frame: Frame): void {
    if (this.#held !== null && frame.kind !== 'heartbeat') {
      if (frame.kind !== 'resync' && this.#held.length < HELD_FRAMES) this.#held.push(frame);
      return;
    }
    switch (frame.kind) {
      case 'incident':
        if (frame.seq !== null && frame.seq <= this.#seq) return;
        if (frame.seq !== null) this.#seq = frame.seq;
        this.#takeIncident(JSON.parse(frame.data) as LiveIncident);
        break;
      case 'readings': {
        const { asOf, streams } = JSON.parse(frame.data) as LiveReadings;
        clock.correct(asOf);
        this.#places = applyReadings(this.#places, streams);
        break;
      }
      case 'feeds':
        ({ feeds: this.feeds, sources: this.sources } = JSON.parse(frame.data) as Pick<Feeds, 'feeds' | 'sources'>);
        break;
      case 'resync':
        void this.reread();
        break;
      case 'heartbeat':
        break;
    }
  }

  #takeIncident({ incident, entry }: LiveIncident): void {
    this.#setIncident(incident);
    if (entry.kind === 'closed') this.closedToday += 1;
    if (entry.kind === 'reopened') this.closedToday = Math.max(0, this.closedToday - 1);
    if (incident.id !== this.openedId) return;
    if (this.#detail?.id === incident.id) {
      const known = this.#detail.log.some(({ seq }) => seq === entry.seq);
      this.#detail = { ...this.#detail, ...incident, log: known ? this.#detail.log : [...this.#detail.log.filter(({ seq }) => seq >= 0), entry] };
    }
    clearTimeout(this.#detailTimer);
    this.#detailTimer = setTimeout(() => void this.#readDetail(incident.id), REREAD_DETAIL_MS);
  }

  #setIncident(incident: Incident): void {
    const known = this.#incidents.get(incident.id);
    if (known && known.revision > incident.revision) return;
    this.#incidents = withIncident(this.#incidents, incident);
  }

  incident(id: string): Incident | undefined {
    return this.#past ? this.#past.incidents.find((incident) => incident.id === id) : (this.#incidents.get(id) ?? (this.#detail?.id === id ? this.#detail : undefined));
  }

  async open(id: string | null): Promise<void> {
    if (this.openedId === id) return;
    this.openedId = id;
    this.trouble = null;
    if (this.#detail?.id !== id) this.#detail = null;
    if (id === null) return;
    await this.#readDetail(id);
    if (this.#past !== null) await this.goTo(this.#past.atMs);
  }

  async #readDetail(id: string): Promise<void> {
    const answer = await call<IncidentDetail>(fetch, `/api/incidents/${encodeURIComponent(id)}`);
    if (this.openedId !== id) return;
    if (!answer.ok) {
      this.trouble = answer.problem;
      return;
    }
    this.trouble = null;
    if ((this.#onTheWay[id] ?? 0) > 0) return; // the answer of the act brings a newer one
    if (this.#detail?.id === id && this.#detail.revision > answer.value.revision) return;
    this.#detail = answer.value;
  }

  /** Moves the time cursor; null goes back to live. A later call overtakes an earlier one. */
  async goTo(atMs: number | null): Promise<void> {
    this.#pastReads?.abort();
    if (atMs === null) {
      this.#past = null;
      this.readingPast = false;
      return;
    }
    const reads = new AbortController();
    this.#pastReads = reads;
    this.readingPast = true;
    const at = encodeURIComponent(isoOf(atMs));
    const init = { signal: reads.signal };
    // before it opened there is nothing to read of it
    const id = this.#detail !== null && Date.parse(this.#detail.openedAt) > atMs ? null : this.openedId;
    try {
      const [queue, places, detail] = await Promise.all([
        call<Queue>(fetch, `/api/queue?at=${at}`, init),
        call<Places>(fetch, `/api/places?at=${at}`, init),
        id === null ? null : call<IncidentDetail>(fetch, `/api/incidents/${encodeURIComponent(id)}?at=${at}`, init),
      ]);
      if (!queue.ok || !places.ok) {
        this.trouble = [queue, places].find((answer) => !answer.ok)?.problem ?? null;
        return;
      }
      this.#past = { atMs, incidents: queue.value.incidents, places: places.value.places, detail: detail?.ok === true ? detail.value : null };
    } catch (error) {
      if (!reads.signal.aborted) throw error;
    } finally {
      if (this.#pastReads === reads) this.readingPast = false;
    }
  }

  /**
   * Does an act. It shows at once as it will be; a refusal takes it back and is the answer. The revision that the person
   * saw goes along, so that the slower of two hands gets 409.
   */
  async act(id: string, act: Act): Promise<Answer<IncidentDetail>> {
    const before = this.incident(id);
    const detailBefore = this.#detail?.id === id ? this.#detail : null;
    const stamp = { me: this.me, at: isoOf(clock.now) };
    if (before) this.#incidents = withItem(this.#incidents, predict(before, act, stamp));
    if (detailBefore) this.#detail = predictDetail(detailBefore, act, stamp);
    this.#onTheWay[id] = (this.#onTheWay[id] ?? 0) + 1;
    // one hand, one act after the other: a quick second key must not meet the first one's revision
    const earlier = this.#turns.get(id);
    const sent = (async () => {
      const revisionAfter = await earlier;
      const revision = act.act === 'note' ? undefined : (revisionAfter ?? before?.revision);
      return call<IncidentDetail>(fetch, `/api/incidents/${encodeURIComponent(id)}/acts`, { method: 'POST', body: revision === undefined ? act : { ...act, revision }, key: crypto.randomUUID() });
    })();
    const turn = sent.then((answer) => (answer.ok ? answer.value.revision : undefined));
    this.#turns.set(id, turn);
    const answer = await sent;
    if (this.#turns.get(id) === turn) this.#turns.delete(id);
    this.#onTheWay[id] = (this.#onTheWay[id] ?? 1) - 1;
    if (!answer.ok) {
      // back to what was, unless a frame brought something newer meanwhile
      const now = this.#incidents.get(id);
      if (before && (now?.revision ?? 0) <= before.revision) this.#incidents = withIncident(this.#incidents, before);
      if (detailBefore && this.#detail?.id === id && this.#detail.revision <= detailBefore.revision) this.#detail = detailBefore;
      if (answer.problem.status === 409 || answer.problem.status === 404) await this.reread();
      return answer;
    }
    const detail = answer.value;
    this.#setIncident(detail);
    if (this.openedId === id && (this.#detail === null || this.#detail.id !== id || this.#detail.revision <= detail.revision)) this.#detail = detail;
    return answer;
  }
}
