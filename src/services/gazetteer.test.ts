import fc from 'fast-check';
import { expect, test } from 'vitest';
import { distanceM } from '../kernel/index.ts';
import { fold } from './field-text.ts';
import { loadGazetteer } from './gazetteer.ts';

const line = (entry: Record<string, unknown>): string => JSON.stringify(entry);
const CITY = [
  line({ label: 'Avenida 18 de Julio', kind: 'street', lon: -56.19, lat: -34.905 }),
  line({ label: 'Avenida 18 de Julio 1200', kind: 'address', street: 'Avenida 18 de Julio', number: '1200', lon: -56.19, lat: -34.905 }),
  line({ label: 'Avenida 18 de Julio 1300', kind: 'address', street: 'Avenida 18 de Julio', number: 1300, lon: -56.18, lat: -34.905 }),
  line({ label: 'Avenida 18 de Julio 1241', kind: 'address', street: 'Avenida 18 de Julio', number: 1241, lon: -56.186, lat: -34.9051 }),
  line({ label: 'Straße des 17. Juni 100', kind: 'address', lon: -56.17, lat: -34.9 }),
  line({ label: 'Calle 26', kind: 'street', lon: -56.16, lat: -34.91 }),
  line({ label: 'Plaza Cagancha', kind: 'place', lon: -56.1899, lat: -34.9051, names: { en: 'Liberty Square' } }),
  line({ label: 'Calle 26 / Avenida 18 de Julio', kind: 'junction', lon: -56.1805, lat: -34.905 }),
  '',
];

test('a street and its number are found without accents and in any case', async () => {
  const gazetteer = await loadGazetteer(CITY);
  expect(gazetteer.size).toBe(8);
  expect(gazetteer.search('18 DE JULIO 1300', 5)[0]).toMatchObject({ label: 'Avenida 18 de Julio 1300', kind: 'address', point: [-56.18, -34.905] });
  expect(gazetteer.search('strasse des 17 juni 100', 5)[0]?.label).toBe('Straße des 17. Juni 100');
  expect(gazetteer.search('1300 avenida 18 de julio', 5)[0]?.label).toBe('Avenida 18 de Julio 1300');
});

test('a number that is missing lies between its neighbours of the same side, and the label says so', async () => {
  const gazetteer = await loadGazetteer(CITY);
  const [hit] = gazetteer.search('18 de Julio 1250', 5);
  expect(hit?.label).toBe('Avenida 18 de Julio 1250 (≈ 1200–1300)');
  expect(hit?.point[0]).toBeCloseTo(-56.185, 9);
  expect(hit?.id).toBeNull();
  expect(gazetteer.search('18 de Julio 9999', 5).map(({ label }) => label)).not.toContain('Avenida 18 de Julio 9999');
});

test('a number that belongs to the name of a street does not hide the street', async () => {
  const gazetteer = await loadGazetteer(CITY);
  expect(gazetteer.search('calle 26', 5)[0]?.label).toBe('Calle 26');
  expect(gazetteer.search('18 de julio', 5)[0]?.label).toBe('Avenida 18 de Julio 1200'.slice(0, 19));
});

test('the beginning of a word and a second name are enough', async () => {
  const gazetteer = await loadGazetteer(CITY);
  expect(gazetteer.search('caganc', 5)[0]?.label).toBe('Plaza Cagancha');
  expect(gazetteer.search('liberty sq', 5)[0]?.label).toBe('Plaza Cagancha');
  expect(gazetteer.search('', 5)).toEqual([]);
  expect(gazetteer.search('nowhere at all', 5)).toEqual([]);
});

test('a number beyond the street gives the street, a corner is found in words, and usual abbreviations are understood', async () => {
  const gazetteer = await loadGazetteer(CITY);
  expect(gazetteer.search('18 de Julio 9999', 5)[0]).toMatchObject({ label: 'Avenida 18 de Julio', kind: 'street' });
  expect(gazetteer.search('calle 26 esquina 18 de julio', 5)[0]).toMatchObject({ kind: 'junction' });
  expect(gazetteer.search('avda 18 de julio 1300', 5)[0]).toMatchObject({ label: 'Avenida 18 de Julio 1300' });
  expect(gazetteer.byId('avenida-18-de-julio-1300')).toMatchObject({ label: 'Avenida 18 de Julio 1300' });
  expect(gazetteer.byId('avenida-18-de-julio-1301')).toBeUndefined();
});

test('nearest gives the neighbours in order and nothing beyond the distance', async () => {
  const gazetteer = await loadGazetteer(CITY);
  const near = gazetteer.nearest([-56.1899, -34.9051], 10, 100);
  expect(near.map(({ distance_m }) => distance_m)).toEqual(near.map(({ distance_m }) => distance_m).sort((a, b) => a - b));
  expect(near[0]?.label).toBe('Plaza Cagancha');
  expect(near.every(({ distance_m }) => distance_m <= 100)).toBe(true);
});

test('nearest agrees with a plain scan of all entries', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fc.double({ min: -0.01, max: 0.01, noNaN: true }), fc.double({ min: -0.01, max: 0.01, noNaN: true })), { maxLength: 60 }), fc.integer({ min: 10, max: 900 }), fc.constantFrom(0, 52, -34.9, 69.6), async (offsets, within_m, lat) => {
      const places = offsets.map(([dx, dy], n) => ({ label: `P${n}`, kind: 'place', lon: 10 + dx, lat: lat + dy }));
      const gazetteer = await loadGazetteer(places.map(line));
      const expected = places.map((place) => distanceM([10, lat], [place.lon, place.lat])).filter((m) => m <= within_m).sort((a, b) => a - b);
      expect(gazetteer.nearest([10, lat], 100, within_m).map(({ distance_m }) => distance_m)).toEqual(expected);
    }),
    { numRuns: 100 },
  );
});

test('every entry is found by its own label and by its id', async () => {
  const word = fc.stringMatching(/^[a-zäéñß]{1,8}$/);
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(fc.array(word, { minLength: 1, maxLength: 4 }).map((words) => words.join(' ')), { minLength: 1, maxLength: 30, selector: fold }), async (labels) => {
      const gazetteer = await loadGazetteer(labels.map((label, n) => line({ label, kind: 'place', lon: n / 100, lat: 0 })));
      for (const label of labels) {
        expect(gazetteer.search(label.toUpperCase(), 1)[0]?.label).toBe(label);
        expect(gazetteer.byId(fold(label).replaceAll(' ', '-'))?.label).toBe(label);
      }
    }),
    { numRuns: 60 },
  );
});

test('a wrong line refuses the start and names its number', async () => {
  await expect(loadGazetteer(['{"label":"A","kind":"street","lon":0,"lat":0}', '{"label":"B","kind":"river","lon":0,"lat":0}'])).rejects.toThrow('line 2');
  await expect(loadGazetteer(['nonsense'])).rejects.toThrow('line 1 is not JSON');
});
