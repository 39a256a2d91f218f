import { z } from 'zod';
import { DangerousAct } from './approval.ts';
import { Instant } from './common.ts';
import { ACTIONS, Position, type Action } from './principal.ts';

/** What each action means, in words for everybody. */
export const ACTION_TITLES: Readonly<Record<Action, string>> = {
  public: 'Read public pages',
  session: 'See and end own sessions',
  'sensing.read': 'Read measurements',
  'sensing.write': 'Send measurements and describe sensors',
  'sensing.delete': 'Delete measurements and sensors',
  'operations.read': 'See the console: warnings and incidents',
  'operations.act': 'Work on incidents',
  'operations.supervise': 'Steer feeds and rules of the shift',
  'requests.read': 'See the list of reports, without residents\' data',
  'requests.work': 'Answer and close reports',
  'requests.look': 'Read what a resident wrote, one report at a time, with a purpose and a reason',
  'requests.contact': 'Read how to reach a resident, with a purpose and a reason',
  'requests.search': 'List, search and export residents\' words and contact data, with a purpose and a reason',
  'requests.submit': 'Send a report',
  'audit.read': 'Read the records of decisions and looks',
  'approvals.read': 'See what waits for a second person',
  'approvals.decide': 'Be one of two people',
  'people.manage': 'Invite and disable people, revoke tokens',
  'register.manage': 'Manage devices, feeds and the register',
};

/** GET /api/policy: the whole policy in force, and tables made by asking it. */
export const PolicyText = z.object({
  hash: z.string().describe('SHA-256 of schema and rules, hex; stands beside every decision and in a leaf of the log'),
  schema: z.string(),
  files: z.array(z.object({ name: z.string(), text: z.string() })),
  rules: z.array(z.object({ id: z.string(), because: z.string(), effect: z.enum(['permit', 'forbid']), file: z.string() })),
  actions: z.array(z.object({ action: z.enum(ACTIONS), everybody: z.boolean(), positions: z.array(Position) })),
  acts: z.array(z.object({ act: DangerousAct, propose: z.array(Position), approve: z.array(Position) })),
  routes: z.array(z.object({ method: z.string(), route: z.string(), action: z.enum(ACTIONS) })).describe('Every address of the server and what it asks'),
});
export type PolicyText = z.infer<typeof PolicyText>;

/** GET /api/policy/versions: newest first. */
export const PolicyVersions = z.object({ versions: z.array(z.object({ hash: z.string(), since: Instant, leaf: z.number().int().describe('Leaf of the log that says so') })) });
export type PolicyVersions = z.infer<typeof PolicyVersions>;

/** One line of the record of decisions: the same decision within half a second is one line with a count. */
export const PolicyDecision = z.object({
  id: z.number().int(),
  at: Instant,
  pseudonym: z.string(),
  kind: z.enum(['anonymous', 'person', 'token']),
  positions: z.array(Position),
  action: z.string(),
  /** What it was asked for: a route or an act, never an id of a person or a case. */
  resource: z.string(),
  allowed: z.boolean(),
  count: z.number().int(),
  policyHash: z.string(),
  /** Leaf of the log that commits to the hour it is in; null while the hour is not over. */
  leaf: z.number().int().nullable(),
});
export type PolicyDecision = z.infer<typeof PolicyDecision>;

/** GET /api/policy/decisions (audit.read): newest first. */
export const PolicyDecisionQuery = z.strictObject({
  before: z.coerce.number().int().min(1).optional().describe('Only lines with a smaller id'),
  pseudonym: z.string().max(100).optional(),
  action: z.string().max(64).optional(),
  allowed: z.enum(['true', 'false']).optional(),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});
export const PolicyDecisions = z.object({ decisions: z.array(PolicyDecision), next: z.number().int().nullable().describe('Value of before for the next page') });
export type PolicyDecisions = z.infer<typeof PolicyDecisions>;
