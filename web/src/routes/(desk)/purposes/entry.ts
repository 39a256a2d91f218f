import { Purpose } from '#contracts/trust.ts';

type Kind = 'line' | 'text' | 'lines' | 'days' | 'date' | 'choice' | 'link';

/** Fields of the form, in its order; `line`s of a list stand one a line. */
export const FIELDS: readonly { readonly name: keyof Purpose; readonly label: string; readonly kind: Kind; readonly hint?: string; readonly needed?: boolean }[] = [
  { name: 'id', label: 'Id', kind: 'line', needed: true, hint: 'Small letters, digits and hyphens; datastreams name it.' },
  { name: 'title', label: 'Title', kind: 'line', needed: true },
  { name: 'description', label: 'What it is for', kind: 'text', needed: true, hint: 'In plain words; residents read it.' },
  { name: 'legal_basis', label: 'Legal basis', kind: 'line', needed: true, hint: 'Article of the law.' },
  { name: 'owner', label: 'Department that answers for it', kind: 'line', needed: true },
  { name: 'retention_days', label: 'Days that data are kept', kind: 'days', needed: true },
  { name: 'starts', label: 'First day', kind: 'date', hint: 'Empty: it has begun. Days are those of UTC.' },
  { name: 'ends', label: 'Last day', kind: 'date', hint: 'Empty: no end is set.' },
  { name: 'observes', label: 'Observed properties', kind: 'lines', hint: 'One a line.' },
  { name: 'personal_data', label: 'Personal data', kind: 'choice' },
  { name: 'data_categories', label: 'Categories of data', kind: 'lines', hint: 'One a line.' },
  { name: 'data_subjects', label: 'Categories of persons', kind: 'lines', hint: 'One a line; only with personal data.' },
  { name: 'recipients', label: 'Given to', kind: 'lines', hint: 'One a line.' },
  { name: 'security_measures', label: 'Security measures', kind: 'lines', hint: 'One a line.' },
  { name: 'controller', label: 'Controller', kind: 'line', hint: 'Empty: the city.' },
  { name: 'contact', label: 'Where to ask', kind: 'line', hint: 'An office, not a person.' },
  { name: 'decision', label: 'Decision that allows it', kind: 'line' },
  { name: 'decided_on', label: 'Decided on', kind: 'date' },
  { name: 'dpia', label: 'Impact assessment', kind: 'link', hint: 'Address of the document.' },
  { name: 'technology', label: 'Technology', kind: 'line' },
  { name: 'supplier', label: 'Supplier', kind: 'line' },
  { name: 'algorithm', label: 'Rules or other algorithms work on the data', kind: 'choice' },
  { name: 'algorithm_link', label: 'Description of the algorithm', kind: 'link' },
  { name: 'street_sign', label: 'Text of the street sign', kind: 'line' },
];

/** What stands in the control of a field. */
export function textOf(value: Purpose[keyof Purpose] | undefined): string {
  if (value === undefined || value === null) return '';
  return Array.isArray(value) ? value.join('\n') : String(value);
}

/** The entry that the form describes, or what is wrong with it. */
export function readEntry(form: FormData): { entry: Purpose } | { wrong: string; field: string } {
  const raw: Record<string, unknown> = {};
  for (const { name, kind } of FIELDS) {
    const sent = form.get(name);
    const text = typeof sent === 'string' ? sent.trim() : '';
    if (kind === 'choice') raw[name] = text !== '';
    else if (kind === 'lines') raw[name] = text.split('\n').map((line) => line.trim()).filter((line) => line !== '');
    else if (kind === 'days') raw[name] = Number(text);
    else if (kind === 'date' || kind === 'link') raw[name] = text === '' ? null : text;
    else raw[name] = text;
  }
  const parsed = Purpose.safeParse(raw);
  if (parsed.success) return { entry: parsed.data };
  const issue = parsed.error.issues[0];
  const field = String(issue?.path[0] ?? '');
  return { wrong: `${FIELDS.find(({ name }) => name === field)?.label ?? field}: ${issue?.message ?? 'is not valid'}`, field };
}
