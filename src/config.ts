import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { Refused } from './kernel/index.ts';

const port = z.coerce.number().int().min(0).max(65_535);
const addresses = z.union([z.array(z.string()), z.string().transform((text) => text.split(',').map((part) => part.trim()).filter((part) => part !== ''))]).pipe(z.array(z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()])).max(100));
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
  witness_policy: z.string().optional().describe('Policy of the witnesses of the transparency log (C2SP tlog-policy); otherwise city/witness-policy.txt in the data folder, if there is one.'),
  second_factor: z.enum(['required', 'optional']).default('required').describe('Whether staff who sign in with a passphrase also need a one-time code; a passkey counts as two factors.'),
  trusted_proxies: addresses.default([]).describe('Addresses and networks of proxies in front of this server, separated by commas; X-Forwarded-For, -Proto and -Host count from these only.'),
  oidc_issuer: z.url({ protocol: /^https?$/ }).refine(isSafeIssuer, 'must be https, or http on this machine').optional().describe('Issuer of the sign-in service of the city (OpenID Connect); its host must be on the egress list of city/feeds.yaml.'),
  oidc_client_id: z.string().min(1).max(255).default('clerestory').describe('Client id at the sign-in service.'),
  oidc_client_secret_file: z.string().optional().describe('File with the client secret; without it keys/oidc-client-secret in the data folder.'),
  oidc_label: z.string().min(1).max(60).default('the city account').describe('What the sign-in page calls the sign-in service.'),
  oidc_allowed_domain: z.string().regex(/^[a-z0-9.-]+$/i, 'must be a domain such as city.example').optional().describe('Whoever has a verified e-mail address of this domain gets an account without any position; without it accounts are made by invitation only.'),
  oidc_positions_claim: z.string().min(1).max(100).default('groups').describe('Claim that oidc_positions reads.'),
  oidc_positions: z.string().max(4_000).optional().describe('Positions by value of that claim, such as "city-operators=operator, city-chiefs=supervisor auditor"; without it claims never give positions.'),
  resident_oidc_issuer: z.url({ protocol: /^https?$/ }).refine(isSafeIssuer, 'must be https, or http on this machine').optional().describe('Issuer of a sign-in service for residents (OpenID Connect), who may then keep a list of their reports; its host must be on the egress list of city/feeds.yaml. Never gives rights of staff.'),
  resident_oidc_client_id: z.string().min(1).max(255).default('clerestory-residents').describe('Client id at the residents’ sign-in service.'),
  resident_oidc_client_secret_file: z.string().optional().describe('File with the client secret; without it keys/resident-oidc-client-secret in the data folder.'),
  resident_oidc_label: z.string().min(1).max(60).default('the residents’ account').describe('What the page /my calls that service.'),
  broker: z.string().optional().describe('Unix socket of a key broker that runs by itself (`clerestory broker`); without it the city starts one as its child.'),
  root_passphrase: z.string().min(12).optional().describe('Passphrase that seals the root key; a file is better, for environments can be read by the same user.'),
  root_passphrase_file: z.string().optional().describe('File with the passphrase that seals the root key.'),
  pkcs11_module: z.string().optional().describe('PKCS#11 module (.so) of the token that wraps the root key.'),
  pkcs11_token: z.string().optional().describe('Label of that token.'),
  pkcs11_key: z.string().default('clerestory').describe('Label of the RSA key pair on it.'),
  pkcs11_pin: z.string().optional().describe('PIN of the token.'),
  pkcs11_pin_file: z.string().optional().describe('File with the PIN of the token.'),
  key_window_days: z.coerce.number().int().min(0).max(365).default(30).describe('Days that copies of the key store and old root keys are kept; an erasure is complete after them.'),
  rules: z.string().optional().describe('Rule documents (YAML) of the city; the demo city brings its own.'),
});
export type Config = Readonly<z.infer<typeof ConfigSchema>>;
type Key = keyof Config;

/** Plain http only where nobody is in between. */
function isSafeIssuer(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === 'https:' || ['localhost', '127.0.0.1', '[::1]'].includes(hostname);
}

const SECRET: ReadonlySet<string> = new Set(['database_url', 'root_passphrase', 'pkcs11_pin']);
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
