import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Refused } from '../../kernel/index.ts';
import { XML_LIMITS, childAt, findElement, readXml, textAt } from './xml.ts';

const read = (text: string | Buffer, limits = XML_LIMITS): ReturnType<typeof readXml> => readXml(Buffer.from(text), limits);
const refusalOf = (text: string | Buffer, limits = XML_LIMITS): string => {
  try {
    read(text, limits);
    return 'taken';
  } catch (error) {
    if (error instanceof Refused) return `${error.refusals[0].code} ${error.refusals[0].field ?? ''}`;
    throw error;
  }
};

describe('a document', () => {
  it('becomes elements with local names, namespaces, attributes, text and lines', () => {
    const root = read('<?xml version="1.0"?>\n<a:x xmlns:a="urn:a" xmlns="urn:b" xmlns:xsi="urn:i"\n xsi:type="T">\n <y k="1"> 1 &lt; <![CDATA[2&]]> </y><a:z/></a:x>');
    expect([root.name, root.namespace, root.attributes]).toEqual(['x', 'urn:a', { type: 'T' }]);
    expect(root.children.map(({ name, namespace, line }) => [name, namespace, line])).toEqual([['y', 'urn:b', 4], ['z', 'urn:a', 4]]);
    expect(textAt(root, 'y')).toBe('1 < 2&');
    expect(textAt(root, 'z')).toBeNull();
    expect(childAt(root, 'y', 'nothing')).toBeUndefined();
    expect(findElement(read('<r><q><w>1</w></q><w>2</w></r>'), 'w')?.text).toBe('1');
  });

  it('is decoded as its mark or declaration says', () => {
    expect(read(Buffer.from('<?xml version="1.0" encoding="ISO-8859-1"?><a>Münster</a>', 'latin1')).text).toBe('Münster');
    expect(read(Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from('<a>Münster</a>', 'utf16le')])).text).toBe('Münster');
    expect(read('\ufeff<a>Münster</a>').text).toBe('Münster');
    expect(refusalOf(Buffer.from('<a>Münster</a>', 'latin1'))).toBe('feed.document-invalid line 1');
    expect(refusalOf('<?xml version="1.0" encoding="EBCDIC"?><a/>')).toBe('feed.document-invalid line 1');
  });

  it.each([
    ['a billion laughs', '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;">]><a>&y;</a>'],
    ['an external entity', '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'],
    ['an external document type', '<!DOCTYPE a SYSTEM "http://evil.test/a.dtd"><a/>'],
    ['an entity of nobody', '<a>&nbsp;</a>'],
    ['an unbound prefix', '<a><b:c/></a>'],
    ['a tag left open', '<a>\n<b></a>'],
    ['two roots', '<a/><b/>'],
    ['nothing', ''],
    ['JSON', '{"a":1}'],
  ])('with %s is refused', (_, text) => {
    expect(refusalOf(text)).toMatch(/^feed\.document-invalid line \d+/);
  });

  it('beyond a limit is refused', () => {
    const limits = { bytes: 10_000, depth: 5, elements: 20, text_chars: 100, attributes: 3 };
    expect(refusalOf(`<a>${'<b/>'.repeat(19)}</a>`, limits)).toBe('taken');
    expect(refusalOf(`<a>${'<b/>'.repeat(20)}</a>`, limits)).toMatch(/^feed\.document-too-large/);
    expect(refusalOf(`${'<a>'.repeat(6)}`, limits)).toMatch(/^feed\.document-too-large/);
    expect(refusalOf(`<a>${'x'.repeat(101)}</a>`, limits)).toMatch(/^feed\.document-too-large/);
    expect(refusalOf(`<a>${'x<!-- -->'.repeat(101)}</a>`, limits)).toMatch(/^feed\.document-too-large/);
    expect(refusalOf('<a b="" c="" d="" e=""/>', limits)).toMatch(/^feed\.document-too-large/);
    expect(refusalOf(' '.repeat(10_001), limits)).toMatch(/^feed\.document-too-large/);
  });

  it('of any bytes is read or Refused', () => {
    const valid = Buffer.from('<?xml version="1.0" encoding="utf-8"?><a xmlns:p="urn:p" p:k="v&amp;"><!-- c --><b>t<![CDATA[d]]></b><p:c/></a>');
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void refusalOf(Buffer.from(bytes))), { numRuns: 1_000 });
    fc.assert(fc.property(fc.string({ unit: fc.constantFrom('<', '>', '/', 'a', '"', '=', '&', ';', '!', '[', ']', '?', ' ', 'x:y'), maxLength: 60 }), (text) => void refusalOf(text)), { numRuns: 3_000 });
    fc.assert(
      fc.property(fc.nat(valid.length - 1), fc.nat(255), fc.nat(valid.length), (place, byte, end) => {
        const broken = Buffer.from(valid);
        broken[place] = byte;
        refusalOf(broken);
        refusalOf(broken.subarray(0, end));
      }),
      { numRuns: 2_000 },
    );
  });
});
