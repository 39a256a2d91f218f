import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import IntlMessageFormat from 'intl-messageformat';
import { describe, expect, it } from 'vitest';
import english from '../../../messages/en.json' with { type: 'json' };
import de from '../../../messages/front/de.json' with { type: 'json' };
import front from '../../../messages/front/en.json' with { type: 'json' };
import es from '../../../messages/front/es.json' with { type: 'json' };
import fr from '../../../messages/front/fr.json' with { type: 'json' };
import { translator } from './messages.ts';

const placeholders = (text: string): string[] => [...text.matchAll(/\{(\w+)/g)].map(([, name = '']) => name).sort();
const source = fileURLToPath(new URL('../../', import.meta.url));
const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((name) => /\.(svelte|ts)$/.test(name) && !name.endsWith('.test.ts'));
const code = files.map((name) => readFileSync(join(source, name), 'utf8')).join('\n');

describe('the catalogues', () => {
  it('hold only messages that can be read', () => {
    for (const text of [...Object.values(english), ...Object.values(front)]) expect(() => new IntlMessageFormat(text, 'en', undefined, { ignoreTag: true })).not.toThrow();
  });

  it.each([
    ['German', de],
    ['Spanish', es],
    ['French', fr],
  ])('have the same keys and placeholders in %s as in English at the front door', (_name, catalogue: Record<string, string>) => {
    expect(Object.keys(catalogue).sort()).toEqual(Object.keys(front).sort());
    for (const [key, text] of Object.entries(front)) expect([key, placeholders(catalogue[key] ?? '')]).toEqual([key, placeholders(text)]);
  });

  it('hold no message of the room that no page uses', () => {
    // keys made of a prefix and a state, such as severity_minor
    const made = [...code.matchAll(/t\(`(\w+_)\$\{/g)].map(([, prefix = '']) => prefix);
    const unused = Object.keys(english).filter((key) => !code.includes(`'${key}'`) && !made.some((prefix) => key.startsWith(prefix)));
    expect(unused).toEqual([]);
  });
});

describe('a missing translation', () => {
  it('shows the English text instead of a key', () => {
    const t = translator<{ a: string }>({}, 'de', { a: 'One {n}' });
    expect(t('a', { n: 2 })).toBe('One 2');
  });
});
