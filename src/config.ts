import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { Refused } from './kernel/index.ts';

const port = z.coerce.number().int().min(0).max(65_535);
const flag = z.union([z.boolean(), z.enum(['true', 'false', '1', '0', 'yes', 'no'])]).transform((value) => value === true || value === 'true' || value === '1' || value === 'yes');

/**
 * The whole configuration. Environment (`CLERESTORY_` + key in capitals) over `clerestory.yaml` in the working folder
 * (or the file that CLERESTORY_CONFIG names) over these defaults. docs/reference/configuration.md is generated from the descriptions.
 */
export const ConfigSchema = z.strictObject({
  host: z.string().default('127.0.0.1').describe('Address to listen on; loopback unless set.'),
  port: port.default(8080).describe('HTTP port.'),
  mqtt_port: port.default(1883).describe('MQTT port, on the same address.'),
  data: z.string().default('./data').describe('Folder of the database, the log and the keys.'),
  public_url: z.url().optional().describe('Address under which others reach this server, for links in answers.'),
  database_url: z.string().optional().describe('PostgreSQL of the city, version 15 or later; without it the embedded one runs.'),
  role: z.enum(['city', 'ingest']).default('city').describe('city runs everything; ingest is one more process that takes readings for a city that runs, on the same database.'),
  log_level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('warn').describe('Least level that is logged.'),
  empty: flag.default(false).describe('Start a city without the demo.'),
  demo_speed: z.coerce.number().min(0.1).max(600).default(1).describe('Speed of the demo city; 60 means a minute a second.'),
  demo_scenario: z.enum(['ordinary-day', 'storm-day']).default('storm-day').describe('What happens in the demo city.'),
  seal_after_days: z.coerce.number().int().min(0).max(36_500).default(35).describe('Age in days at which readings are packed without loss and their hash goes into the log; 0 for never.'),
  purposes: z.string().optional().describe('Register of purposes (YAML) of the city; the demo city brings its own.'),
  rules: z.string().optional().describe('Rule documents (YAML) of the city; the demo city brings its own.'),
});
export type Config = Readonly<z.infer<typeof ConfigSchema>>;
type Key = keyof Config;

const SECRET: ReadonlySet<string> = new Set(['database_url']);
const PREFIX = 'CLERESTORY_';
const OUTSIDE_THE_SCHEMA: ReadonlySet<string> = new Set(['CLERESTORY_CONFIG', 'CLERESTORY_STARTED_MS']);

export interface LoadedConfig {
  readonly config: Config;
  readonly origins: Readonly<Record<string, 'environment' | 'file' | 'default'>>;
}

/** Reads and checks the configuration. Throws `Refused` with `start.config-invalid` naming the key and the origin. */
export function loadConfig(env: Readonly<Record<string, string | undefined>>, overrides: Partial<Record<Key, unknown>> = {}): LoadedConfig {
  const file = env['CLERESTORY_CONFIG'] ?? 'clerestory.yaml';
  const fromFile = existsSync(file) ? readFile(file) : {};
  const fromEnv: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith(PREFIX) || OUTSIDE_THE_SCHEMA.has(name) || value === undefined || value === '') continue;
    fromEnv[name.slice(PREFIX.length).toLowerCase()] = value;
  }
  Object.assign(fromEnv, overrides);
  const parsed = ConfigSchema.safeParse({ ...fromFile, ...fromEnv });
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const key = issue?.code === 'unrecognized_keys' ? (issue.keys[0] ?? '') : String(issue?.path[0] ?? '');
    const origin = key in fromEnv ? `environment variable ${PREFIX}${key.toUpperCase()}` : `key ${key} in ${file}`;
    const known = Object.keys(ConfigSchema.shape).join(', ');
    throw new Refused({ code: 'start.config-invalid', detail: issue?.code === 'unrecognized_keys' ? `${origin} is not known. Known keys: ${known}.` : `${origin}: ${issue?.message ?? 'not valid'}.`, field: key });
  }
  const config = Object.freeze({ ...parsed.data, data: resolve(parsed.data.data) });
  const origins = Object.fromEntries(Object.keys(ConfigSchema.shape).map((key) => [key, key in fromEnv ? 'environment' : key in fromFile ? 'file' : 'default'] as const));
  return { config, origins };
}

function readFile(file: string): Record<string, unknown> {
  const content: unknown = parseYaml(readFileSync(file, 'utf8')) ?? {};
  if (typeof content !== 'object' || Array.isArray(content)) throw new Refused({ code: 'start.config-invalid', detail: `${file} must be a map of keys to values.`, field: file });
  return content as Record<string, unknown>;
}

/** `key = value  # origin`, secrets masked. */
export function printConfig({ config, origins }: LoadedConfig): string {
  return Object.keys(ConfigSchema.shape)
    .map((key) => {
      const value = config[key as Key];
      const shown = value === undefined ? '(not set)' : SECRET.has(key) ? '********' : JSON.stringify(value);
      return `${key} = ${shown}  # ${origins[key] ?? 'default'}`;
    })
    .join('\n');
}
