import { createHash } from 'node:crypto';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { Purpose } from '../../contracts/trust.ts';
import { ok, refuse, type Result } from '../../kernel/index.ts';
import { canonicalJson } from '../log/canonical.ts';

const PURPOSES_MAX = 500;
const DOCUMENT_CHARS = 1_048_576;
const DAY_MS = 86_400_000;
const Register = z.strictObject({ purposes: z.array(Purpose).min(1).max(PURPOSES_MAX) });

/** The register of a city that brings none: enough to start, meant to be replaced. */
export const STARTER_REGISTER = `
purposes:
  - id: city-operations
    title: Operating the city's infrastructure
    description: Readings of the city's own installations, to keep them working and to find faults.
    legal_basis: Public task of the municipality; no personal data is processed
    owner: City IT
    retention_days: 365
  - id: service-requests
    title: Residents' reports
    description: Reports of faults in public space, and the contact data of those who want an answer.
    legal_basis: GDPR art. 6(1)(e), public task
    owner: Citizens' office
    retention_days: 365
    personal_data: true
`;

/** Entries as they shall be, and the ids of those that shall end. */
export interface RegisterChange {
  readonly set: readonly Purpose[];
  readonly end: readonly string[];
}

/** Checks a register document. Refuses with the path of the first fault. */
export function parseRegister(yaml: string): Result<readonly Purpose[]> {
  if (yaml.length > DOCUMENT_CHARS) return refuse('start.config-invalid', `The register of purposes has more than ${DOCUMENT_CHARS} characters.`, 'purposes');
  let document: unknown;
  try {
    document = parseYaml(yaml, { maxAliasCount: 100 });
  } catch (error) {
    return refuse('start.config-invalid', `The register of purposes is not well-formed YAML: ${(error as Error).message.split('\n')[0]}`, 'purposes');
  }
  const parsed = Register.safeParse(document);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const path = issue?.path.join('.') ?? '';
    return refuse('start.config-invalid', `The register of purposes is not valid at ${path || 'its top'}: ${issue?.message ?? ''}`, path);
  }
  const { purposes } = parsed.data;
  const seen = new Set<string>();
  for (const [at, purpose] of purposes.entries()) {
    const wrong = faultOf(purpose);
    if (wrong !== null) return refuse('start.config-invalid', `The register of purposes is not valid at purposes.${at}.${wrong.field}: ${wrong.detail}`, `purposes.${at}.${wrong.field}`);
    if (seen.has(purpose.id)) return refuse('start.config-invalid', `The purpose ${purpose.id} stands twice in the register.`, purpose.id);
    seen.add(purpose.id);
  }
  return ok(purposes);
}

/** What the database holds of an earlier version; fields that it did not have yet take their defaults. */
export const parseStored = (document: unknown): readonly Purpose[] => z.array(Purpose).parse(document);

/** What a value alone does not say. */
function faultOf({ starts, ends, personal_data, transfers, data_subjects }: Purpose): { field: string; detail: string } | null {
  if (starts !== null && ends !== null && ends < starts) return { field: 'ends', detail: 'It lies before the day on which the purpose begins.' };
  if (!personal_data && data_subjects.length > 0) return { field: 'data_subjects', detail: 'Without personal data there are no data subjects; set personal_data, or leave this out.' };
  if (transfers.length > 0) return { field: 'transfers', detail: 'Nothing leaves for third countries from here; leave this out.' };
  return null;
}

/** The bytes that are hashed: the entries in the order of their ids as canonical JSON (RFC 8785). */
export function canonicalRegister(purposes: readonly Purpose[]): string {
  return canonicalJson([...purposes].sort((a, b) => (a.id < b.id ? -1 : 1)));
}

/** SHA-256 of the canonical register, hex. */
export const hashRegister = (canonical: string): string => createHash('sha256').update(canonical).digest('hex');

/** First and last millisecond (UTC days) on which data may be processed for the purpose. */
export function spanOf({ starts, ends, ended }: Purpose): { readonly fromMs: number; readonly untilMs: number } {
  const fromMs = starts === null ? -Infinity : Date.parse(`${starts}T00:00:00Z`);
  if (ended) return { fromMs, untilMs: -Infinity };
  return { fromMs, untilMs: ends === null ? Infinity : Date.parse(`${ends}T00:00:00Z`) + DAY_MS - 1 };
}

/** Whether its last day is over or it was ended; not when it has yet to begin. Null fields may be missing. */
export const hasEnded = ({ ends, ended }: Pick<Purpose, 'ends' | 'ended'>, nowMs: number): boolean => ended || (typeof ends === 'string' && nowMs > spanOf({ starts: null, ends, ended } as Purpose).untilMs);

/** The register after the change. Nothing is ever taken out of it: what ends stays, marked as ended. */
export function applyChange(current: readonly Purpose[], { set, end }: RegisterChange): Result<readonly Purpose[]> {
  const next = new Map(current.map((purpose) => [purpose.id, purpose]));
  for (const [at, purpose] of set.entries()) {
    const wrong = faultOf(purpose);
    if (wrong !== null) return refuse('purpose.change-invalid', wrong.detail, `set.${at}.${wrong.field}`);
    if (set.findIndex(({ id }) => id === purpose.id) !== at) return refuse('purpose.change-invalid', `${purpose.id} stands twice.`, `set.${at}.id`);
    next.set(purpose.id, purpose);
  }
  for (const [at, id] of end.entries()) {
    const known = next.get(id);
    if (known === undefined) return refuse('purpose.unknown', `${id.slice(0, 63)} is not in the register.`, `end.${at}`);
    next.set(id, { ...known, ended: true });
  }
  if (next.size > PURPOSES_MAX) return refuse('purpose.change-invalid', `The register would hold more than ${PURPOSES_MAX} purposes.`, 'set');
  const list = [...next.values()];
  if (canonicalRegister(list) === canonicalRegister(current)) return refuse('purpose.change-invalid', 'The register would stay as it is.', 'set');
  return ok(list);
}

/** What leads from the register in force to that of a file: entries that the file has no more shall end. */
export function changeTowards(current: readonly Purpose[], wanted: readonly Purpose[]): RegisterChange {
  const known = new Map(current.map((purpose) => [purpose.id, canonicalRegister([purpose])]));
  const ids = new Set(wanted.map(({ id }) => id));
  return { set: wanted.filter((purpose) => known.get(purpose.id) !== canonicalRegister([purpose])), end: current.filter(({ id, ended }) => !ended && !ids.has(id)).map(({ id }) => id) };
}

/** Entries that differ, by id: null where there is none. */
export function differenceOf(before: readonly Purpose[], after: readonly Purpose[]): { readonly before: Record<string, Purpose | null>; readonly after: Record<string, Purpose | null> } {
  const [old, next] = [new Map(before.map((purpose) => [purpose.id, purpose])), new Map(after.map((purpose) => [purpose.id, purpose]))];
  const text = (purpose: Purpose | undefined): string => (purpose === undefined ? '' : canonicalRegister([purpose]));
  const ids = [...new Set([...old.keys(), ...next.keys()])].filter((id) => text(old.get(id)) !== text(next.get(id))).sort();
  return { before: Object.fromEntries(ids.map((id) => [id, old.get(id) ?? null])), after: Object.fromEntries(ids.map((id) => [id, next.get(id) ?? null])) };
}
