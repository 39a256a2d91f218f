import {
  policySetTextToParts,
  policyToJson,
  preparsePolicySet,
  schemaToJson,
  statefulIsAuthorized,
  validate,
  type ActionConstraint,
  type CedarValueJson,
  type CheckParseAnswer,
  type DetailedError,
  type EntityJson,
  type TypeAndId,
} from '@cedar-policy/cedar-wasm/nodejs';
import { Refused } from '../../kernel/index.ts';
import { hashOfTexts, type PolicyFile, type PolicyTexts } from './policy-texts.ts';

export interface Rule {
  readonly id: string;
  /** The rule in plain words, from its annotation. */
  readonly because: string;
  readonly effect: 'permit' | 'forbid';
  readonly text: string;
  /** The file it stands in. */
  readonly file: string;
}

interface ScopedRule extends Rule {
  readonly actions: readonly string[] | null;
}

export interface CedarRequest {
  readonly principal: EntityJson & { uid: TypeAndId };
  readonly action: string;
  readonly resource: TypeAndId;
  readonly context: Record<string, CedarValueJson>;
}

export interface CedarAnswer {
  readonly allowed: boolean;
  /** Ids of the rules that decided; none when nothing permits. */
  readonly rules: readonly string[];
}

/** A policy set that was parsed, checked in strict mode and is ready to answer. */
export interface Engine {
  readonly hash: string;
  readonly rules: readonly Rule[];
  decide(request: CedarRequest): CedarAnswer;
}

const ID = /^[a-z0-9][a-z0-9-]{2,80}$/;

/** Parses and checks the policy. Throws `Refused` with file and cause; a city's file may only forbid. */
export function compilePolicy(texts: PolicyTexts): Engine {
  const rules = [...texts.shipped.flatMap((file) => readRules(file, false)), ...texts.city.flatMap((file) => readRules(file, true))];
  const twice = rules.find((rule, at) => rules.findIndex(({ id }) => id === rule.id) !== at);
  if (twice !== undefined) throw invalid(twice.file, `the id ${twice.id} stands twice`);
  const fileOf = new Map(rules.map(({ id, file }) => [id, file]));
  const staticPolicies = Object.fromEntries(rules.map(({ id, text }) => [id, text]));
  const checked = validate({ schema: texts.schema, policies: { staticPolicies }, validationSettings: { mode: 'strict' } });
  if (checked.type === 'failure') throw invalid('policies/schema.cedarschema', wordsOf(checked.errors));
  // a rule that can never apply is a warning of Cedar's; here it is a mistake
  const fault = [...checked.validationErrors, ...checked.validationWarnings][0];
  if (fault !== undefined) throw invalid(fileOf.get(fault.policyId) ?? 'policies', wordsOf([fault.error]));
  const hash = hashOfTexts(texts);
  const parsed = prepareActions(hash, texts.schema, rules).find(({ type }) => type === 'failure');
  if (parsed?.type === 'failure') throw invalid('policies', wordsOf(parsed.errors));
  return { hash, rules: rules.map(({ id, because, effect, text, file }) => ({ id, because, effect, text, file })), decide: (request) => decide(hash, request) };
}

/**
 * One set of rules an action, with those that name it or all actions: a question about one action is then weighed against a
 * few rules and not against all. Cedar keeps what was parsed under a name, for the whole thread.
 */
function prepareActions(hash: string, schema: string, rules: readonly ScopedRule[]): CheckParseAnswer[] {
  const read = schemaToJson(schema);
  if (read.type === 'failure') return [read];
  const actions = Object.values(read.json).flatMap(({ actions: named }) => Object.keys(named));
  return actions.map((action) => preparsePolicySet(setOf(hash, action), { staticPolicies: Object.fromEntries(rules.filter(({ actions: scope }) => scope === null || scope.includes(action)).map(({ id, text }) => [id, text])) }));
}

const setOf = (hash: string, action: string): string => `${hash}/${action}`;

/** The actions that a rule names in its head; null for all. The schema has no groups of actions. */
function scopeOf(constraint: ActionConstraint): readonly string[] | null {
  if (constraint.op === 'All') return null;
  const named = 'entities' in constraint ? constraint.entities : 'entity' in constraint ? [constraint.entity] : null;
  return named && named.map((uid) => ('__entity' in uid ? uid.__entity.id : uid.id));
}

function decide(hash: string, { principal, action, resource, context }: CedarRequest): CedarAnswer {
  const answer = statefulIsAuthorized({
    principal: principal.uid,
    action: { type: 'Action', id: action },
    resource,
    context,
    entities: [principal],
    preparsedPolicySetId: setOf(hash, action),
    // what is asked is built in policy.ts; should it not fit the schema, a rule fails below and nothing is allowed
    validateRequest: false,
  });
  if (answer.type === 'failure') throw new Error(`the policy cannot be asked about ${action}: ${wordsOf(answer.errors)}`);
  const { decision, diagnostics } = answer.response;
  // Cedar leaves out a rule that fails while it is evaluated; a rule that forbids must not get lost so
  const failed = diagnostics.errors[0];
  if (failed !== undefined) throw new Error(`the rule ${failed.policyId} failed: ${failed.error.message}`);
  return { allowed: decision === 'allow', rules: diagnostics.reason };
}

function readRules(file: PolicyFile, mayOnlyForbid: boolean): ScopedRule[] {
  const parts = policySetTextToParts(file.text);
  if (parts.type === 'failure') throw invalid(file.name, wordsOf(parts.errors));
  if (parts.policy_templates.length > 0) throw invalid(file.name, 'templates are not used here');
  return parts.policies.map((text) => {
    const parsed = policyToJson(text);
    if (parsed.type === 'failure') throw invalid(file.name, wordsOf(parsed.errors));
    const { effect, annotations, action } = parsed.json;
    const id = annotations?.['id'] ?? '';
    const because = annotations?.['because'] ?? '';
    if (!ID.test(id)) throw invalid(file.name, 'each rule needs @id("...") of small letters, digits and hyphens');
    if (because === '') throw invalid(file.name, `the rule ${id} needs @because("...") in plain words`);
    if (mayOnlyForbid && effect !== 'forbid') throw invalid(file.name, `the rule ${id} permits; a city's rules may only forbid`);
    return { id, because, effect, text, file: file.name, actions: scopeOf(action) };
  });
}

const wordsOf = (errors: readonly DetailedError[]): string => errors.map(({ message, help }) => (help === null ? message : `${message} (${help})`)).join('; ');
const invalid = (file: string, detail: string): Refused => new Refused({ code: 'start.config-invalid', detail: `The policy is not valid in ${file}: ${detail}.`, field: file });
