import { Purpose } from '#contracts/trust.ts';
import { expect, test } from 'vitest';
import { FIELDS, readEntry, textOf } from './entry.ts';

const entry = Purpose.parse({ id: 'noise', title: 'Noise', description: 'Levels at crossings, to plan quiet streets.', legal_basis: 'Law on noise', owner: 'Environment office', retention_days: 30, personal_data: true, data_subjects: ['Residents', 'Visitors'], ends: '2027-01-01', dpia: 'https://city.test/dpia', observes: ['noise'] });
const formOf = (purpose: Purpose): FormData => {
  const form = new FormData();
  for (const { name, kind } of FIELDS) if (kind !== 'choice') form.set(name, textOf(purpose[name]));
    else if (purpose[name] === true) form.set(name, 'on');
  return form;
};

test('the form gives back the entry that it was filled with, and every field but the end has a control', () => {
  expect(readEntry(formOf(entry))).toEqual({ entry });
  const names: readonly string[] = FIELDS.map(({ name }) => name);
  expect(Object.keys(Purpose.shape).filter((name) => !names.includes(name))).toEqual(['ended', 'transfers']);
});

test('what is wrong is named by the label of its field', () => {
  const form = formOf(entry);
  form.set('retention_days', 'soon');
  expect(readEntry(form)).toMatchObject({ field: 'retention_days', wrong: expect.stringMatching(/^Days that data are kept: /) });
  form.set('retention_days', '30');
  form.set('dpia', 'javascript:alert(1)');
  expect(readEntry(form)).toMatchObject({ field: 'dpia' });
});
