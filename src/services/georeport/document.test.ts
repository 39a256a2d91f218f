import { XMLParser } from 'fast-xml-parser';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cleanText, fold } from '../field-text.ts';
import { w3cOf, writeDocument } from './document.ts';

const parser = new XMLParser({ parseTagValue: false, trimValues: false, htmlEntities: true });

test('any clean text comes back from XML and from JSON as it was', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.string(), fc.constantFrom('&amp;', '<![CDATA[x]]>', '&#0;', ']]>', '\r\n', '\ud800', '<!-- -->', '<?xml?>')), (raw) => {
      const text = cleanText(raw);
      const tree = { description: text };
      const xml = parser.parse(writeDocument('xml', 'request', tree)) as { request: { description: string } };
      expect(xml.request.description).toBe(text);
      expect(JSON.parse(writeDocument('json', 'request', tree))).toEqual(tree);
    }),
    { numRuns: 2_000 },
  );
});

test('text that was not cleaned still makes a well-formed document', () => {
  expect(writeDocument('xml', 'errors', [{ code: 400, description: 'a\u0000b\u001f\ud800<' }])).toBe('<?xml version="1.0" encoding="utf-8"?>\n<errors><error><code>400</code><description>ab\ufffd&lt;</description></error></errors>');
});

test('lists, empty lists and absent values have the form of the standard', () => {
  const tree = { service_code: 'x', attributes: [{ code: 'A', values: [] }], note: null };
  expect(writeDocument('xml', 'service_definition', tree)).toBe('<?xml version="1.0" encoding="utf-8"?>\n<service_definition><service_code>x</service_code><attributes><attribute><code>A</code><values/></attribute></attributes><note/></service_definition>');
  expect(writeDocument('json', 'services', [])).toBe('[]');
  expect(writeDocument('xml', 'services', [])).toBe('<?xml version="1.0" encoding="utf-8"?>\n<services/>');
});

test('times lose their milliseconds and keep their zone', () => {
  expect(w3cOf(new Date('2026-11-24T06:00:00.999Z'))).toBe('2026-11-24T06:00:00Z');
  expect(w3cOf(null)).toBeNull();
});

test('clean text is clean twice over, and folding ignores case, accents and marks', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (raw) => cleanText(cleanText(raw)) === cleanText(raw)));
  expect(fold('  Straße des 17. JUNI / Ñandú ')).toBe('strasse des 17 juni nandu');
});
