import { describe, expect, it } from 'vitest';
import { chooseLanguage } from './language.ts';

describe('the language of a page', () => {
  it('is the reader’s first wish that we speak, by weight', () => {
    expect(chooseLanguage('it, fr;q=0.6, de-AT;q=0.9')).toBe('de');
  });
  it('is English where no wish fits or none is stated', () => {
    expect([chooseLanguage(''), chooseLanguage('pt, *;q=0.1'), chooseLanguage('de;q=0')]).toEqual(['en', 'en', 'en']);
  });
});
