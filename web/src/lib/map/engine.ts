import { addProtocol, Map as MapLibre, setWorkerUrl, type GeoJSONSource } from 'maplibre-gl';
import workerUrl from 'maplibre-gl/dist/maplibre-gl-worker.mjs?url';
import { Protocol } from 'pmtiles';
import type { City, LonLat } from '#contracts/common';
import type { Incident } from '#contracts/incident';
import type { PlaceState } from '#contracts/place';
import { SEVERITY_ORDER, type MarkState } from '#lib/ui/marks.ts';
import { mapStyle, PLACE_STATES, type ShownPlaceState } from './style.ts';
import { drawMark } from './symbols.ts';
import 'maplibre-gl/dist/maplibre-gl.css';

/** Side of the bitmaps in CSS pixels. */
const MARK_PX = { place: 22, incident: 30 } as const;
const HIT_PX = 6;

let prepared = false;

function prepare(): void {
  if (prepared) return;
  prepared = true;
  setWorkerUrl(workerUrl);
  const protocol = new Protocol();
  addProtocol('pmtiles', (request, abort) => protocol.tile(request, abort));
}

export type Hit = { readonly kind: 'incident'; readonly number: number } | { readonly kind: 'place'; readonly id: number };

export interface EngineOptions {
  readonly container: HTMLElement;
  readonly city: City;
  /** West, south, east, north of what “the whole city” shows. */
  readonly bounds: City['bounds'];
  readonly interactive: boolean;
  /** Size of the marks beside that of a desk. */
  readonly scale: number;
  /** Camera to start with, for a change of brightness; the whole city without it. */
  readonly camera: { center: LonLat; zoom: number } | null;
  readonly onHover: (hit: Hit | null) => void;
  readonly onChoose: (hit: Hit) => void;
  readonly onMoved: () => void;
  readonly label: string;
}

const shownState = (place: PlaceState): ShownPlaceState => (place.stale || place.state === 'unknown' ? 'stale' : place.state);

const point = (coordinates: LonLat, properties: Record<string, unknown>) => ({ type: 'Feature' as const, geometry: { type: 'Point' as const, coordinates: [...coordinates] }, properties });

/** Where the places are: all but the outermost two in a hundred each way, since one gauge far out must not shrink the city. */
export function boundsOf(places: readonly PlaceState[], city: City): City['bounds'] {
  if (places.length < 2) return city.bounds;
  const cut = Math.floor(places.length * 0.02);
  const ends = (axis: 0 | 1): [number, number] => {
    const sorted = places.map(({ point: at }) => at[axis]).sort((a, b) => a - b);
    return [sorted[cut] ?? city.bounds[axis], sorted[sorted.length - 1 - cut] ?? city.bounds[axis === 0 ? 2 : 3]];
  };
  const [west, east] = ends(0);
  const [south, north] = ends(1);
  return east - west < 1e-3 && north - south < 1e-3 ? city.bounds : [west, south, east, north];
}

/** The map under the room's marks. Live values only change feature-state; the sources change when places or incidents come and go. */
export class MapEngine {
  readonly map: MapLibre;
  #ready: Promise<void>;
  #states = new Map<number, ShownPlaceState>();
  #removed = false;
  #placeKey = '';
  readonly #options: EngineOptions;

  constructor(options: EngineOptions) {
    prepare();
    this.#options = options;
    const { city, camera } = options;
    this.map = new MapLibre({
      container: options.container,
      style: mapStyle(city.basemap, city.attribution, options.scale),
      ...(camera ? { center: camera.center, zoom: camera.zoom } : { bounds: options.bounds, fitBoundsOptions: { padding: 28 } }),
      attributionControl: false,
      interactive: options.interactive,
      dragRotate: false,
      pitchWithRotate: false,
      touchPitch: false,
      maxPitch: 0,
      fadeDuration: 0,
      locale: { 'Map.Title': options.label },
    });
    this.map.touchZoomRotate.disableRotation();
    this.#ready = new Promise((resolve) => this.map.once('load', () => resolve()));
    this.map.on('style.load', () => {
      for (const state of PLACE_STATES) this.#addMark(state, MARK_PX.place * options.scale);
      for (const state of ['extreme', 'severe', 'moderate', 'minor'] as const) this.#addMark(state, MARK_PX.incident * options.scale);
    });
    // told to whoever waits for the picture: tests, and a wall that shows itself only when it is drawn
    const { dataset } = options.container;
    this.map.on('idle', () => (dataset.map = 'idle'));
    // tiles that were under way when the map went are no fault
    this.map.on('error', ({ error }) => {
      if (!this.#removed) console.error(error);
    });
    if (options.interactive) this.#listen();
  }

  #addMark(state: MarkState, side_px: number): void {
    const { data, pixelRatio } = drawMark(state, side_px);
    if (!this.map.hasImage(`mark-${state}`)) this.map.addImage(`mark-${state}`, data, { pixelRatio });
  }

  #listen(): void {
    const at = (x: number, y: number): Hit | null => {
      const box: [[number, number], [number, number]] = [[x - HIT_PX, y - HIT_PX], [x + HIT_PX, y + HIT_PX]];
      const [incident] = this.map.queryRenderedFeatures(box, { layers: ['incidents'] });
      if (incident) return { kind: 'incident', number: Number(incident.properties.number) };
      const [place] = this.map.queryRenderedFeatures(box, { layers: PLACE_STATES.map((state) => `places-${state}`) });
      return place ? { kind: 'place', id: Number(place.properties.id) } : null;
    };
    this.map.on('mousemove', ({ point: { x, y } }) => {
      const hit = at(x, y);
      this.map.getCanvas().style.cursor = hit ? 'pointer' : '';
      this.#options.onHover(hit);
    });
    this.map.on('mouseout', () => this.#options.onHover(null));
    this.map.on('click', ({ point: { x, y } }) => {
      const hit = at(x, y);
      if (hit) this.#options.onChoose(hit);
    });
    this.map.on('move', () => this.#options.onMoved());
  }

  #source(id: 'places' | 'incidents' | 'focus'): GeoJSONSource | undefined {
    return this.map.getSource<GeoJSONSource>(id);
  }

  async showPlaces(places: readonly PlaceState[]): Promise<void> {
    await this.#ready;
    const key = places.map(({ id, point: [lon, lat] }) => `${id}:${lon}:${lat}`).join(' ');
    if (key !== this.#placeKey) {
      this.#placeKey = key;
      this.#states.clear();
      this.map.removeFeatureState({ source: 'places' });
      this.#source('places')?.setData({ type: 'FeatureCollection', features: places.map((place) => point(place.point, { id: place.id, state: shownState(place) })) });
    }
    for (const place of places) {
      const state = shownState(place);
      if (this.#states.get(place.id) === state) continue;
      this.#states.set(place.id, state);
      this.map.setFeatureState({ source: 'places', id: place.id }, { state });
    }
  }

  async showIncidents(incidents: readonly Incident[]): Promise<void> {
    await this.#ready;
    this.#source('incidents')?.setData({ type: 'FeatureCollection', features: incidents.map(({ number, severity, point: at }) => point(at, { number, severity, rank: SEVERITY_ORDER[severity] })) });
  }

  /** Rings: one for what is opened, one for what the pointer is on. */
  async ring(opened: LonLat | null, hovered: LonLat | null): Promise<void> {
    await this.#ready;
    const features = [...(opened ? [point(opened, { kind: 'opened' })] : []), ...(hovered ? [point(hovered, { kind: 'hovered' })] : [])];
    this.#source('focus')?.setData({ type: 'FeatureCollection', features });
  }

  /** Pans so that the point is well inside; zooms in only from far out. */
  goTo(to: LonLat, calm: boolean): void {
    const zoom = Math.max(this.map.getZoom(), 12.5);
    if (calm) this.map.jumpTo({ center: to, zoom });
    else this.map.easeTo({ center: to, zoom, duration: 450 });
  }

  wholeCity(calm: boolean): void {
    this.map.fitBounds(this.#options.bounds, { padding: 28, animate: !calm });
  }

  get camera(): { center: LonLat; zoom: number } {
    const { lng, lat } = this.map.getCenter();
    return { center: [lng, lat], zoom: this.map.getZoom() };
  }

  /** Where a point stands on the container, in CSS pixels. */
  screen(at: LonLat): { x: number; y: number } {
    const { x, y } = this.map.project(at);
    return { x, y };
  }

  remove(): void {
    this.#removed = true;
    this.map.remove();
  }
}
