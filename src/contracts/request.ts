import { z } from 'zod';
import { Instant, Language, LonLat } from './common.ts';
import { Look } from './trust.ts';

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
  description: z.string(),
  language: z.string(),
  address: z.string(),
  point: LonLat,
  filedAt: Instant,
  purpose: z.string(),
});
export type RequestFiled = z.infer<typeof RequestFiled>;

/** GET /api/portal/services?language= */
export const PortalService = z.object({ code: z.string(), name: z.string(), description: z.string(), group: z.string(), keywords: z.array(z.string()) });
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
  /** Made by the page, so that a repeated send files one request. */
  idempotency_key: z.string().max(64).default(''),
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
  looks: z.array(Look),
});
export type PortalRequest = z.infer<typeof PortalRequest>;

/** GET /api/requests (staff list) */
export const RequestSummary = z.object({
  requestId: z.string(),
  serviceCode: z.string(),
  serviceName: z.string(),
  state: RequestState,
  description: z.string(),
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
/** Answer of POST /api/requests/{id}/contact after the look is in the log. */
export const Contact = z.object({ name: z.string(), email: z.string(), phone: z.string(), look: Look });
export type Contact = z.infer<typeof Contact>;

/** GET /api/gazetteer?q= and ?lon=&lat= (reverse) */
export const GazetteerHit = z.object({ label: z.string(), kind: z.enum(['street', 'address', 'place', 'junction']), point: LonLat });
export type GazetteerHit = z.infer<typeof GazetteerHit>;
