import { createHash } from 'node:crypto';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { Purpose } from '../contracts/trust.ts';
import { ok, refuse, type Clock, type Result } from '../kernel/index.ts';
import type { DatabaseHandle } from '../platform/index.ts';
import { readRegister, recordRegister } from './purpose-store.ts';

/** The register of purposes in force; the gate, the policy and retention read nothing else. */
export interface Purposes {
  get(id: string): Purpose | undefined;
  /** In the register and not ended at the clock's now. */
  live(id: string): boolean;
  all(): readonly Purpose[];
  version(): number;
  since(): Date;
  /** SHA-256 of the canonical register, hex. */
  hash(): string;
}

const Register = z.strictObject({ purposes: z.array(Purpose).min(1).max(500) });

/** The register of a city that brings none: enough to start, meant to be replaced. */
const STARTER_REGISTER = `
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

/** Checks a register document. Refuses with the path of the first fault. */
export function parseRegister(yaml: string): Result<readonly Purpose[]> {
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
  const seen = new Set<string>();
  for (const { id } of parsed.data.purposes) {
    if (seen.has(id)) return refuse('start.config-invalid', `The purpose ${id} stands twice in the register.`, id);
    seen.add(id);
  }
  return ok(parsed.data.purposes);
}

/** Loads the register and records it as a new version when it differs from the last one. */
export async function createPurposes(options: { handle: DatabaseHandle; clock: Clock; yaml: string | null }): Promise<Result<Purposes>> {
  const parsed = parseRegister(options.yaml ?? STARTER_REGISTER);
  if (!parsed.ok) return parsed;
  const list = [...new Map(parsed.value.map((purpose) => [purpose.id, purpose])).values()];
  const document = JSON.stringify([...list].sort((a, b) => (a.id < b.id ? -1 : 1)));
  const hash = createHash('sha256').update(document).digest('hex');
  const recorded = await recordRegister(options.handle.db, { hash, document, at: new Date(options.clock.nowMs()) });
  return ok(purposesOf(list, { ...recorded, hash }, options.clock));
}

/** The register as the city recorded it last, for a process that takes readings beside it. Refuses when there is none yet. */
export async function readPurposes({ handle, clock }: { handle: DatabaseHandle; clock: Clock }): Promise<Result<Purposes>> {
  const recorded = await readRegister(handle.db);
  if (recorded === null) return refuse('start.config-invalid', 'The city has no register of purposes yet; start the city itself first.', 'role');
  return ok(purposesOf(z.array(Purpose).parse(JSON.parse(recorded.document)), recorded, clock));
}

function purposesOf(list: readonly Purpose[], { version, since, hash }: { version: number; since: Date; hash: string }, clock: Clock): Purposes {
  const purposes = new Map(list.map((purpose) => [purpose.id, purpose]));
  return {
    get: (id) => purposes.get(id),
    live: (id) => {
      const purpose = purposes.get(id);
      return purpose !== undefined && (purpose.ends === null || clock.nowMs() < Date.parse(`${purpose.ends}T23:59:59.999Z`));
    },
    all: () => [...purposes.values()],
    version: () => version,
    since: () => since,
    hash: () => hash,
  };
}
