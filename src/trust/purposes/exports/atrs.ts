import type { Purpose } from '../../../contracts/trust.ts';
import type { AlgorithmCard } from '../parts.ts';

const STANDARD = 'Algorithmic Transparency Recording Standard';
const VERSION = '3.0';
const NONE = 'None.';

/** One record: the sections of the template of version 3.0, tier 1 and tier 2. */
export interface AtrsRecord {
  readonly metadata: { readonly standard: string; readonly standard_version: string; readonly title: string; readonly identifier: string };
  readonly tier_1: { readonly name: string; readonly description: string; readonly website_url: string; readonly contact_email: string };
  readonly tier_2: {
    readonly owner_and_responsibility: Readonly<Record<'organisation' | 'team' | 'senior_responsible_owner' | 'third_party_involvement' | 'supplier', string>>;
    readonly description_and_rationale: Readonly<Record<'detailed_description' | 'scope' | 'benefit' | 'alternatives_considered', string>>;
    readonly deployment_context: Readonly<Record<'integration' | 'human_review' | 'frequency_and_scale' | 'appeals_and_review', string>>;
    readonly tool_specification: Readonly<Record<'system_architecture' | 'phase' | 'model' | 'data_description' | 'personal_data' | 'data_storage', string>>;
    readonly risks_and_impact_assessments: Readonly<Record<'impact_assessments' | 'risks' | 'mitigations', string>>;
  };
}

/** Every algorithm of the city: the rules that run, and purposes that say they use another one. `base` is the address of the register's page. */
export function toAtrs(purposes: readonly Purpose[], algorithms: readonly AlgorithmCard[], options: { base: string; city: string; live: (id: string) => boolean }): { readonly standard: string; readonly version: string; readonly records: readonly AtrsRecord[] } {
  const byId = new Map(purposes.map((purpose) => [purpose.id, purpose]));
  const rules = algorithms.flatMap((card) => {
    const purpose = byId.get(card.purpose);
    return purpose === undefined ? [] : [ofRule(card, purpose, options)];
  });
  const withRules = new Set(algorithms.map(({ purpose }) => purpose));
  const others = purposes.filter(({ algorithm, id }) => algorithm && !withRules.has(id)).map((purpose) => ofPurpose(purpose, options));
  return { standard: STANDARD, version: VERSION, records: [...rules, ...others] };
}

interface Options {
  readonly base: string;
  readonly city: string;
  readonly live: (id: string) => boolean;
}

function ofRule(card: AlgorithmCard, purpose: Purpose, options: Options): AtrsRecord {
  const record = ofPurpose(purpose, options);
  const { tier_2: two } = record;
  return {
    metadata: { ...record.metadata, title: card.title, identifier: `rule:${card.id}` },
    tier_1: { ...record.tier_1, name: card.title, description: card.why },
    tier_2: {
      ...two,
      owner_and_responsibility: { ...two.owner_and_responsibility, senior_responsible_owner: card.owner },
      description_and_rationale: { ...two.description_and_rationale, detailed_description: card.sentence, benefit: card.why, alternatives_considered: 'A learned model was not used: the condition is written down and can be read.' },
      deployment_context: {
        integration: 'A warning appears in the queue of the control room with the readings that led to it.',
        human_review: 'A person decides what is done; the rule acts on nothing by itself.',
        frequency_and_scale: 'It is evaluated with every reading of the places that it watches.',
        appeals_and_review: 'The rule concerns places, not persons. Changes of rules are kept as versions.',
      },
      tool_specification: { ...two.tool_specification, system_architecture: 'A condition in CEL over windows of readings, evaluated by Clerestory.', model: card.document, phase: options.live(purpose.id) ? 'Production' : 'Retired' },
    },
  };
}

function ofPurpose(purpose: Purpose, { base, city, live }: Options): AtrsRecord {
  return {
    metadata: { standard: STANDARD, standard_version: VERSION, title: purpose.title, identifier: `purpose:${purpose.id}` },
    tier_1: { name: purpose.title, description: purpose.description, website_url: purpose.algorithm_link ?? `${base}/${purpose.id}`, contact_email: purpose.contact },
    tier_2: {
      owner_and_responsibility: { organisation: purpose.controller || city, team: purpose.owner, senior_responsible_owner: purpose.owner, third_party_involvement: purpose.supplier === '' ? 'No' : 'Yes', supplier: purpose.supplier || NONE },
      description_and_rationale: { detailed_description: purpose.description, scope: purpose.observes.join(', ') || purpose.data_categories.join(', ') || NONE, benefit: purpose.description, alternatives_considered: '' },
      deployment_context: { integration: '', human_review: '', frequency_and_scale: '', appeals_and_review: '' },
      tool_specification: { system_architecture: purpose.technology, phase: live(purpose.id) ? 'Production' : 'Retired', model: '', data_description: purpose.observes.join(', ') || purpose.data_categories.join(', '), personal_data: purpose.personal_data ? 'Yes' : 'No', data_storage: `Kept for ${String(purpose.retention_days)} days.` },
      risks_and_impact_assessments: { impact_assessments: purpose.dpia ?? NONE, risks: '', mitigations: purpose.security_measures.join('; ') },
    },
  };
}
