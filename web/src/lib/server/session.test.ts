import { expect, test } from 'vitest';
import { nextPath } from './session.ts';

test.each([
  ['/requests?state=open#top', '/requests?state=open#top'],
  ['/r/abc', '/r/abc'],
  [null, '/console'],
  ['', '/console'],
  ['requests', '/console'],
  ['https://evil.example', '/console'],
  ['//evil.example', '/console'],
  ['/\\evil.example', '/console'],
  // browsers take tabs and line ends out of an address before they read it
  ['/\t/evil.example', '/console'],
  ['/\n/evil.example', '/console'],
  ['/..//evil.example', '/console'],
  ['/a\u0000b', '/a%00b'],
])('after signing in, %j leads to %s', (asked, path) => {
  expect(nextPath(asked)).toBe(path);
});
