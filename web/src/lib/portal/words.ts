import de from '#messages/portal/de.json';
import en from '#messages/portal/en.json';
import es from '#messages/portal/es.json';
import fr from '#messages/portal/fr.json';
import { translator, type Translate } from '#lib/i18n/messages.ts';
import type { PageLanguage } from '#lib/i18n/language.ts';

export const CATALOGUES = { en, de, es, fr } as const;
export type PortalKey = keyof typeof en;

const made = new Map<PageLanguage, Translate<typeof en>>();

/** The residents' pages in one of their four languages. */
export function portalWords(language: PageLanguage): Translate<typeof en> {
  let words = made.get(language);
  if (words === undefined) made.set(language, (words = translator(CATALOGUES[language], language, en)));
  return words;
}

/** Words for a value that comes from the server, such as `outcome_` + `fixed`; the value itself when there are none. */
export function wordFor(language: PageLanguage, prefix: string, value: string): string {
  const key = prefix + value;
  return key in en ? portalWords(language)(key as PortalKey) : value;
}

export function formatTime(iso: string, language: PageLanguage, timeZone: string): string {
  return new Intl.DateTimeFormat(language, { dateStyle: 'long', timeStyle: 'short', timeZone }).format(new Date(iso));
}
