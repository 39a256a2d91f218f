import { z } from 'zod';
import { Instant } from './common.ts';

const Words = (most: number) => z.string().trim().max(most);
const List = z.array(Words(300).min(1)).max(50).default([]);
const Link = z.url({ protocol: /^https?$/ }).max(1_000).nullable().default(null);

/**
 * One entry of the register of purposes: what GDPR art. 30(1) asks a controller to record, and what a city publishes of its sensors and
 * algorithms. The register is the configuration of the gate, the policy, the rules and the deletion of old data.
 */
export const Purpose = z.strictObject({
  id: z.string().regex(/^[a-z][a-z0-9-]{1,62}$/, 'Use small letters, digits and hyphens.'),
  title: z.string().min(3).max(200),
  /** What it is for, in plain words. */
  description: z.string().min(10).max(2_000),
  /** Article of the law that the processing stands on, as a reference. */
  legal_basis: z.string().min(3).max(500),
  /** Department that answers for it. */
  owner: z.string().min(3).max(200),
  retention_days: z.number().int().min(1).max(36_500),
  /** First day (UTC) on which anything may be processed; null when it has begun. */
  starts: z.iso.date().nullable().default(null),
  /** Last day (UTC) on which anything may be processed; null while no end is set. */
  ends: z.iso.date().nullable().default(null),
  /** Ended by a decision, whatever the dates say. */
  ended: z.boolean().default(false),
  personal_data: z.boolean().default(false),
  /** Kinds of observed properties that may be collected; empty means none. */
  observes: z.array(z.string().max(100)).max(200).default([]),
  /** Who decides on purposes and means (art. 30(1)(a)); empty for the municipality itself. */
  controller: Words(300).default(''),
  /** Where to ask: an office, not a person. */
  contact: Words(300).default(''),
  /** Categories of data (art. 30(1)(c)). */
  data_categories: List,
  /** Categories of persons that the data are about (art. 30(1)(c)). */
  data_subjects: List,
  /** Categories of recipients outside the department (art. 30(1)(d)). */
  recipients: List,
  /** Transfers to third countries (art. 30(1)(e)). */
  transfers: List,
  /** Measures of security (art. 30(1)(g)). */
  security_measures: List,
  /** Data protection impact assessment (art. 35). */
  dpia: Link,
  /** Decision of the council or office that allows it. */
  decision: Words(500).default(''),
  decided_on: z.iso.date().nullable().default(null),
  technology: Words(500).default(''),
  supplier: Words(300).default(''),
  /** Whether rules or other algorithms work on the data. */
  algorithm: z.boolean().default(false),
  algorithm_link: Link,
  /** What a sign beside the sensor says. */
  street_sign: Words(300).default(''),
});
export type Purpose = z.infer<typeof Purpose>;

/** Leaf of the transparency log in which a version of the register was told: `commit` of the leaf is SHA-256(nonce ‖ body). */
export const RegisterLeaf = z.object({ index: z.number().int(), nonce: z.string().describe('hex'), body: z.string().describe('canonical JSON (RFC 8785)') });

/** GET /api/purposes: public. */
export const PurposeRegister = z.object({
  version: z.number().int(),
  since: Instant,
  /** SHA-256 of the register as canonical JSON (RFC 8785), hex. */
  hash: z.string(),
  leaf: RegisterLeaf.nullable().describe('Null until the log has taken it'),
  purposes: z.array(Purpose.extend({ live: z.boolean(), datastreams: z.number().int(), refused: z.number().int() })),
});
export type PurposeRegister = z.infer<typeof PurposeRegister>;

/** GET /api/purposes/versions: every version that was ever in force, newest first. */
export const RegisterVersions = z.object({
  versions: z.array(z.object({ version: z.number().int(), since: Instant, hash: z.string(), approval: z.string().nullable().describe('Id of what two people agreed to; null for the first and for a new form of the same content'), leaf: RegisterLeaf.nullable() })),
});
export type RegisterVersions = z.infer<typeof RegisterVersions>;

/** GET /api/purposes/use: everything in the city that names a purpose; nothing of it is personal data. */
export const PurposeUse = z.object({
  asOf: Instant,
  streams: z.array(z.object({ id: z.number().int(), name: z.string(), purpose: z.string(), observations: z.boolean() })),
  /** Rules, services, feeds and exports that run. */
  parts: z.array(z.object({ kind: z.enum(['rule', 'service', 'feed', 'export']), id: z.string(), purpose: z.string() })),
  /** Residents' reports whose words or contact data are still there; how many of them a legal hold keeps, and the oldest last step of the others. */
  reports: z.array(z.object({ purpose: z.string(), kept: z.number().int(), held: z.number().int(), oldest: Instant.nullable() })),
});
export type PurposeUse = z.infer<typeof PurposeUse>;

/** GET /api/purposes/{id}: one purpose with what works for it and how its entry came to be. */
export const PurposeDetail = z.object({
  purpose: Purpose.extend({ live: z.boolean(), datastreams: z.number().int(), refused: z.number().int() }),
  /** The first 2,000 by id. */
  streams: z.array(z.object({ id: z.number().int(), name: z.string(), property: z.string(), place: z.string(), point: z.tuple([z.number(), z.number()]).nullable() })),
  parts: z.array(z.object({ kind: z.enum(['rule', 'service', 'feed', 'export']), id: z.string() })),
  rules: z.array(z.object({ id: z.string(), title: z.string(), sentence: z.string() })),
  /** Versions of the register that changed this entry, newest first. */
  history: z.array(z.object({ version: z.number().int(), since: Instant, approval: z.string().nullable(), leaf: z.number().int().nullable(), changes: z.array(z.object({ path: z.string(), from: z.string().nullable(), to: z.string().nullable() })) })),
});
export type PurposeDetail = z.infer<typeof PurposeDetail>;

/** POST /api/purposes/proposals: entries as they shall be; `end` names those that shall end at once. */
export const PurposeProposal = z.strictObject({
  set: z.array(Purpose).max(500).default([]),
  end: z.array(z.string().max(63)).max(500).default([]),
  /** Takes what city/purposes.yaml says instead of `set` and `end`. */
  from_file: z.boolean().default(false),
  reason: z.string().trim().max(500),
});
export type PurposeProposal = z.infer<typeof PurposeProposal>;

/** GET /api/purposes/desk: what the people who look after the register need to know. */
export const PurposeDesk = z.object({
  /** End within thirty days, soonest first. */
  ending: z.array(z.object({ id: z.string(), title: z.string(), ends: z.string(), days: z.number().int() })),
  /** The file city/purposes.yaml says something else than the register in force. */
  file: z.object({ changes: z.array(z.object({ path: z.string(), from: z.string().nullable(), to: z.string().nullable() })) }).nullable(),
});
export type PurposeDesk = z.infer<typeof PurposeDesk>;

/** How the data was shown. */
export const LOOK_WAYS = ['detail', 'list', 'search', 'export', 'print', 'api'] as const;
export const LookWay = z.enum(LOOK_WAYS);
export type LookWay = z.infer<typeof LookWay>;

/** A resident's view of one access to their data. */
export const Look = z.object({
  index: z.number().int().describe('Leaf index in the transparency log; below zero in a log that was put aside (docs/reference/log.md, "After a rollback")'),
  n: z.number().int().describe('Running number among the looks of this case, from 1; 0 for a sealed look'),
  at: Instant,
  position: z.string(),
  pseudonym: z.string(),
  department: z.string().describe('Unit of the city; empty when none is named'),
  purpose: z.string(),
  reason: z.string(),
  record: z.string().describe('Which part of the case'),
  fields: z.array(z.string()),
  via: LookWay,
  sealedUntil: Instant.optional().describe('The look was kept from the resident until then'),
  opens: z.number().int().optional().describe('Index of the sealed leaf that this look tells of'),
  nonce: z.string().describe('hex'),
  commit: z.string().describe('SHA-256(nonce ‖ body), hex: the same as in the leaf'),
  body: z.string().describe('canonical JSON (RFC 8785)'),
});
export type Look = z.infer<typeof Look>;

/** Kinds of reasons that case work knows; beside one of them stands a sentence of one's own. */
export const LOOK_REASONS = ['answer_resident', 'locate_fault', 'plan_work', 'check_duplicate', 'review_text', 'complaint', 'access_request', 'legal_order', 'quality_check'] as const;
export const LookReason = z.enum(LOOK_REASONS);
export type LookReason = z.infer<typeof LookReason>;

const REASON_HEAD = /^([a-z_]+): /;
/** Code and sentence as one text, the way a look commits to it. */
export const joinReason = (code: LookReason, sentence: string): string => `${code}: ${sentence}`;
/** The code and the sentence of a look's reason; no code for looks that were written before there were codes. */
export function splitReason(reason: string): { code: LookReason | null; sentence: string } {
  const code = LOOK_REASONS.find((each) => each === REASON_HEAD.exec(reason)?.[1]);
  return code === undefined ? { code: null, sentence: reason } : { code, sentence: reason.replace(REASON_HEAD, '') };
}

/** What precedes every look: purpose, kind of reason and a sentence. The look is durable before the answer. */
export const LookRequest = z.strictObject({
  purpose: z.string().min(1).max(63),
  reasonCode: LookReason,
  reason: z.string().trim().min(5, 'Give a reason; the resident will read it.').max(450),
});
export type LookRequest = z.infer<typeof LookRequest>;

/** Who outside watches the transparency log, and whether they agree. */
export const WitnessStatus = z.object({
  quorum: z.enum(['none-configured', 'met', 'failing']),
  required: z.number().int().describe('The least number of witnesses that is enough by the policy'),
  each: z.array(
    z.object({
      name: z.string(),
      lastSize: z.number().int().nullable().describe('Entries of the last head that it cosigned'),
      lastAt: Instant.nullable().describe('Time of that cosignature'),
      fault: z.string().nullable().describe('Why its last answer was no cosignature'),
      refuses: z.boolean().describe('It has seen another past of this log'),
    }),
  ),
  witnessedSize: z.number().int().nullable().describe('Entries of the newest head that enough witnesses cosigned'),
  witnessedAt: Instant.nullable(),
  /** refused: a witness has seen another past · quorum: too few have answered for a minute · stale: nothing was witnessed for ten minutes. */
  alarm: z.object({ code: z.enum(['refused', 'quorum', 'stale']), since: Instant, detail: z.string() }).nullable(),
});
export type WitnessStatus = z.infer<typeof WitnessStatus>;

/** GET /api/log: for the public page. */
export const LogStatus = z.object({
  origin: z.string(),
  size: z.number().int(),
  root: z.string().describe('base64'),
  checkpointAt: Instant.nullable(),
  vkey: z.string().describe('note verifier key'),
  looks: z.number().int(),
  witnesses: WitnessStatus,
  /** When the whole log was last read again from the disk and compared, and what was wrong; null before the first time. */
  scrub: z.object({ at: Instant, entries: z.number().int(), fault: z.string().nullable() }).nullable(),
});
export type LogStatus = z.infer<typeof LogStatus>;

/** GET /api/gate: public counts of refusals. */
export const GateCounts = z.object({ since: Instant, refused: z.array(z.object({ code: z.string(), purpose: z.string(), count: z.number().int() })), admitted: z.number().int(), rules: z.array(z.object({ stream: z.number().int(), rule: z.string(), count: z.number().int() })).describe('Since the start'), lastDay: z.array(z.object({ stream: z.number().int(), rule: z.string(), count: z.number().int(), bytes: z.number().int() })).optional() });
export type GateCounts = z.infer<typeof GateCounts>;
