import { z } from 'zod';

/** Positions on a shift or in an office; acts carry person and position (ICS position, WebEOC sign-in). */
export const POSITIONS = ['operator', 'supervisor', 'case_worker', 'auditor', 'data_protection_officer', 'administrator', 'device'] as const;
export const Position = z.enum(POSITIONS);
export type Position = z.infer<typeof Position>;

/** Who acts. A person never appears in a log or an event by name, only by `pseudonym`. */
export const Principal = z.object({
  kind: z.enum(['anonymous', 'person', 'token']),
  /** Person id or token id; empty for anonymous. */
  id: z.string(),
  /** Shown to colleagues on consoles. */
  name: z.string(),
  positions: z.array(Position),
  /** Stable pseudonym in looks and the public log. */
  pseudonym: z.string(),
  /** Unit of the city that a person works in, such as "Citizens' office"; residents read it beside each look. Absent for tokens. */
  department: z.string().max(100).optional(),
  /** Purpose that the credential is bound to, if any. */
  purpose: z.string().optional(),
});

/** What the credential of a device may do. One object a device, changed in place, so that a change counts at once. */
export interface DeviceBinding {
  readonly id: string;
  /** The one token that is taken for it; null after it was revoked. */
  readonly tokenId: string | null;
  readonly state: 'active' | 'quarantined' | 'revoked';
  /** Ids of the Datastreams that it may write into. */
  readonly streams: ReadonlySet<number>;
  noteTaken(readings: number): void;
  /** Notes the code of a refusal, never what was refused. */
  noteRefused(code: string, readings: number): void;
}

export type Principal = z.infer<typeof Principal> & {
  /** The device that the credential was made for, if any. Inside the server only. */
  readonly device?: DeviceBinding;
};

export const ANONYMOUS: Principal = { kind: 'anonymous', id: '', name: '', positions: [], pseudonym: '' };

/** Everything that a route can ask permission for. `public` needs none. */
export const ACTIONS = [
  'public',
  'sensing.read',
  'sensing.write',
  'sensing.delete',
  'operations.read',
  'operations.act',
  'operations.supervise',
  'requests.read',
  'requests.work',
  'requests.look',
  'requests.contact',
  'requests.search',
  'requests.submit',
  'audit.read',
  'approvals.read',
  'approvals.decide',
  'people.manage',
  'register.manage',
  'session',
] as const;
export type Action = (typeof ACTIONS)[number];
