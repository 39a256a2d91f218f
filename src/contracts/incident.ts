import { z } from 'zod';
import { Instant, LonLat, Severity } from './common.ts';
import { Position } from './principal.ts';
import { Warning } from './warning.ts';

export const INCIDENT_STATES = ['new', 'acknowledged', 'in_progress', 'closed'] as const;
export const IncidentState = z.enum(INCIDENT_STATES);
export type IncidentState = z.infer<typeof IncidentState>;

/** How an incident ended. The resident of a joined request reads the outcome's plain words and the sentence. */
export const OUTCOMES = ['fixed', 'made_safe', 'no_fault_found', 'not_ours', 'duplicate', 'false_alarm'] as const;
export const Outcome = z.enum(OUTCOMES);
export type Outcome = z.infer<typeof Outcome>;

export const Actor = z.object({ id: z.string(), name: z.string(), position: z.string() });
export type Actor = z.infer<typeof Actor>;

export const Incident = z.object({
  id: z.string(),
  /** Counted from 1; what people say on the phone. */
  number: z.number().int(),
  title: z.string(),
  severity: Severity,
  state: IncidentState,
  /** Where it came from. */
  origin: z.enum(['warning', 'request', 'operator']),
  /** Rule id or service code: what the next of its kind at this place joins. */
  kind: z.string(),
  placeName: z.string(),
  point: LonLat,
  owner: Actor.nullable(),
  openedAt: Instant,
  updatedAt: Instant,
  closedAt: Instant.nullable(),
  outcome: Outcome.nullable(),
  sentence: z.string().nullable(),
  /** Grows by one with every entry of the log; send it back to detect that another person acted after it. What the system appends is no conflict. */
  revision: z.number().int(),
  warnings: z.object({ total: z.number().int(), standing: z.number().int(), unknown: z.number().int() }),
  requests: z.number().int(),
  steps: z.object({ done: z.number().int(), total: z.number().int() }),
});
export type Incident = z.infer<typeof Incident>;

export const LOG_KINDS = [
  'opened',
  'warning_joined',
  'warning_cleared',
  'warning_unknown',
  'warning_known',
  'request_joined',
  'acknowledged',
  'unacknowledged',
  'taken',
  'released',
  'note',
  'step_done',
  'step_skipped',
  'step_undone',
  'closed',
  'reopened',
] as const;

export const LogEntry = z.object({
  seq: z.number().int(),
  at: Instant,
  kind: z.enum(LOG_KINDS),
  /** Null when the system wrote it. */
  author: Actor.nullable(),
  text: z.string(),
});
export type LogEntry = z.infer<typeof LogEntry>;

export const PlaybookStep = z.object({
  id: z.string(),
  text: z.string(),
  /** Position that the step is for. */
  position: z.string(),
  state: z.enum(['open', 'done', 'skipped']),
  by: Actor.nullable(),
  at: Instant.nullable(),
  reason: z.string().nullable().describe('Why it was skipped'),
});
export type PlaybookStep = z.infer<typeof PlaybookStep>;

/** What the room may know of a joined request: never who reported it. */
export const JoinedRequest = z.object({
  requestId: z.string(),
  serviceCode: z.string(),
  serviceName: z.string(),
  /** Choices, numbers and times of the answers. */
  description: z.string(),
  /** Whether the resident's words can be read with a reason. */
  hasWords: z.boolean().default(false),
  language: z.string(),
  address: z.string(),
  point: LonLat,
  filedAt: Instant,
});
export type JoinedRequest = z.infer<typeof JoinedRequest>;

export const IncidentDetail = Incident.extend({
  why: z.array(z.string()).describe('One line a member: why it joined'),
  warningList: z.array(Warning),
  requestList: z.array(JoinedRequest),
  log: z.array(LogEntry),
  stepList: z.array(PlaybookStep),
  playbook: z.object({ id: z.string(), title: z.string() }).nullable(),
});
export type IncidentDetail = z.infer<typeof IncidentDetail>;

// PostgreSQL stores neither NUL nor half a surrogate pair
const storable = (text: string): boolean => text.isWellFormed() && !text.includes('\u0000');
const NOT_STORABLE = 'Remove the characters that are not text.';
const sentence = z.string().trim().min(8, 'Say in a sentence what was done, at least 8 characters.').max(1_000).refine(storable, NOT_STORABLE);
const reason = z.string().trim().min(3, 'Give a reason.').max(500).refine(storable, NOT_STORABLE);

/** POST /api/incidents/{id}/acts. `revision` is optional; with it a stale act answers 409. */
export const Act = z.discriminatedUnion('act', [
  z.strictObject({ act: z.literal('acknowledge'), revision: z.int().optional() }),
  z.strictObject({ act: z.literal('unacknowledge'), revision: z.int().optional() }),
  z.strictObject({ act: z.literal('take'), revision: z.int().optional() }),
  z.strictObject({ act: z.literal('release'), revision: z.int().optional() }),
  z.strictObject({ act: z.literal('note'), text: z.string().trim().min(1).max(4_000).refine(storable, NOT_STORABLE), revision: z.int().optional() }),
  z.strictObject({ act: z.literal('complete_step'), step: z.string().max(100), revision: z.int().optional() }),
  z.strictObject({ act: z.literal('skip_step'), step: z.string().max(100), reason, revision: z.int().optional() }),
  z.strictObject({ act: z.literal('undo_step'), step: z.string().max(100), revision: z.int().optional() }),
  z.strictObject({ act: z.literal('close'), outcome: Outcome, sentence, revision: z.int().optional() }),
  z.strictObject({ act: z.literal('reopen'), reason, revision: z.int().optional() }),
]);
export type Act = z.infer<typeof Act>;

/** POST /api/incidents: an operator opens one by hand. */
export const NewIncident = z.strictObject({
  title: z.string().trim().min(3).max(200).refine(storable, NOT_STORABLE),
  severity: Severity,
  point: LonLat,
  placeName: z.string().trim().max(255).refine(storable, NOT_STORABLE).default(''),
});
export type NewIncident = z.infer<typeof NewIncident>;

/**
 * GET /api/incidents?state=&kind=&before=&limit=: history, the latest change first. Send `next` back as `before` for the
 * page after; null when there is none.
 */
export const IncidentPage = z.object({ incidents: z.array(Incident), next: z.string().nullable() });
export type IncidentPage = z.infer<typeof IncidentPage>;

const stepId = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'Use small letters, digits and hyphens.');
/** One entry of playbooks.yaml; copied into every incident that opens with it. */
export const Playbook = z.strictObject({
  id: stepId,
  title: z.string().trim().min(3).max(200),
  purpose: z.string().trim().min(10).max(1_000).describe('What it is for, in plain words'),
  steps: z
    .array(z.strictObject({ id: stepId, text: z.string().trim().min(5).max(500), position: Position }))
    .min(1)
    .max(50),
});
export type Playbook = z.infer<typeof Playbook>;
/** GET /api/playbooks */
export const Playbooks = z.object({ playbooks: z.array(Playbook) });
export type Playbooks = z.infer<typeof Playbooks>;

/** GET /api/queue[?at=]: everything that is not closed, most urgent first; with `at`, as it stood then. */
export const Queue = z.object({
  asOf: Instant,
  /** Bus position of the picture: open /live with `after=` to go on without a gap. */
  seq: z.number().int(),
  incidents: z.array(Incident),
  closedToday: z.number().int(),
});
export type Queue = z.infer<typeof Queue>;

/** Bus topic `incident.changed`; the payload. `at` is when it happened. */
export const IncidentChanged = z.object({
  incident: Incident,
  entry: LogEntry,
  /** Ids of the requests that are joined, for the services side. */
  requestIds: z.array(z.string()),
  /** When the warning was raised that caused the entry; left out when none did. */
  warningRaisedAt: Instant.optional(),
});
export type IncidentChanged = z.infer<typeof IncidentChanged>;
