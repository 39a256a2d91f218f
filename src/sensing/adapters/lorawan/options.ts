import { z } from 'zod';
import { UNITS_BY_SYMBOL, type Unit } from '../units.ts';
import type { CodecSource } from './codec.ts';

const DEVICES_MAX = 20_000;
const FIELDS_MAX = 64;
const TERMS_MAX = 64;

const Key = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'Use small letters, digits and hyphens.');

/** One field of a decoded payload, and the series that it becomes. */
export const Field = z
  .strictObject({
    /** Path into the decoded payload, such as `temperature` or `water_depth.value`. */
    field: z.string().regex(/^[^.\s]{1,100}(?:\.[^.\s]{1,100}){0,7}$/, 'Write a path such as temperature or water_depth.value.'),
    /** Key of the observed property, as rules name it. */
    property: Key,
    name: z.string().min(1).max(100),
    /** Address of a definition of the property, if there is one. */
    definition: z.url().max(500).optional(),
    type: z.enum(['number', 'count', 'truth', 'term']).default('number'),
    unit: z.string().max(20).optional().transform((symbol, context): Unit | null => {
      if (symbol === undefined) return null;
      const unit = UNITS_BY_SYMBOL.get(symbol);
      if (unit === undefined) context.addIssue({ code: 'custom', message: `There is no unit ${symbol}; there are ${[...UNITS_BY_SYMBOL.keys()].join(', ')}.` });
      return unit ?? null;
    }),
    min: z.number().optional(),
    max: z.number().optional(),
    /** The words that a field of the type term may have. */
    terms: z.array(z.string().min(1).max(100)).max(TERMS_MAX).optional(),
  })
  .refine(({ type, unit, min, max }) => type !== 'number' || (unit !== null && min !== undefined && max !== undefined && min < max), 'A number needs unit, min and max.')
  .refine(({ type, terms }) => type !== 'term' || (terms !== undefined && terms.length > 0), 'A term needs terms, the words that it may have.');
export type Field = z.infer<typeof Field>;

const Profile = z.strictObject({ codec: Key.optional(), interval_s: z.number().min(1).max(31 * 86_400).optional(), fields: z.array(Field).min(1).max(FIELDS_MAX) });
const Device = z.strictObject({
  dev_eui: z.string('Put the DevEUI into quotes: YAML reads digits alone as a number.').regex(/^[0-9A-Fa-f]{16}$/, 'A DevEUI has 16 hexadecimal digits.').transform((eui) => eui.toUpperCase()),
  profile: Key,
  /** What the place is called; it takes the place of the DevEUI everywhere. */
  key: Key,
  name: z.string().min(1).max(100),
  kind: Key.default('sensor'),
  lon: z.number().min(-180).max(180),
  lat: z.number().min(-90).max(90),
  variables: z.record(z.string().max(100), z.string().max(500)).default({}),
});
export type Device = z.infer<typeof Device>;

export interface LorawanOptions {
  readonly server: 'the-things-stack' | 'chirpstack';
  readonly application?: string | undefined;
  readonly profiles: Readonly<Record<string, z.infer<typeof Profile>>>;
  readonly devices: readonly Device[];
}

/** Options of the adapter; a profile may name one of `codecs` only. */
export function lorawanOptions(codecs: ReadonlyMap<string, CodecSource>): z.ZodType<LorawanOptions> {
  return z
    .strictObject({
      server: z.enum(['the-things-stack', 'chirpstack']),
      /** Id of the application; without it messages of every application come in by MQTT. */
      application: z.string().regex(/^[A-Za-z0-9@_-]{1,100}$/).optional(),
      profiles: z.record(Key, Profile),
      devices: z.array(Device).min(1).max(DEVICES_MAX),
    })
    .superRefine(({ profiles, devices }, context) => {
      for (const [name, { codec }] of Object.entries(profiles)) {
        if (codec !== undefined && !codecs.has(codec)) context.addIssue({ code: 'custom', path: ['profiles', name, 'codec'], message: `There is no file codecs/${codec}.js in the folder of the city.` });
      }
      const euis = new Set<string>();
      const keys = new Set<string>();
      for (const [at, { dev_eui, key, profile }] of devices.entries()) {
        if (!Object.hasOwn(profiles, profile)) context.addIssue({ code: 'custom', path: ['devices', at, 'profile'], message: `There is no profile ${profile}.` });
        if (euis.has(dev_eui)) context.addIssue({ code: 'custom', path: ['devices', at, 'dev_eui'], message: 'This DevEUI stands twice.' });
        if (keys.has(key)) context.addIssue({ code: 'custom', path: ['devices', at, 'key'], message: `The key ${key} stands twice.` });
        euis.add(dev_eui);
        keys.add(key);
      }
    });
}
