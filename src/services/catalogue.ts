import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { Language, Severity } from '../contracts/common.ts';
import type { ServiceQuestion } from '../contracts/request.ts';
import { ok, refuse, type Result } from '../kernel/index.ts';
import { fold } from './field-text.ts';

const Localised = z.partialRecord(Language, z.string().trim().min(1).max(2_000));
const LocalisedList = z.partialRecord(Language, z.array(z.string().trim().min(1).max(60).regex(/^[^,]+$/, 'A keyword has no comma.')).max(30));
export type Localised = z.infer<typeof Localised>;

const ListValue = z.strictObject({ key: z.string().regex(/^[A-Za-z0-9_-]{1,60}$/), name: Localised });

/** One question of a service (GeoReport v2, Service Definition; the datatypes are its six). */
const Attribute = z
  .strictObject({
    code: z.string().regex(/^[A-Za-z][A-Za-z0-9_-]{0,59}$/, 'Begin with a letter; use letters, digits, hyphen and underscore.'),
    variable: z.boolean(),
    datatype: z.enum(['string', 'number', 'datetime', 'text', 'singlevaluelist', 'multivaluelist']),
    required: z.boolean(),
    question: Localised,
    hint: Localised.default({}),
    values: z.array(ListValue).max(200).default([]),
  })
  .refine((attribute) => attribute.datatype.endsWith('list') === attribute.values.length > 0, 'A list needs values, and only a list has them.')
  .refine((attribute) => attribute.variable || !attribute.required, 'An information (variable: false) cannot be required.')
  .refine((attribute) => new Set(attribute.values.map(({ key }) => key)).size === attribute.values.length, 'Two values have the same key.');
export type Attribute = z.infer<typeof Attribute>;

const Service = z.strictObject({
  code: z.string().regex(/^[a-z0-9][a-z0-9-]{0,59}$/, 'Use small letters, digits and hyphens.'),
  /** A service is about a place or a thing; there is no other kind. */
  about: z.enum(['place', 'thing']),
  name: Localised,
  description: Localised,
  keywords: LocalisedList.default({}),
  group: Localised,
  severity: Severity,
  playbook: z.string().max(100).nullable(),
  sla_hours: z.number().int().min(1).max(17_520).nullable(),
  purpose: z.string().regex(/^[a-z][a-z0-9-]{1,62}$/),
  /** `rounded`: the public sees the place to about 100 m and no house number. */
  coordinates: z.enum(['exact', 'rounded']),
  /** False: its requests stand in no public list and answer 404 without the secret link. */
  public: z.boolean().default(true),
  /** With `open311_open_posting`: takes GeoReport POSTs without an api_key. */
  open_posting: z.boolean().default(false),
  /** When residents are told of looks at their report: at once, or with its next step and after 30 days at the latest. */
  looks_told: z.enum(['now', 'after-step']).default('now'),
  attributes: z.array(Attribute).max(50).default([]),
});
export type Service = z.infer<typeof Service>;

const CatalogueDocument = z.strictObject({
  languages: z.array(Language).min(1),
  jurisdiction_id: z.string().max(100).nullable().default(null),
  contact: z.string().max(500),
  key_service: z.string().max(500),
  agency: z.string().max(200),
  open311_open_posting: z.boolean().default(false),
  services: z.array(Service).max(500),
});

export interface Catalogue extends z.infer<typeof CatalogueDocument> {
  readonly defaultLanguage: Language;
  byCode(code: string): Service | undefined;
}

/**
 * Words of a service about persons, in the four languages. This is a tripwire for an honest mistake; what a service may ask is
 * decided by `about` and by the city's review of this file.
 */
const PERSON_WORDS: ReadonlySet<string> = new Set(
  `person persons people neighbour neighbours neighbor neighbors driver drivers suspect suspects beggar beggars begging homeless stranger strangers tenant tenants youths
  migrant migrants refugee refugees plate plates licenceplate licenseplate numberplate surname birthdate passport
  personen nachbar nachbarn nachbarin fahrer fahrerin halter verdächtiger verdächtige bettler bettelei obdachlose obdachloser fremde mieter jugendliche kennzeichen nachname geburtsdatum
  persona personas vecino vecinos vecina conductor conductores sospechoso sospechosos mendigo mendigos inquilino inquilinos matrícula apellido pasaporte
  personne personnes voisin voisins voisine conducteur conducteurs suspecte mendiant mendiants locataire locataires immatriculation passeport`
    .split(/\s+/)
    .map(fold),
);

function personWordIn(...texts: readonly string[]): string | undefined {
  return texts.flatMap((text) => fold(text).split(' ')).find((word) => PERSON_WORDS.has(word));
}

/** Reads services.yaml. The refusal names the path and the cure; a service about persons is refused here (product: what Clerestory refuses). */
export function parseCatalogue(yaml: string): Result<Catalogue> {
  let content: unknown;
  try {
    content = parseYaml(yaml, { maxAliasCount: 50 });
  } catch (error) {
    return refuse('start.config-invalid', `services.yaml is not YAML: ${(error as Error).message.split('\n')[0] ?? ''}`, 'services.yaml');
  }
  const parsed = CatalogueDocument.safeParse(content);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const path = ['services.yaml', ...(issue?.path ?? [])].join('.');
    return refuse('start.config-invalid', `${path}: ${issue?.message ?? 'not valid'}`, path);
  }
  const document = parsed.data;
  const codes = new Map<string, Service>();
  for (const service of document.services) {
    const wrong = faultOf(service, document.languages) ?? (codes.has(service.code) ? 'stands twice.' : undefined);
    if (wrong !== undefined) return refuse('start.config-invalid', `services.yaml: the service ${service.code} ${wrong}`, `services.${service.code}`);
    codes.set(service.code, service);
  }
  const defaultLanguage = document.languages[0] ?? 'en';
  return ok({ ...document, defaultLanguage, byCode: (code) => codes.get(code) });
}

function faultOf(service: Service, languages: readonly Language[]): string | undefined {
  const texts = [service.name, service.description, service.group, ...service.attributes.flatMap(({ question, values }) => [question, ...values.map(({ name }) => name)])];
  const missing = languages.find((language) => texts.some((text) => text[language] === undefined));
  if (missing !== undefined) return `has a text without the language ${missing}.`;
  const attributeCodes = service.attributes.map(({ code }) => code);
  if (new Set(attributeCodes).size !== attributeCodes.length) return 'has two attributes of the same code.';
  const word = personWordIn(service.code, ...Object.values(service.name), ...Object.values(service.group), ...Object.values(service.keywords).flat(), ...attributeCodes);
  if (word !== undefined) return `speaks of persons ("${word}"). A service is about a place or a thing; Clerestory takes no reports about persons.`;
  return undefined;
}

/** A city without services.yaml: an empty catalogue that still answers. */
export const EMPTY_CATALOGUE: Catalogue = { languages: ['en', 'de', 'es', 'fr'], jurisdiction_id: null, contact: '', key_service: '', agency: '', open311_open_posting: false, services: [], defaultLanguage: 'en', byCode: () => undefined };

/** The text in the language asked for, else in any that it has. */
export function inLanguage(text: Localised, language: Language): string {
  return text[language] ?? Object.values(text)[0] ?? '';
}

export function questionOf(attribute: Attribute, language: Language): ServiceQuestion {
  const { code, variable, datatype, required } = attribute;
  return { code, variable, datatype, required, question: inLanguage(attribute.question, language), hint: inLanguage(attribute.hint, language), values: attribute.values.map(({ key, name }) => ({ key, name: inLanguage(name, language) })) };
}
