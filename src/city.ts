import { existsSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { City } from './contracts/common.ts';
import type { Config } from './config.ts';
import { Refused, type Bounds } from './kernel/index.ts';

/** What a city brings of its own, from the folder `city` in its data folder; null where it brings nothing. */
export interface CityFolder {
  readonly info: City;
  readonly folder: string;
  /** Null for a city that has not said where it lies. */
  readonly bounds: Bounds | null;
  readonly purposesYaml: string | null;
  readonly rulesYaml: string | null;
  readonly playbooksYaml: string | null;
  readonly servicesYaml: string | null;
  readonly feedsYaml: string | null;
  /** Texts of `codecs/NAME.js` by name. */
  readonly codecs: ReadonlyMap<string, string>;
  readonly gazetteerNdjson: string | null;
  /** Policy of witnesses (C2SP tlog-policy); null when nobody outside is asked to watch the log. */
  readonly witnessPolicy: Uint8Array | null;
}

export const VERSION = '0.1.0';

const UNNAMED: Omit<City, 'version' | 'demo'> = {
  name: 'Your city',
  motto: 'Put city.json into the data folder to name it',
  center: [0, 0],
  bounds: [-180, -85, 180, 85],
  attribution: '',
  basemap: null,
  time_zone: 'UTC',
  languages: ['en'],
};

const CityFile = City.omit({ version: true, demo: true });

export async function readCityFolder(config: Config): Promise<CityFolder> {
  const folder = join(config.data, 'city');
  const read = async (name: string): Promise<string | null> => (existsSync(join(folder, name)) ? readFile(join(folder, name), 'utf8') : null);
  const cityJson = await read('city.json');
  const parsed = CityFile.safeParse(cityJson === null ? UNNAMED : JSON.parse(cityJson));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new Refused({ code: 'start.config-invalid', detail: `city/city.json is not valid at ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`, field: 'city.json' });
  }
  const [west, south, east, north] = parsed.data.bounds;
  const demo = config.empty ? null : { scenario: config.demo_scenario, speed: config.demo_speed };
  return {
    info: { ...parsed.data, demo, version: VERSION },
    folder,
    bounds: cityJson === null ? null : { west, south, east, north },
    purposesYaml: config.purposes === undefined ? await read('purposes.yaml') : await readFile(config.purposes, 'utf8'),
    rulesYaml: config.rules === undefined ? await read('rules.yaml') : await readFile(config.rules, 'utf8'),
    playbooksYaml: await read('playbooks.yaml'),
    servicesYaml: await read('services.yaml'),
    feedsYaml: await read('feeds.yaml'),
    codecs: await readCodecs(join(folder, 'codecs')),
    gazetteerNdjson: await read('gazetteer.ndjson'),
    witnessPolicy: await readWitnessPolicy(config, folder),
  };
}

async function readWitnessPolicy(config: Config, folder: string): Promise<Uint8Array | null> {
  const path = config.witness_policy ?? join(folder, 'witness-policy.txt');
  return config.witness_policy === undefined && !existsSync(path) ? null : readFile(path);
}

const CODECS_MAX = 500;
const CODEC_CHARS = 262_144;

/** Payload codecs of LoRaWAN devices. Throws `Refused` when there are too many or one is too long. */
async function readCodecs(folder: string): Promise<ReadonlyMap<string, string>> {
  const codecs = new Map<string, string>();
  if (!existsSync(folder)) return codecs;
  const names = (await readdir(folder)).filter((name) => /^[a-z0-9][a-z0-9-]{0,62}\.js$/.test(name)).sort();
  if (names.length > CODECS_MAX) throw new Refused({ code: 'start.config-invalid', detail: `city/codecs holds more than ${CODECS_MAX} files.`, field: 'codecs' });
  for (const name of names) {
    const text = await readFile(join(folder, name), 'utf8');
    if (text.length > CODEC_CHARS) throw new Refused({ code: 'start.config-invalid', detail: `city/codecs/${name} has more than ${CODEC_CHARS} characters.`, field: `codecs/${name}` });
    codecs.set(name.slice(0, -3), text);
  }
  return codecs;
}
