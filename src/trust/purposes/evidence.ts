import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { HistoryOverview } from '../../contracts/history.ts';
import { Purpose, PurposeRegister, PurposeUse, RegisterVersions } from '../../contracts/trust.ts';
import { findRunningDatabase, openDatabase, silentLogger } from '../../platform/index.ts';
import { readBody } from '../log/log-store.ts';
import type { LogReader } from '../log/verify.ts';
import { openFolder, openUrl } from '../log/verify-command.ts';
import { listOldest, listReports, listStreams, listVersions } from './register-store.ts';
import { parseStored } from './register.ts';

const TIMEOUT_MS = 30_000;
const ANSWER_CHARS = 67_108_864;
const VERSIONS_MAX = 500;
const PAGE_ROWS = 1_000;
const PAGES_MAX = 1_000;

/** What a city says of its register and what it has, as far as it can be read from where the check runs. */
export interface Evidence {
  readonly hash: string;
  readonly purposes: readonly Purpose[];
  readonly since: string;
  readonly versions: RegisterVersions['versions'];
  readonly streams: PurposeUse['streams'];
  readonly parts: PurposeUse['parts'];
  readonly reports: PurposeUse['reports'];
  /** The oldest reading by purpose. */
  readonly oldest: readonly { readonly purpose: string; readonly oldest: string }[];
  /** Purpose by datastream id, from a second source; null without one. */
  readonly seenStreams: ReadonlyMap<number, string> | null;
  readonly log: LogReader | null;
  readonly notProved: readonly string[];
}

const PlainPurpose = z.object(Purpose.shape);
const DatastreamPage = z.object({ value: z.array(z.object({ '@iot.id': z.number().int(), properties: z.object({ purpose: z.string() }) })), '@iot.nextLink': z.string().optional() });

/** From the public addresses of a running city. Throws with the address that did not answer. */
export async function gatherFromUrl(target: string): Promise<Evidence> {
  const base = target.replace(/\/+$/, '');
  const register = PurposeRegister.parse(await readJson(`${base}/api/purposes`));
  const { versions } = RegisterVersions.parse(await readJson(`${base}/api/purposes/versions`));
  const { streams, parts, reports } = PurposeUse.parse(await readJson(`${base}/api/purposes/use`));
  const { purposes: holdings } = HistoryOverview.parse(await readJson(`${base}/api/history`));
  const seenStreams = new Map<number, string>();
  for (const set of ['Datastreams', 'MultiDatastreams']) {
    let next: string | undefined = `${base}/v1.1/${set}?$select=id,properties&$top=${String(PAGE_ROWS)}`;
    for (let page = 0; next !== undefined && page < PAGES_MAX; page += 1) {
      const found: z.infer<typeof DatastreamPage> = DatastreamPage.parse(await readJson(next));
      for (const each of found.value) seenStreams.set(each['@iot.id'], each.properties.purpose);
      const link: string | undefined = found['@iot.nextLink'];
      // it names the address that the city has for others; its path is what counts
      next = link === undefined ? undefined : `${base}${new URL(link).pathname}${new URL(link).search}`;
    }
  }
  return {
    hash: register.hash,
    since: register.since,
    purposes: register.purposes.map((purpose) => PlainPurpose.parse(purpose)),
    versions,
    streams,
    parts,
    reports,
    oldest: holdings.flatMap(({ purpose, oldest }) => (oldest === null ? [] : [{ purpose, oldest }])),
    seenStreams,
    log: await openUrl(base),
    notProved: ['that the city shows everybody the same pages: ask from several places'],
  };
}

/** From the data folder of a city that runs on this machine: its database, its log and its files. Null when none runs there. */
export async function gatherFromFolder(folder: string): Promise<Evidence | null> {
  const connection = findRunningDatabase(folder);
  if (connection === null) return null;
  const handle = openDatabase(connection, silentLogger, 2);
  try {
    const stored = await listVersions(handle.db, VERSIONS_MAX);
    const [newest] = stored;
    if (newest === undefined) return null;
    const versions: Evidence['versions'] = [];
    for (const { version, since, hash, approval, logIndex } of stored) {
      const opening = logIndex === null ? undefined : await readBody(handle.db, 'purpose.register', logIndex);
      versions.push({ version, since: since.toISOString(), hash, approval, leaf: opening === undefined || logIndex === null ? null : { index: logIndex, nonce: opening.nonce.toString('hex'), body: opening.body } });
    }
    const streams = (await listStreams(handle)).map(({ id, name, purpose, observations }) => ({ id, name, purpose, observations }));
    return { hash: newest.hash, since: newest.since.toISOString(), purposes: parseStored(newest.document), versions, streams, parts: await readParts(folder), reports: (await listReports(handle)).map(({ oldest, ...report }) => ({ ...report, oldest: oldest?.toISOString() ?? null })), oldest: (await listOldest(handle)).map(({ purpose, oldest }) => ({ purpose, oldest: oldest.toISOString() })), seenStreams: null, log: await openFolder(folder), notProved: ['that the running processes use what stands in this database and in these files'] };
  } finally {
    await handle.close();
  }
}

async function readJson(address: string): Promise<unknown> {
  const response = await fetch(address, { signal: AbortSignal.timeout(TIMEOUT_MS), redirect: 'error' });
  if (!response.ok) throw new Error(`${address} answered ${String(response.status)}`);
  const text = await response.text();
  if (text.length > ANSWER_CHARS) throw new Error(`${address} answered with more than ${String(ANSWER_CHARS)} characters`);
  return JSON.parse(text) as unknown;
}

const WithPurpose = z.looseObject({ purpose: z.string(), rule: z.string().optional(), code: z.string().optional(), name: z.unknown().optional() });

/** Whatever names a purpose in the city's files. */
async function readParts(folder: string): Promise<Evidence['parts'][number][]> {
  const parts: Evidence['parts'][number][] = [];
  for (const [kind, file] of [['rule', 'rules.yaml'], ['service', 'services.yaml'], ['feed', 'feeds.yaml']] as const) {
    const text = await readFile(join(folder, 'city', file), 'utf8').catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    });
    for (const document of text === null ? [] : parseAllDocuments(text)) collect(kind, document.toJS(), parts);
  }
  return parts;
}

function collect(kind: Evidence['parts'][number]['kind'], value: unknown, parts: Evidence['parts'][number][], key = ''): void {
  if (typeof value !== 'object' || value === null) return;
  const named = WithPurpose.safeParse(value);
  if (named.success) {
    const { rule, code, name, purpose } = named.data;
    parts.push({ kind, id: rule ?? code ?? (typeof name === 'string' ? name : key), purpose });
    return;
  }
  for (const [member, inner] of Object.entries(value)) collect(kind, inner, parts, member);
}
