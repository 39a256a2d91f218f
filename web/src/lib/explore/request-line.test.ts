import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { explorerLink, lineOfPage } from './links.ts';
import { crumbsOf, curlOf, lineOfLink, lineText, optionOf, readLine, requestPath, withOption, type RequestLine } from './request-line.ts';

const line = (path: string, ...options: [string, string][]): RequestLine => ({ path, options });

describe('a request line', () => {
  it.each([
    ['Things?$top=5', line('/v1.1/Things', ['$top', '5'])],
    ['GET /v2.0/Datastreams(3)', line('/v2.0/Datastreams(3)')],
    ["/v1.1/Things?$filter=name eq 'Salt & Pepper'&$top=1", line('/v1.1/Things', ['$filter', "name eq 'Salt & Pepper'"], ['$top', '1'])],
    ['/v1.1/Things?$filter=name%20eq%20%27a%26b%27', line('/v1.1/Things', ['$filter', "name eq 'a&b'"])],
    ["/v1.1/Things?$filter=name eq '50%'", line('/v1.1/Things', ['$filter', "name eq '50%'"])],
    ['https://city.example/v1.1/Things?$count=true', line('/v1.1/Things', ['$count', 'true'])],
    ['/v1.1/Things(1)/', line('/v1.1/Things(1)')],
  ])('reads %s', (typed, read) => {
    expect(readLine(typed, '/v1.1', 'https://city.example')).toEqual(read);
  });
  it.each(['', '  ', '?$top=1', '/api/people', 'https://elsewhere.example/v1.1/Things', '/v1.1/../api/people', '/v1.1/%2e%2e/api', '/vx/Things', `/v1.1/Things?$filter=${'x'.repeat(9_000)}`])('does not take %s', (typed) => {
    expect(readLine(typed, '/v1.1', 'https://city.example')).toBeNull();
  });

  const texts = fc.string({ unit: 'grapheme', maxLength: 40 }).filter((text) => text === text.trim());
  const lines = fc.record({
    path: fc.constantFrom('/v1.1/Things', '/v2.0/Datastreams(1)/Observations', "/v1.1/Things('a b')", '/v1.1/Things(1)/properties/größe'),
    options: fc.array(fc.tuple(fc.constantFrom('$filter', '$top', '$orderby', '$expand'), texts), { maxLength: 4 }),
  });
  it('is read again as it was written, in the line, in an address and in a link to the explorer', () => {
    fc.assert(
      fc.property(lines, (made) => {
        expect(readLine(lineText(made))).toEqual(made);
        expect(readLine(requestPath(made))).toEqual(made);
        expect(lineOfPage(new URL(`http://city.test${explorerLink(made, { view: 'json' })}`))).toEqual(made);
      }),
      { numRuns: 2_000 },
    );
  });
  it('never makes an address that a browser would change or that leaves its root', () => {
    fc.assert(
      fc.property(lines, (made) => {
        const url = new URL(requestPath(made), 'http://city.test');
        expect(url.origin).toBe('http://city.test');
        expect(url.hash).toBe('');
        expect(decodeURIComponent(url.pathname)).toBe(made.path);
      }),
    );
  });
  it('begins at its first page again when it changes', () => {
    const page = line('/v1.1/Things', ['$top', '5'], ['$skiptoken', 'abc']);
    expect(withOption(page, '$top', '10').options).toEqual([['$top', '10']]);
    expect(withOption(page, '$top', '').options).toEqual([]);
    expect(optionOf(page, '$skiptoken')).toBe('abc');
  });
  it('follows a link of the server by whatever name it stands there', () => {
    expect(lineOfLink("http://127.0.0.1:8080/v1.1/Things?$filter=name%20eq%20'x'&$skiptoken=abc")).toEqual(line('/v1.1/Things', ['$filter', "name eq 'x'"], ['$skiptoken', 'abc']));
    expect(lineOfLink('http://city.example/below/v2.0/Things(1)')).toEqual(line('/v2.0/Things(1)'));
    expect(lineOfLink('http://city.example/elsewhere')).toBeNull();
  });
  it('is a trail from the root to where it leads', () => {
    expect(crumbsOf(line('/v1.1/Things(1)/Datastreams')).map(({ label, line: { path } }) => [label, path])).toEqual([
      ['v1.1', '/v1.1'],
      ['Things(1)', '/v1.1/Things(1)'],
      ['Datastreams', '/v1.1/Things(1)/Datastreams'],
    ]);
  });
  it('as a command keeps its quotes and dollars from the shell', () => {
    expect(curlOf('http://c', line('/v1.1/Things', ['$filter', "name eq 'x'"]))).toBe(`curl 'http://c/v1.1/Things?$filter=name%20eq%20'\\''x'\\'''`);
  });
});
