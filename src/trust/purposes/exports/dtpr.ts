import type { Purpose } from '../../../contracts/trust.ts';

/** Categories of the Digital Trust for Places and Routines standard, in the order of a sign. */
export const DTPR_CATEGORIES = ['accountable', 'purpose', 'technology', 'data', 'processing', 'access', 'storage', 'retention', 'rights', 'risks'] as const;

export interface Sign {
  readonly id: string;
  readonly title: string;
  readonly text: string;
  readonly chain: readonly { readonly category: (typeof DTPR_CATEGORIES)[number]; readonly text: string }[];
}

/** What a sign beside the sensors of each live purpose says. */
export function toSigns(purposes: readonly Purpose[], options: { city: string; live: (id: string) => boolean; base: string }): { readonly signs: readonly Sign[] } {
  return { signs: purposes.filter(({ id }) => options.live(id)).map((purpose) => toSign(purpose, options)) };
}

function toSign(purpose: Purpose, { city, base }: { city: string; base: string }): Sign {
  const texts: Readonly<Record<(typeof DTPR_CATEGORIES)[number], string>> = {
    accountable: `${purpose.owner}, ${purpose.controller || city}`,
    purpose: purpose.description,
    technology: purpose.technology || 'Sensors at fixed places',
    data: purpose.data_categories.join(', ') || purpose.observes.join(', ') || 'None',
    processing: purpose.algorithm ? 'Published rules and people' : 'People',
    access: purpose.recipients.join(', ') || 'Open to everybody when it is not personal',
    storage: 'On servers of the city',
    retention: `${String(purpose.retention_days)} days`,
    rights: purpose.personal_data ? 'Access, correction, erasure and objection' : 'Ask what is collected and why',
    risks: purpose.dpia ?? (purpose.personal_data ? 'See the register' : 'No personal data'),
  };
  return { id: purpose.id, title: purpose.title, text: purpose.street_sign || `${purpose.title}. ${base}/${purpose.id}`, chain: DTPR_CATEGORIES.map((category) => ({ category, text: texts[category] })) };
}
