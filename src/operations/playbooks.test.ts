import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Refused } from '../kernel/index.ts';
import { loadPlaybooks } from './playbooks.ts';

const refusalOf = (text: string): { field?: string; detail: string } => {
  try {
    loadPlaybooks(text);
  } catch (error) {
    if (error instanceof Refused) return error.refusals[0];
    throw error;
  }
  throw new Error('it was taken');
};
const playbook = (more = '') =>
  `playbooks:\n  - id: a\n    title: Title\n    purpose: A purpose in plain words.\n    steps:\n      - { id: look, text: Look at it, position: operator }\n${more}`;

test('the playbooks of the demo city are valid: each has 4 to 7 steps', () => {
  const shelf = loadPlaybooks(readFileSync(new URL('../../demo/city/playbooks.yaml', import.meta.url), 'utf8'));
  expect(shelf.size).toBe(11);
  for (const { steps } of shelf.values()) {
    expect(steps.length).toBeGreaterThanOrEqual(4);
    expect(steps.length).toBeLessThanOrEqual(7);
  }
});

test('a wrong playbook is refused with the path of what is wrong', () => {
  expect(refusalOf(playbook('      - { id: look, text: Look again, position: operator }\n'))).toMatchObject({ field: 'playbooks.0.steps.1.id' });
  expect(refusalOf(playbook('    owner: nobody\n'))).toMatchObject({ field: 'playbooks.0' });
  expect(refusalOf(playbook('      - { id: b, text: Look again, position: mayor }\n'))).toMatchObject({ field: 'playbooks.0.steps.1.position' });
  expect(
    refusalOf(`${playbook()}  - id: a\n    title: Title\n    purpose: A purpose in plain words.\n    steps: [{ id: look, text: Look at it, position: operator }]\n`),
  ).toMatchObject({ field: 'playbooks.1.id' });
  expect(refusalOf('playbooks: [')).toMatchObject({ field: 'playbooks.yaml' });
});

test('a city without playbooks has an empty shelf', () => {
  expect(loadPlaybooks(null).size).toBe(0);
});
