export const LANGUAGES = ['en', 'de', 'es', 'fr'] as const;
export type PageLanguage = (typeof LANGUAGES)[number];
export const LANGUAGE_COOKIE = 'language';

export const isLanguage = (value: string): value is PageLanguage => (LANGUAGES as readonly string[]).includes(value);

/** First of our languages in an Accept-Language header by its weights (RFC 9110 §12.5.4); English when none fits. */
export function chooseLanguage(header: string): PageLanguage {
  const wishes = header
    .slice(0, 500)
    .split(',')
    .map((part) => {
      const [tag = '', ...parameters] = part.trim().toLowerCase().split(';');
      const q = parameters.map((parameter) => /^\s*q=([\d.]+)/.exec(parameter)?.[1]).find((value) => value !== undefined);
      return { language: tag.split('-')[0] ?? '', weight: q === undefined ? 1 : Number(q) };
    })
    .filter(({ weight }) => weight > 0)
    .sort((a, b) => b.weight - a.weight);
  for (const { language } of wishes) if (isLanguage(language)) return language;
  return 'en';
}
