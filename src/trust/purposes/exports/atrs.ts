import type { Purpose } from '../../../contracts/trust.ts';
import type { AlgorithmCard } from '../parts.ts';
import { hasEnded } from '../register.ts';

const STANDARD = 'Algorithmic Transparency Recording Standard';
const VERSION = '3.0';
const NONE = 'None.';
type Texts<Names extends string> = Readonly<Record<Names, string>>;

/** One record, by the attributes of the published table of version 3.0 (March 2024) in its order; `identifier` is the city's own, for the table's number is given at publication. */
export interface AtrsRecord {
  readonly metadata: Texts<'identifier' | 'standard_version' | 'organisation_type' | 'function' | 'capability' | 'task' | 'tags' | 'date_of_completion' | 'date_updated' | 'date_archived' | 'title' | 'organisation_name' | 'phase' | 'region' | 'one_sentence_description'>;
  readonly tier_1: Texts<'name' | 'description' | 'website_url' | 'contact_email'>;
  readonly tier_2: {
    readonly owner_and_responsibility: Texts<'organisation_or_department' | 'team' | 'senior_responsible_owner' | 'external_supplier_involvement' | 'external_supplier' | 'companies_house_number' | 'external_supplier_role' | 'procurement_procedure_type' | 'data_access_terms'>;
    readonly description_and_rationale: Texts<'detailed_description' | 'scope' | 'benefit' | 'previous_process' | 'alternatives_considered'>;
    readonly decision_making_process: Texts<'process_integration' | 'provided_information' | 'frequency_and_scale_of_usage' | 'human_decisions_and_review' | 'required_training' | 'appeals_and_review'>;
    readonly tool_specification: Texts<'system_architecture' | 'phase' | 'maintenance' | 'models'>;
    readonly model_specification: Texts<'model_name' | 'model_version' | 'model_task' | 'model_input' | 'model_output' | 'model_architecture' | 'model_performance' | 'datasets' | 'dataset_purposes'>;
    readonly data_specification: Texts<'source_data_name' | 'data_modality' | 'data_description' | 'data_quantities' | 'sensitive_attributes' | 'data_completeness_and_representativeness' | 'source_data_url' | 'data_collection' | 'data_cleaning' | 'data_sharing_agreements' | 'data_access_and_storage'>;
    readonly risks_mitigations_and_impact_assessments: Texts<'impact_assessment' | 'risks_and_mitigations'>;
  };
}

interface Options {
  /** Address of the register's page. */
  readonly base: string;
  readonly city: string;
  /** When the register came into force as it is. */
  readonly since: Date;
  readonly nowMs: number;
  readonly live: (id: string) => boolean;
}

/** Every algorithm of the city: the rules that run, and purposes that say they use another one. */
export function toAtrs(purposes: readonly Purpose[], algorithms: readonly AlgorithmCard[], options: Options): { readonly standard: string; readonly version: string; readonly records: readonly AtrsRecord[] } {
  const byId = new Map(purposes.map((purpose) => [purpose.id, purpose]));
  const rules = algorithms.flatMap((card) => {
    const purpose = byId.get(card.purpose);
    return purpose === undefined ? [] : [ofRule(card, purpose, options)];
  });
  const withRules = new Set(algorithms.map(({ purpose }) => purpose));
  const others = purposes.filter(({ algorithm, id }) => algorithm && !withRules.has(id)).map((purpose) => ofPurpose(purpose, options));
  return { standard: STANDARD, version: VERSION, records: [...rules, ...others] };
}

function ofRule(card: AlgorithmCard, purpose: Purpose, options: Options): AtrsRecord {
  const record = ofPurpose(purpose, options);
  const { tier_2: two } = record;
  return {
    metadata: { ...record.metadata, title: card.title, identifier: `rule:${card.id}`, one_sentence_description: card.sentence },
    tier_1: { ...record.tier_1, name: card.title, description: `${card.why} ${card.sentence}` },
    tier_2: {
      ...two,
      owner_and_responsibility: { ...two.owner_and_responsibility, senior_responsible_owner: card.owner },
      description_and_rationale: { ...two.description_and_rationale, detailed_description: card.sentence, benefit: card.why, alternatives_considered: 'A learned model was not used: the condition is written down and can be read.' },
      decision_making_process: {
        ...two.decision_making_process,
        process_integration: 'A warning appears in the queue of the control room.',
        provided_information: 'The condition in words and the readings that led to it.',
        frequency_and_scale_of_usage: 'It is evaluated with every reading of the places that it watches.',
        human_decisions_and_review: 'A person decides what is done; the rule acts on nothing by itself.',
        appeals_and_review: 'The rule concerns places, not persons. Changes of rules are kept as versions.',
      },
      tool_specification: { ...two.tool_specification, system_architecture: 'A condition in CEL over windows of readings, evaluated by Clerestory.', models: card.title },
      model_specification: { ...two.model_specification, model_name: card.id, model_task: card.sentence, model_input: two.data_specification.data_description, model_output: 'Whether the condition holds, is about to hold or cannot be told.', model_architecture: card.document, datasets: NONE, dataset_purposes: NONE },
    },
  };
}

function ofPurpose(purpose: Purpose, { base, city, since, nowMs, live }: Options): AtrsRecord {
  const organisation = purpose.controller || city;
  const phase = live(purpose.id) ? 'Production' : hasEnded(purpose, nowMs) ? 'Retired' : 'Pre-deployment';
  const data = purpose.observes.join(', ') || purpose.data_categories.join(', ');
  return {
    metadata: { identifier: `purpose:${purpose.id}`, standard_version: VERSION, organisation_type: 'Local government', function: '', capability: '', task: '', tags: '', date_of_completion: '', date_updated: since.toISOString().slice(0, 10), date_archived: '', title: purpose.title, organisation_name: organisation, phase, region: city, one_sentence_description: purpose.description },
    tier_1: { name: purpose.title, description: purpose.description, website_url: purpose.algorithm_link ?? `${base}/${purpose.id}`, contact_email: purpose.contact },
    tier_2: {
      owner_and_responsibility: { organisation_or_department: organisation, team: purpose.owner, senior_responsible_owner: purpose.owner, external_supplier_involvement: purpose.supplier === '' ? 'No' : 'Yes', external_supplier: purpose.supplier || NONE, companies_house_number: '', external_supplier_role: '', procurement_procedure_type: '', data_access_terms: '' },
      description_and_rationale: { detailed_description: purpose.description, scope: data || NONE, benefit: purpose.description, previous_process: '', alternatives_considered: '' },
      decision_making_process: { process_integration: '', provided_information: '', frequency_and_scale_of_usage: '', human_decisions_and_review: '', required_training: '', appeals_and_review: '' },
      tool_specification: { system_architecture: purpose.technology, phase, maintenance: '', models: '' },
      model_specification: { model_name: '', model_version: '', model_task: '', model_input: '', model_output: '', model_architecture: '', model_performance: '', datasets: '', dataset_purposes: '' },
      data_specification: {
        source_data_name: '',
        data_modality: 'Numerical',
        data_description: data,
        data_quantities: '',
        sensitive_attributes: purpose.personal_data ? purpose.data_categories.join(', ') || 'Personal data; see the register.' : NONE,
        data_completeness_and_representativeness: '',
        source_data_url: '',
        data_collection: '',
        data_cleaning: '',
        data_sharing_agreements: purpose.recipients.join(', ') || NONE,
        data_access_and_storage: `Kept for ${String(purpose.retention_days)} days. ${purpose.security_measures.join('; ')}`.trim(),
      },
      risks_mitigations_and_impact_assessments: { impact_assessment: purpose.dpia ?? NONE, risks_and_mitigations: purpose.security_measures.join('; ') },
    },
  };
}
