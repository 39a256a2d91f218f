import { expect, test } from 'vitest';
import { freshDatabase } from '../../test/database.ts';
import { manualClock } from '../kernel/index.ts';
import { createPurposes, parseRegister } from './purposes.ts';

const entry = (id: string, more = '') => `
  - id: ${id}
    title: Noise of places
    description: Levels at crossings, to plan quiet streets.
    legal_basis: Environmental noise directive 2002/49/EC
    owner: Environment office
    retention_days: 30
${more}`;

test('a register with an unknown key, a wrong value or a double id is refused with its place', () => {
  const unknown = parseRegister(`purposes:${entry('noise', '    colour: red\n')}`);
  expect(unknown.ok ? '' : unknown.refusal.detail).toMatch(/purposes\.0.*colour/);
  const wrong = parseRegister(`purposes:${entry('noise').replace('30', 'soon')}`);
  expect(wrong.ok ? '' : wrong.refusal.field).toBe('purposes.0.retention_days');
  const twice = parseRegister(`purposes:${entry('noise')}${entry('noise')}`);
  expect(twice.ok ? '' : twice.refusal.detail).toMatch(/twice/);
  expect(parseRegister('a: [').ok).toBe(false);
});

test('a purpose ends at its date, and a changed register becomes a new version', async () => {
  const handle = await freshDatabase();
  const clock = manualClock(Date.parse('2026-11-24T06:00:00Z'));
  const first = await createPurposes({ handle, clock, yaml: `purposes:${entry('noise', '    ends: "2026-11-30"\n')}` });
  if (!first.ok) throw new Error(first.refusal.detail);
  expect(first.value.live('noise')).toBe(true);
  expect(first.value.live('faces')).toBe(false);
  clock.set(Date.parse('2026-12-01T00:00:00Z'));
  expect(first.value.live('noise')).toBe(false);
  const same = await createPurposes({ handle, clock, yaml: `purposes:${entry('noise', '    ends: "2026-11-30"\n')}` });
  expect(same.ok && same.value.version()).toBe(first.value.version());
  const changed = await createPurposes({ handle, clock, yaml: `purposes:${entry('noise')}` });
  expect(changed.ok && changed.value.version()).toBe(first.value.version() + 1);
});

test('a city without a register of its own starts with a small one', async () => {
  const handle = await freshDatabase();
  const register = await createPurposes({ handle, clock: manualClock(0), yaml: null });
  expect(register.ok && register.value.all().map((purpose) => purpose.id)).toEqual(['city-operations', 'service-requests']);
});
