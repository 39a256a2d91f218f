import { z } from 'zod';
import { Instant, Language, LonLat } from './common.ts';
import { Outcome } from './incident.ts';
import { Look, LookRequest } from './trust.ts';

/** When residents are told of looks at their report: at once, or with its next step and after 30 days at the latest. */
const LooksTold = z.enum(['now', 'after-step']);

/** Progress of a service request; GeoReport folds it into open and closed. */
export const REQUEST_STATES = ['received', 'assigned', 'in_progress', 'done', 'declined'] as const;
export const RequestState = z.enum(REQUEST_STATES);
export type RequestState = z.infer<typeof RequestState>;

/** Bus topic `request.filed`: what the room gets to know; nothing about who filed it. */
export const RequestFiled = z.object({
  requestId: z.string(),
  serviceCode: z.string(),
  serviceName: z.string(),
  severity: z.enum(['minor', 'moderate', 'severe', 'extreme']),
  playbook: z.string().nullable(),
  /** Choices, numbers and times of the answers; never the resident's words. */
  description: z.string(),
  /** Whether there are words, to be read with a reason. */
  hasWords: z.boolean().default(false),
  language: z.string(),
  address: z.string(),
  point: LonLat,
  filedAt: Instant,
  purpose: z.string(),
});
export type RequestFiled = z.infer<typeof RequestFiled>;

/** GeoReport v2, Service Definition: one question of a service. `variable` false is a note to read, never a field. */
export const ServiceQuestion = z.object({
  code: z.string(),
  variable: z.boolean(),
  datatype: z.enum(['string', 'number', 'datetime', 'text', 'singlevaluelist', 'multivaluelist']),
  required: z.boolean(),
  question: z.string(),
  hint: z.string(),
  values: z.array(z.object({ key: z.string(), name: z.string() })),
});
export type ServiceQuestion = z.infer<typeof ServiceQuestion>;

/** GET /api/portal/services?language= */
export const PortalService = z.object({
  code: z.string(),
  name: z.string(),
  description: z.string(),
  group: z.string(),
  keywords: z.array(z.string()),
  questions: z.array(ServiceQuestion),
  /** Hours that the city promises; null when it promises none. */
  sla_hours: z.number().nullable(),
  looks_told: LooksTold,
});
export type PortalService = z.infer<typeof PortalService>;

/** POST /api/portal/requests: the resident's form. A point or an address is needed; contact is optional. */
export const PortalReport = z.strictObject({
  service_code: z.string().min(1).max(100),
  description: z.string().trim().max(4_000).default(''),
  address: z.string().trim().max(255).default(''),
  point: LonLat.nullable().default(null),
  language: Language.default('en'),
  name: z.string().trim().max(200).default(''),
  email: z.union([z.literal(''), z.email()]).default(''),
  phone: z.string().trim().max(50).default(''),
  /** Answers to the service's questions by their code; several values only for a multivaluelist. */
  answers: z.record(z.string().max(60), z.union([z.string().max(4_000), z.array(z.string().max(255)).max(50)])).default({}),
  /** The resident's page says nothing of looks unless `?looks` stands at the end of its address. */
  quiet: z.boolean().default(false),
  /** Made by the page, so that a repeated send files one request: at least 16 random characters. */
  idempotency_key: z.union([z.literal(''), z.string().min(16, 'Use at least 16 random characters.').max(64)]).default(''),
});
export type PortalReport = z.infer<typeof PortalReport>;
export const PortalReceipt = z.object({ requestId: z.string(), token: z.string().describe('Secret of the follow-up link'), notice: z.string() });
export type PortalReceipt = z.infer<typeof PortalReceipt>;

/** GET /api/portal/requests/{token}: the resident's own page. */
export const PortalRequest = z.object({
  requestId: z.string(),
  serviceName: z.string(),
  description: z.string(),
  address: z.string(),
  point: LonLat,
  language: Language,
  state: RequestState,
  filedAt: Instant,
  updatedAt: Instant,
  expectedAt: Instant.nullable(),
  outcome: z.string().nullable(),
  sentence: z.string().nullable(),
  timeline: z.array(z.object({ at: Instant, state: RequestState, text: z.string() })),
  contact: z.array(z.string()).describe('Which contact fields are kept, never their content'),
  words: z.array(z.string()).describe('Which fields of words are kept'),
  looks: z.array(Look).describe('Those that the resident is told of by now'),
  looksWaiting: z.number().int().describe('Looks that are told with the next step of the report, 30 days after them at the latest'),
  looksTold: LooksTold,
  /** The page shows looks only when it is asked. */
  quiet: z.boolean(),
  answers: z.array(z.object({ question: z.string(), answer: z.string() })),
  /** Until when the resident may reopen it; null while it is open and after that. */
  reopenUntil: Instant.nullable(),
  /** What the resident wrote was erased: its purpose ended, its retention ran out, or two people decided; `receipt`: GET /api/portal/requests/{token}/erasure has one. */
  erased: z.object({ at: Instant, cause: z.enum(['ended', 'retention', 'decision']), receipt: z.boolean() }).nullable(),
});
export type PortalRequest = z.infer<typeof PortalRequest>;

/** POST /api/portal/requests/{token}/reopen, within 14 days of closing. */
export const PortalReopen = z.strictObject({ reason: z.string().trim().min(5, 'Say what is still wrong.').max(500) });

/** GET /api/portal/nearby?service=&lon=&lat=: open public requests of the service within 50 m, nearest first. */
export const NearbyRequest = z.object({ requestId: z.string(), serviceName: z.string(), description: z.string(), state: RequestState, point: LonLat, filedAt: Instant, distance_m: z.number() });
export type NearbyRequest = z.infer<typeof NearbyRequest>;

/** Bus topic `request.reopened`: a resident says within 14 days that it is not done; `report` as in `request.filed`. Why stands sealed. */
export const RequestReopened = z.object({ report: RequestFiled, incidentId: z.string().nullable(), at: Instant });
export type RequestReopened = z.infer<typeof RequestReopened>;

/** GET /api/requests (staff list) */
export const RequestSummary = z.object({
  requestId: z.string(),
  serviceCode: z.string(),
  serviceName: z.string(),
  state: RequestState,
  /** Only what was released to the public. */
  description: z.string(),
  hasWords: z.boolean(),
  published: z.boolean(),
  address: z.string(),
  point: LonLat,
  filedAt: Instant,
  updatedAt: Instant,
  expectedAt: Instant.nullable(),
  incidentNumber: z.number().int().nullable(),
  incidentId: z.string().nullable(),
  hasContact: z.boolean(),
});
export type RequestSummary = z.infer<typeof RequestSummary>;
export const RequestPage = z.object({ requests: z.array(RequestSummary), next: z.string().nullable().describe('cursor of the next page') });
export type RequestPage = z.infer<typeof RequestPage>;

/** GET /api/requests/{id} (staff): what the city needs to work on it; the resident's words and contact data take a look. */
export const RequestDetail = RequestSummary.extend({
  language: z.string(),
  source: z.enum(['portal', 'georeport']),
  publicDescription: z.string().nullable(),
  outcome: Outcome.nullable(),
  sentence: z.string().nullable(),
  closedAt: Instant.nullable(),
  answers: z.array(z.object({ code: z.string(), question: z.string(), answer: z.string() })),
  notes: z.array(z.object({ at: Instant, state: RequestState, text: z.string() })),
  contact: z.array(z.string()).describe('Which contact fields are kept, never their content'),
  words: z.array(z.string()).describe('Which fields of words are kept: description, answer.CODE, reopening-N; never their content'),
});
export type RequestDetail = z.infer<typeof RequestDetail>;

/**
 * POST /api/requests/{id}/publish: releases a text to the public or takes it back. Without a text the resident's words are
 * released as they stand, which is a look.
 */
export const PublishRequest = z.strictObject({ published: z.boolean(), description: z.string().trim().max(4_000).optional() });
/** POST /api/requests/{id}/decline */
export const DeclineRequest = z.strictObject({ outcome: z.enum(['not_ours', 'duplicate', 'false_alarm']), sentence: z.string().trim().min(8, 'Say in a sentence why, at least 8 characters.').max(1_000) });

/** POST /api/requests/{id}/contact: names the fields that are needed; nothing else is opened. */
export const ContactRequest = LookRequest.extend({ fields: z.array(z.enum(['name', 'email', 'phone'])).min(1, 'Tick at least one part that you need.').max(3).optional() });
/** Answer of POST /api/requests/{id}/contact after the look is in the log. */
export const Contact = z.object({ name: z.string(), email: z.string(), phone: z.string(), look: Look });
export type Contact = z.infer<typeof Contact>;

/** POST /api/requests/{id}/words */
export const WordsRequest = LookRequest.extend({ via: z.enum(['detail', 'print']).default('detail'), language: Language.optional() });
/** The resident's words, each part after its look. */
export const RequestWords = z.object({
  requestId: z.string(),
  language: z.string(),
  description: z.string(),
  answers: z.array(z.object({ code: z.string(), question: z.string(), answer: z.string() })),
  reopenings: z.array(z.object({ at: Instant, reason: z.string() })),
  looks: z.array(Look),
});
export type RequestWords = z.infer<typeof RequestWords>;

/** Rows of one list with words; each row that carries any is one look. */
export const WORD_ROWS_MAX = 50;
const RowsFilter = { state: RequestState.optional(), service: z.string().max(100).optional(), published: z.boolean().optional(), cursor: z.string().regex(/^\d{1,15}$/, 'Use the cursor of the page before.').optional(), language: Language.optional() };
/** POST /api/requests/words */
export const WordsListRequest = LookRequest.extend({ ...RowsFilter, limit: z.number().int().min(1).max(WORD_ROWS_MAX).default(20) });
export const RequestWithWords = RequestSummary.extend({ words: z.string(), look: Look.nullable() });
export const WordsPage = z.object({ requests: z.array(RequestWithWords), next: z.string().nullable() });
export type WordsPage = z.infer<typeof WordsPage>;

/** POST /api/requests/search: whole words, names, addresses or numbers; each hit is a look. */
export const SEARCH_HITS_MAX = 20;
export const SEARCH_KINDS = ['words', 'name', 'email', 'phone'] as const;
export const SearchRequest = LookRequest.extend({ by: z.enum(SEARCH_KINDS), text: z.string().trim().min(2).max(200), language: Language.optional() });
export const SearchPage = z.object({ hits: z.array(RequestSummary.extend({ words: z.string(), contact: z.record(z.string(), z.string()), look: Look })), more: z.boolean().describe('There are more hits, which were not opened') });
export type SearchPage = z.infer<typeof SearchPage>;

/** POST /api/requests/export: CSV. Beyond EXPORT_ALONE_ROWS an approval by a second person is named. */
export const EXPORT_ALONE_ROWS = 50;
export const EXPORT_ROWS_MAX = 2_000;
export const ExportScope = z.strictObject({
  from: Instant,
  to: Instant,
  state: RequestState.optional(),
  service: z.string().max(100).optional(),
  include: z.array(z.enum(['words', 'contact'])).max(2).default(['words']),
});
export type ExportScope = z.infer<typeof ExportScope>;
export const ExportRequest = LookRequest.extend({ scope: ExportScope, approval: z.string().max(100).optional() });

/** POST /api/requests/{id}/sealed-look/proposals: a look that the resident learns of on the day `until`, at most 366 days ahead. */
export const SealedLookProposal = LookRequest.extend({ until: z.iso.date(), records: z.array(z.enum(['words', 'contact'])).min(1).max(2) });
/** POST /api/requests/{id}/sealed-look, after another person has approved exactly this. */
export const SealedLookRequest = SealedLookProposal.extend({ approval: z.string().min(1).max(64) });

/** GET /api/gazetteer?q= and ?lon=&lat= (reverse) */
export const GazetteerHit = z.object({ label: z.string(), kind: z.enum(['street', 'address', 'place', 'junction']), point: LonLat });
export type GazetteerHit = z.infer<typeof GazetteerHit>;
