import de from '../../../messages/front/de.json' with { type: 'json' };
import en from '../../../messages/front/en.json' with { type: 'json' };
import es from '../../../messages/front/es.json' with { type: 'json' };
import fr from '../../../messages/front/fr.json' with { type: 'json' };
import type { PageLanguage } from './language.ts';
import { translator, type Translate } from './messages.ts';

const CATALOGUES: Readonly<Record<PageLanguage, Partial<typeof en>>> = { en, de, es, fr };

/** Messages of the front door in the reader's language. */
export const frontMessages = (language: PageLanguage): Translate<typeof en> => translator(CATALOGUES[language], language, en);
