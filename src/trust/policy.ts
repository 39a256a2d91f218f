import { POSITIONS, type Action, type Position, type Principal } from '../contracts/principal.ts';

// A right that nobody needs a credential for is not lost by having one.
const EVERYBODY: readonly Action[] = ['public', 'sensing.read', 'requests.submit'];

/** What each position may do beside what everybody may. Whatever stands in neither list is denied. */
const ALLOWED: Readonly<Record<Position, readonly Action[]>> = {
  device: ['sensing.write'],
  operator: ['operations.read', 'operations.act', 'requests.read'],
  supervisor: ['operations.read', 'operations.act', 'operations.supervise', 'requests.read'],
  case_worker: ['operations.read', 'requests.read', 'requests.work', 'requests.look'],
  auditor: ['operations.read', 'audit.read'],
  data_protection_officer: ['operations.read', 'audit.read'],
  administrator: ['operations.read', 'people.manage', 'register.manage', 'sensing.write', 'sensing.delete'],
};

const everybody: ReadonlySet<Action> = new Set(EVERYBODY);
const allowed: ReadonlyMap<string, ReadonlySet<Action>> = new Map(POSITIONS.map((position) => [position, new Set(ALLOWED[position])]));

/** Default deny. `session` belongs to every person who is signed in, and to no token. */
export function authorize(principal: Principal, action: Action): boolean {
  if (everybody.has(action)) return true;
  if (action === 'session') return principal.kind === 'person';
  if (principal.kind === 'anonymous') return false;
  return principal.positions.some((position) => allowed.get(position)?.has(action) === true);
}
