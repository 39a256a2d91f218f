import { describe, expect, test } from 'vitest';
import { applyJsonPatch } from './json-patch.ts';

const DOCUMENT = { name: 'Gauge', properties: { a: 1, 'b/c': [1, 2, 3] } };

describe('a JSON Patch (RFC 6902)', () => {
  test.each([
    [[{ op: 'replace', path: '/name', value: 'Other' }], { name: 'Other', properties: { a: 1, 'b/c': [1, 2, 3] } }],
    [[{ op: 'add', path: '/properties/b~1c/1', value: 9 }], { name: 'Gauge', properties: { a: 1, 'b/c': [1, 9, 2, 3] } }],
    [[{ op: 'add', path: '/properties/b~1c/-', value: 9 }], { name: 'Gauge', properties: { a: 1, 'b/c': [1, 2, 3, 9] } }],
    [[{ op: 'remove', path: '/properties/b~1c/0' }], { name: 'Gauge', properties: { a: 1, 'b/c': [2, 3] } }],
    [[{ op: 'move', from: '/properties/a', path: '/properties/z' }], { name: 'Gauge', properties: { 'b/c': [1, 2, 3], z: 1 } }],
    [[{ op: 'copy', from: '/name', path: '/properties/a' }], { name: 'Gauge', properties: { a: 'Gauge', 'b/c': [1, 2, 3] } }],
    [[{ op: 'test', path: '/properties', value: { 'b/c': [1, 2, 3], a: 1 } }, { op: 'remove', path: '/properties/a' }], { name: 'Gauge', properties: { 'b/c': [1, 2, 3] } }],
  ])('%j changes the document', (patch, wanted) => {
    expect(applyJsonPatch(DOCUMENT, patch)).toEqual({ ok: true, value: wanted });
  });

  test.each([
    [{ op: 'replace', path: '/name', value: 1 }],
    [[{ op: 'replace', path: '/missing', value: 1 }]],
    [[{ op: 'test', path: '/name', value: 'Other' }]],
    [[{ op: 'remove', path: '/properties/b~1c/3' }]],
    [[{ op: 'add', path: '/properties/b~1c/7', value: 1 }]],
    [[{ op: 'add', path: '/properties/__proto__', value: { x: 1 } }]],
    [[{ op: 'move', from: '/properties', path: '/properties/a' }]],
    [[{ op: 'jump', path: '/name' }]],
    [[{ op: 'add', path: 'name', value: 1 }]],
    [[{ op: 'add', path: '/a~2', value: 1 }]],
    [[{ op: 'replace', path: '', value: 1 }]],
    [['x']],
  ])('%j is refused as a whole', (patch) => {
    expect(applyJsonPatch(DOCUMENT, patch).ok).toBe(false);
    expect(DOCUMENT).toEqual({ name: 'Gauge', properties: { a: 1, 'b/c': [1, 2, 3] } });
  });
});
