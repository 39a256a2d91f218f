import IntlMessageFormat from 'intl-messageformat';
import english from '../../../messages/en.json' with { type: 'json' };

type Values = Readonly<Record<string, string | number | Date>>;
export type Catalogue = Readonly<Record<string, string>>;
/** Formats one message of a catalogue; keys are those of its English file. */
export type Translate<C extends Catalogue> = (key: keyof C & string, values?: Values) => string;

/**
 * ICU messages of one catalogue in one language. Formats are kept, since the room asks for the same ones all day.
 * A missing key of a translation falls back to the English text rather than to a key on the screen.
 */
export function translator<C extends Catalogue>(catalogue: Partial<C>, language: string, fallback: C): Translate<C> {
  const formats = new Map<string, IntlMessageFormat>();
  return (key, values) => {
    let format = formats.get(key);
    if (format === undefined) {
      const text = catalogue[key] ?? fallback[key];
      format = new IntlMessageFormat(text ?? key, language, undefined, { ignoreTag: true });
      formats.set(key, format);
    }
    return String(format.format(values as Record<string, string | number | Date> | undefined));
  };
}

/** The room's messages; the room speaks English. */
export const t: Translate<typeof english> = translator(english, 'en', english);
