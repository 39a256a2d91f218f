import { z } from 'zod';
import { Instant } from './common.ts';
import { RequestState } from './request.ts';
import { Look } from './trust.ts';

/** GET /api/my/session: whether residents can sign in here, and whether this browser is. */
export const ResidentSession = z.object({ service: z.string().nullable().describe('Name of the service at which residents sign in; null when the link of a report is the only way'), signedIn: z.boolean() });
export type ResidentSession = z.infer<typeof ResidentSession>;

/**
 * GET /api/my/reports: reports that the resident keeps. It tells what the city knows of its own work and who looked; the
 * resident's words and contact data open with the link of the report alone.
 */
export const KeptReport = z.object({
  requestId: z.string(),
  serviceName: z.string(),
  state: RequestState,
  address: z.string(),
  filedAt: Instant,
  updatedAt: Instant,
  expectedAt: Instant.nullable(),
  outcome: z.string().nullable(),
  sentence: z.string().nullable(),
  keptAt: Instant,
  erased: z.boolean().describe('Whether what was sealed of it is erased'),
  quiet: z.boolean().describe('Whether the resident asked not to be told of looks unasked: then the list names none'),
  looks: z.array(Look.pick({ index: true, at: true, position: true, department: true, pseudonym: true, purpose: true, reason: true, via: true })).describe('Those that the resident is told of by now, oldest first'),
  looksWaiting: z.number().int().describe('Looks that are told later'),
});
export type KeptReport = z.infer<typeof KeptReport>;

/** GET /api/my/links/{token}: whether the report of this link is in the list of who asks; POST puts it there, DELETE /api/my/reports/{requestId} takes it out. */
export const KeptState = z.object({ service: z.string().nullable(), signedIn: z.boolean(), kept: z.boolean() });
export type KeptState = z.infer<typeof KeptState>;
