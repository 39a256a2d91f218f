import { stringify } from 'yaml';
import { z } from 'zod';
import type { Approval } from '../../contracts/approval.ts';
import { PurposeProposal, type PurposeDesk, type PurposeDetail, type PurposeRegister, type PurposeUse, type RegisterVersions } from '../../contracts/trust.ts';
import { isoOf, Refused, unwrap, type Clock } from '../../kernel/index.ts';
import type { DatabaseHandle, Http } from '../../platform/index.ts';
import { changesOf } from '../approvals/changes.ts';
import { readBody } from '../log/log-store.ts';
import type { RegisterChanges } from './changes.ts';
import { toAtrs } from './exports/atrs.ts';
import { toDpv } from './exports/dpv.ts';
import { toSigns } from './exports/dtpr.ts';
import { pointOf, toCsv, toGeoJson, toSensorRows } from './exports/sensor-register.ts';
import type { PartsDirectory } from './parts.ts';
import type { PurposeRegistry } from './purposes.ts';
import { countDatastreams, listReports, listStreams, listVersions, type StoredVersion } from './register-store.ts';
import { canonicalRegister, parseStored, spanOf } from './register.ts';

const DAY_MS = 86_400_000;
const WARN_DAYS = 30;
const VERSIONS_MAX = 500;
const STREAMS_SHOWN = 2_000;
const EXPORTS = ['register.dpv.jsonld', 'algorithms.atrs.json', 'sensors.csv', 'sensors.geojson', 'signs.dtpr.json', 'purposes.yaml'] as const;
const PUBLIC = { config: { action: 'public' as const } };

export interface PurposeRouteOptions {
  readonly handle: DatabaseHandle;
  readonly clock: Clock;
  readonly purposes: PurposeRegistry;
  readonly changes: RegisterChanges;
  readonly directory: PartsDirectory;
  readonly refusedOf: (purpose: string) => number;
  /** Name of the city, and the address under which others reach it, without a slash at its end. */
  readonly city: () => { readonly name: string; readonly url: string };
}

/** /api/purposes: the register, its versions, its use, its exports (docs/reference/purposes.md); public but for the desk. */
export function registerPurposeRoutes(http: Http, options: PurposeRouteOptions): void {
  const { handle, clock, purposes, changes, directory } = options;
  const leafOf = async (index: number | null): Promise<PurposeRegister['leaf']> => {
    const found = index === null ? undefined : await readBody(handle.db, 'purpose.register', index);
    return found === undefined || index === null ? null : { index, nonce: found.nonce.toString('hex'), body: found.body };
  };

  http.get('/api/purposes', PUBLIC, async (): Promise<PurposeRegister> => {
    const [datastreams, [newest]] = await Promise.all([countDatastreams(handle.db), listVersions(handle.db, 1)]);
    return {
      version: purposes.version(),
      since: purposes.since().toISOString(),
      hash: purposes.hash(),
      leaf: await leafOf(newest?.version === purposes.version() ? newest.logIndex : null),
      purposes: purposes.all().map((purpose) => ({ ...purpose, live: purposes.live(purpose.id), datastreams: datastreams.get(purpose.id) ?? 0, refused: options.refusedOf(purpose.id) })),
    };
  });
  http.get('/api/purposes/versions', PUBLIC, async (): Promise<RegisterVersions> => ({
    versions: await Promise.all((await listVersions(handle.db, VERSIONS_MAX)).map(async ({ version, since, hash, approval, logIndex }) => ({ version, since: since.toISOString(), hash, approval, leaf: await leafOf(logIndex) }))),
  }));
  http.get('/api/purposes/use', PUBLIC, async (): Promise<PurposeUse> => ({
    asOf: isoOf(clock.nowMs()),
    streams: (await listStreams(handle)).map(({ id, name, purpose, observations }) => ({ id, name, purpose, observations })),
    parts: [...directory.parts()],
    reports: (await listReports(handle)).map(({ oldest, ...report }) => ({ ...report, oldest: oldest?.toISOString() ?? null })),
  }));
  registerExports(http, options);

  http.get('/api/purposes/:id', { ...PUBLIC, schema: { params: z.strictObject({ id: z.string().max(63) }) } }, (request) => readDetail(options, request.params.id));
  http.get('/api/purposes/desk', { config: { action: 'approvals.read' } }, (): PurposeDesk => ({ ending: endingSoon(purposes, clock.nowMs()), file: filePending(changes) }));
  http.post('/api/purposes/proposals', { config: { action: 'approvals.decide' }, schema: { body: PurposeProposal } }, async (request): Promise<Approval> => unwrap(await changes.propose(request.principal, request.body)));
}

async function readDetail({ handle, purposes, directory, refusedOf }: PurposeRouteOptions, id: string): Promise<PurposeDetail> {
  const purpose = purposes.get(id);
  if (purpose === undefined) throw new Refused({ code: 'http.not-found', detail: 'There is no such purpose in the register.', field: 'id' });
  const [counts, streams, versions] = await Promise.all([countDatastreams(handle.db), listStreams(handle, id, STREAMS_SHOWN), listVersions(handle.db, VERSIONS_MAX)]);
  return {
    purpose: { ...purpose, live: purposes.live(id), datastreams: counts.get(id) ?? 0, refused: refusedOf(id) },
    streams: streams.map(({ id: stream, name, property, place, location }) => {
      const [longitude, latitude] = pointOf(location);
      return { id: stream, name, property, place, point: longitude === null || latitude === null ? null : [longitude, latitude] };
    }),
    parts: directory.parts().flatMap((part) => (part.purpose === id && part.kind !== 'rule' ? [{ kind: part.kind, id: part.id }] : [])),
    rules: directory.algorithms().flatMap((card) => (card.purpose === id ? [{ id: card.id, title: card.title, sentence: card.sentence }] : [])),
    history: historyOf(id, versions),
  };
}

/** The versions in which the entry of `id` is not what it was in the one before. */
function historyOf(id: string, versions: readonly StoredVersion[]): PurposeDetail['history'] {
  const entries = versions.map(({ document }) => parseStored(document).find((purpose) => purpose.id === id));
  return versions.flatMap(({ version, since, approval, logIndex }, at) => {
    const [now, before] = [entries[at], entries[at + 1]];
    if (now === undefined || (before !== undefined && canonicalRegister([now]) === canonicalRegister([before]))) return [];
    const changes = before === undefined ? [] : changesOf({ before, after: now });
    return [{ version, since: since.toISOString(), approval, leaf: logIndex, changes }];
  });
}

function registerExports(http: Http, { handle, clock, purposes, directory, city }: PurposeRouteOptions): void {
  http.get('/api/purposes/exports/:file', { ...PUBLIC, schema: { params: z.strictObject({ file: z.enum(EXPORTS) }) } }, async (request, reply) => {
    const { name, url } = city();
    const base = `${url}/trust/purposes`;
    const all = purposes.all();
    const shared = { base, city: name, since: purposes.since(), nowMs: clock.nowMs(), live: (id: string) => purposes.live(id) };
    const send = (type: string, body: string | object): typeof reply => reply.header('content-type', type).send(typeof body === 'string' ? body : JSON.stringify(body));
    switch (request.params.file) {
      case 'register.dpv.jsonld':
        return send('application/ld+json', toDpv(all, { ...shared, version: purposes.version() }));
      case 'algorithms.atrs.json':
        return send('application/json; charset=utf-8', toAtrs(all, directory.algorithms(), shared));
      case 'sensors.csv':
        return send('text/csv; charset=utf-8; header=present', toCsv(toSensorRows(await listStreams(handle), all, url)));
      case 'sensors.geojson':
        return send('application/geo+json', toGeoJson(toSensorRows(await listStreams(handle), all, url)));
      case 'signs.dtpr.json':
        return send('application/json; charset=utf-8', toSigns(all, shared));
      case 'purposes.yaml':
        return send('application/yaml; charset=utf-8', stringify({ purposes: all }));
    }
  });
}

function endingSoon(purposes: PurposeRegistry, nowMs: number): PurposeDesk['ending'] {
  return purposes
    .all()
    .flatMap((purpose) => {
      const { untilMs } = spanOf(purpose);
      const days = Math.ceil((untilMs - nowMs) / DAY_MS);
      return purpose.ends === null || days < 0 || days > WARN_DAYS ? [] : [{ id: purpose.id, title: purpose.title, ends: purpose.ends, days }];
    })
    .sort((a, b) => a.days - b.days);
}

function filePending(changes: RegisterChanges): PurposeDesk['file'] {
  const found = changes.fileChanges();
  return found === null ? null : { changes: found };
}
