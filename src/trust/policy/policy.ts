import { DANGEROUS_ACTS, type DangerousAct } from '../../contracts/approval.ts';
import { ACTIONS, POSITIONS, type Action, type Position, type Principal } from '../../contracts/principal.ts';
import type { PolicyText } from '../../contracts/policy.ts';
import type { LookWay } from '../../contracts/trust.ts';
import { compilePolicy, type CedarAnswer, type CedarRequest, type Engine } from './engine.ts';
import { readPolicyTexts, type PolicyTexts } from './policy-texts.ts';

/** Decisions that are remembered; the oldest goes first. */
const REMEMBERED_MAX = 10_000;

export interface LookContext {
  readonly purpose: string;
  /** In the register, for personal data, and not ended. */
  readonly purposeLive: boolean;
  /** A reason was typed. */
  readonly reason: boolean;
  readonly via: LookWay;
}

/** Who may do what. Whatever no rule permits is denied; a rule that forbids wins. */
export interface Policy {
  readonly authorize: (principal: Principal, action: Action) => boolean;
  /** Whether this may be read of a resident's report now. */
  readonly mayLook: (principal: Principal, context: LookContext) => boolean;
  /** Whether somebody may be the first or the second of two people; `proposerId` is asked for the second. */
  readonly mayDecide: (verb: 'propose' | 'approve', who: { readonly id: string; readonly positions: readonly Position[] }, act: DangerousAct, proposerId: string | null) => boolean;
  /** SHA-256 of schema and rules, hex. */
  readonly hash: string;
  /** Schema, rules and the tables made by asking them, as everybody may read them. */
  readonly describe: () => Omit<PolicyText, 'routes'>;
  /** Ids of the rules that decide; for tests and explanations. */
  readonly explain: (principal: Principal, action: Action) => CedarAnswer;
}

type Asking = Pick<Principal, 'kind' | 'positions' | 'department' | 'purpose' | 'device'>;

const known: ReadonlySet<string> = new Set(POSITIONS);
const actions: ReadonlySet<string> = new Set(ACTIONS);

/** Reads, checks and takes into force the policy of the product and what the city in `dataFolder` adds. Throws `Refused`. */
export function createPolicy(dataFolder: string | null): Policy {
  return policyOf(readPolicyTexts(dataFolder));
}

export function policyOf(texts: PolicyTexts): Policy {
  const engine = compilePolicy(texts);
  const decide = createMemory(engine);
  const authorize = (principal: Asking, action: Action): boolean => actions.has(action) && decide(principal, action, 'Area', areaOf(action), {}).allowed;
  const mayDecide: Policy['mayDecide'] = (verb, { id, positions }, act, proposerId) =>
    decide({ kind: 'person', positions: [...positions] }, `act.${verb}`, 'DangerousAct', act, verb === 'approve' ? { own: id === proposerId } : {}).allowed;
  return {
    authorize,
    mayLook: (principal, { purpose, purposeLive, reason, via }) => decide(principal, 'case.look', 'Case', 'one', { purpose, purpose_live: purposeLive, reason, via }).allowed,
    mayDecide,
    hash: engine.hash,
    explain: (principal, action) => decide(principal, action, 'Area', areaOf(action), {}),
    describe: () => describe(engine, texts, authorize, mayDecide),
  };
}

const areaOf = (action: string): string => action.split('.', 1)[0] as string;

/**
 * Asks Cedar once for each class of question. Nobody's id is part of a question, so that one answer is right for all who
 * hold the same positions, and the same policy never gives two answers.
 */
function createMemory(engine: Engine): (asking: Asking, action: string, type: string, id: string, context: CedarRequest['context']) => CedarAnswer {
  const remembered = new Map<string, CedarAnswer>();
  return (asking, action, type, id, context) => {
    const key = JSON.stringify([asking.kind, asking.positions, asking.department, asking.purpose, asking.device !== undefined, action, type, id, context]);
    const before = remembered.get(key);
    if (before !== undefined) return before;
    const answer = engine.decide({ principal: entityOf(asking), action, resource: { type, id }, context });
    if (remembered.size >= REMEMBERED_MAX) remembered.delete(remembered.keys().next().value as string);
    remembered.set(key, answer);
    return answer;
  };
}

function entityOf({ kind, positions, department, purpose, device }: Asking): CedarRequest['principal'] {
  const parents = positions.filter((position) => known.has(position)).map((id) => ({ type: 'Position', id }));
  if (kind === 'person') return { uid: { type: 'Person', id: 'asking' }, attrs: department === undefined ? {} : { department }, parents };
  if (kind === 'token') return { uid: { type: 'Token', id: 'asking' }, attrs: { device: device !== undefined, ...(purpose === undefined ? {} : { purpose }) }, parents };
  return { uid: { type: 'Anonymous', id: 'asking' }, attrs: {}, parents: [] };
}

function describe(engine: Engine, texts: PolicyTexts, authorize: (asking: Asking, action: Action) => boolean, mayDecide: Policy['mayDecide']): Omit<PolicyText, 'routes'> {
  const person = (...positions: Position[]): Asking => ({ kind: 'person', positions });
  const staff = POSITIONS.filter((position) => position !== 'device');
  return {
    hash: engine.hash,
    schema: texts.schema,
    files: [...texts.shipped, ...texts.city].map(({ name, text }) => ({ name, text })),
    rules: engine.rules.map(({ id, because, effect, file }) => ({ id, because, effect, file })),
    actions: ACTIONS.map((action) => ({
      action,
      everybody: authorize({ kind: 'anonymous', positions: [] }, action),
      positions: POSITIONS.filter((position) => (position === 'device' ? authorize({ kind: 'token', positions: [position] }, action) : authorize(person(position), action))),
    })),
    acts: DANGEROUS_ACTS.map((act) => ({
      act,
      propose: staff.filter((position) => mayDecide('propose', { id: 'first', positions: [position] }, act, null)),
      approve: staff.filter((position) => mayDecide('approve', { id: 'second', positions: [position] }, act, 'first')),
    })),
  };
}
