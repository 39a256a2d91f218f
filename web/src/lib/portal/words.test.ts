import { expect, test } from 'vitest';
import { CATALOGUES } from './words.ts';

const placeholders = (text: string): string[] => [...text.matchAll(/\{(\w+)[,}]/g)].map((match) => match[1] ?? '').sort();

test('the four catalogues have the same messages with the same placeholders', () => {
  for (const [language, catalogue] of Object.entries(CATALOGUES)) {
    expect(Object.keys(catalogue), language).toEqual(Object.keys(CATALOGUES.en));
    for (const [key, text] of Object.entries(catalogue)) {
      expect(text.trim(), `${language} ${key}`).not.toBe('');
      expect(placeholders(text), `${language} ${key}`).toEqual(placeholders(CATALOGUES.en[key as keyof typeof CATALOGUES.en]));
    }
  }
});
