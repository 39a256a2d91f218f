import de from '#messages/explore/de.json';
import en from '#messages/explore/en.json';
import es from '#messages/explore/es.json';
import fr from '#messages/explore/fr.json';
import { translator, type Translate } from '#lib/i18n/messages.ts';
import type { PageLanguage } from '#lib/i18n/language.ts';

export const CATALOGUES = { en, de, es, fr } as const;
export type Words = Translate<typeof en>;

const made = new Map<PageLanguage, Words>();

/** The explorer in one of its four languages. */
export function exploreWords(language: PageLanguage): Words {
  let words = made.get(language);
  if (words === undefined) made.set(language, (words = translator(CATALOGUES[language], language, en)));
  return words;
}
