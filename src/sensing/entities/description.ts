import type { Principal } from '../../contracts/principal.ts';
import type { Refusal } from '../../kernel/index.ts';
import type { Author } from '../../trust/index.ts';

/** Null when a text or value may come in; `path` names the place. `trust.gate.admitDescription` fits it. */
export type AdmitDescription = (value: unknown, path: string, author: Author) => Refusal | null;

/** What comes with the credential of a device or of a feed was written by nobody who could answer for it. */
export const authorOf = ({ kind, positions, device }: Principal): Author => (device !== undefined || (kind === 'token' && positions.every((position) => position === 'device')) ? 'source' : 'person');

/**
 * The texts and names of keys of an entity's body, which nobody registered, and the numbers that its properties name: what the gate
 * looks at. Positions are left out, and observations, which pass the gate by themselves. Bounded by the depth of the body.
 */
export function describedIn(value: unknown, isFree = false, isNamed = false): unknown {
  if (Array.isArray(value)) {
    const kept = value.map((member) => describedIn(member, isFree)).filter((member) => member !== null);
    return kept.length === 0 ? null : kept;
  }
  if (typeof value === 'number') return isNamed ? value : null;
  if (typeof value !== 'object' || value === null) return typeof value === 'string' ? value : null;
  // links and ids of this server come back in a body that was read before and are not kept; inside the properties of an entity, whose
  // names begin small (18-088 table 2), everything is
  const members = Object.entries(value).filter(([name]) => isFree || (name !== 'Observations' && !name.includes('@')));
  return Object.fromEntries(members.map(([name, member]) => [name, describedIn(member, isFree || !/^[A-Z]/.test(name), isFree)]));
}
