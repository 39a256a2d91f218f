import { readFileSync } from 'node:fs';
import { parse, stringify } from 'yaml';
import { describe, expect, test } from 'vitest';

import { parseCatalogue, questionOf } from './catalogue.ts';

const DEMO = readFileSync(new URL('../../demo/city/services.yaml', import.meta.url), 'utf8');
interface Loose {
  [key: string]: unknown;
  services: (Record<string, unknown> & { name: Record<string, string>; attributes: Record<string, unknown>[] })[];
}
/** The demo's catalogue after a change. */
const changed = (change: (document: Loose) => void): string => {
  const document = parse(DEMO) as Loose;
  change(document);
  return stringify(document);
};
const refusalOf = (yaml: string): string => {
  const parsed = parseCatalogue(yaml);
  return parsed.ok ? '' : `${parsed.refusal.field ?? ''}: ${parsed.refusal.detail}`;
};

test('the demo city offers five services in four languages, with required, optional and information attributes', () => {
  const parsed = parseCatalogue(DEMO);
  if (!parsed.ok) throw new Error(parsed.refusal.detail);
  const catalogue = parsed.value;
  expect(catalogue.services.map(({ code }) => code)).toEqual(['street-light', 'pothole', 'illegal-dumping', 'flooded-street', 'noise']);
  expect(catalogue.languages).toEqual(['en', 'de', 'es', 'fr']);
  const kinds = catalogue.services.flatMap(({ attributes }) => attributes.map(({ datatype, required, variable }) => `${datatype} ${required ? 'required' : variable ? 'optional' : 'information'}`));
  expect(kinds).toEqual(expect.arrayContaining(['singlevaluelist required', 'string optional', 'multivaluelist optional', 'number optional', 'datetime optional', 'string information']));
  const fault = catalogue.byCode('street-light')?.attributes[0];
  expect(fault && questionOf(fault, 'fr')).toMatchObject({ code: 'FAULT', question: 'Quel est le problème du lampadaire ?', values: [{ key: 'out', name: 'Il est éteint' }, {}, {}, {}] });
});

describe('a service about persons is refused at the start', () => {
  test.each([
    ['code', (service: Loose['services'][0]) => void (service['code'] = 'homeless-people'), 'homeless'],
    ['an English name', (service) => void (service.name['en'] = 'Noisy neighbours'), 'neighbours'],
    ['a German name', (service) => void (service.name['de'] = 'Verdächtige Fahrer'), 'verdachtige'],
    ['a Spanish name', (service) => void (service.name['es'] = 'Vecinos ruidosos'), 'vecinos'],
    ['a French keyword', (service) => void (service['keywords'] = { en: [], de: [], es: [], fr: ['mendiants'] }), 'mendiants'],
    ['an attribute for a number plate', (service) => void (service.attributes[0] = { ...service.attributes[0], code: 'licence-plate' }), 'plate'],
    ['an attribute in German', (service) => void (service.attributes[0] = { ...service.attributes[0], code: 'KENNZEICHEN' }), 'kennzeichen'],
  ] as [string, (service: Loose['services'][0]) => void, string][])('by %s', (_by, change, word) => {
    const refused = refusalOf(changed(({ services }) => change(services[0] as Loose['services'][0])));
    expect(refused).toContain(`speaks of persons ("${word}")`);
  });

  test('by what it says it is about', () => {
    expect(refusalOf(changed(({ services }) => void ((services[0] as Loose['services'][0])['about'] = 'person')))).toContain('services.yaml.services.0.about');
  });
});

test('a mistake is refused with its place in the file', () => {
  const first = (change: (service: Loose['services'][0]) => void) => refusalOf(changed(({ services }) => change(services[0] as Loose['services'][0])));
  expect(first((service) => void delete service.name['fr'])).toContain('the service street-light has a text without the language fr');
  expect(first((service) => void (service['colour'] = 'red'))).toContain('services.yaml.services.0');
  expect(first((service) => void (service['severity'] = 'dreadful'))).toContain('services.yaml.services.0.severity');
  expect(first((service) => void (service.attributes[1] = { ...service.attributes[1], code: 'FAULT' }))).toContain('two attributes of the same code');
  expect(first((service) => void (service.attributes[1] = { ...service.attributes[1], datatype: 'singlevaluelist' }))).toContain('A list needs values');
  expect(first((service) => void (service.attributes[1] = { ...service.attributes[1], variable: false, required: true }))).toContain('cannot be required');
  expect(refusalOf(changed(({ services }) => void services.push(services[0] as Loose['services'][0])))).toContain('street-light stands twice');
  expect(refusalOf('services: [')).toContain('services.yaml');
  expect(refusalOf('')).toContain('services.yaml');
});
