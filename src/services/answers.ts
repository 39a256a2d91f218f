import type { Language } from '../contracts/common.ts';
import { LIMITS, isoOf, parseInstantMs, type Refusal } from '../kernel/index.ts';
import { inLanguage, type Attribute, type Service } from './catalogue.ts';
import { cleanLine, cleanText } from './field-text.ts';

/** Checked answers by attribute code: text, number, instant or one key alone; a multivaluelist as an array of keys. */
export type Answers = Readonly<Record<string, string | readonly string[]>>;

/**
 * Checks the answers to a service's questions (GeoReport v2, POST Service Request, `attribute`). Empty values count as absent.
 * Every fault is reported, each naming its code.
 */
export function readAnswers(service: Service, given: ReadonlyMap<string, readonly string[]>): { answers: Answers; refusals: Refusal[] } {
  const answers: Record<string, string | readonly string[]> = {};
  const refusals: Refusal[] = [];
  const known = new Map(service.attributes.map((attribute) => [attribute.code, attribute]));
  for (const [code, values] of given) {
    if (!known.has(code) && values.some((value) => value !== '')) refusals.push({ code: 'request.field-invalid', detail: 'This service has no attribute of this code; nothing that it does not ask for is taken.', field: `attribute[${code.slice(0, 60)}]` });
  }
  for (const attribute of service.attributes) {
    const field = `attribute[${attribute.code}]`;
    const values = (given.get(attribute.code) ?? []).map((value) => (attribute.datatype === 'text' ? cleanText(value) : cleanLine(value))).filter((value) => value !== '');
    if (values.length === 0) {
      if (attribute.required) refusals.push({ code: 'request.field-missing', detail: `${attribute.code} required: ${inLanguage(attribute.question, 'en')}`, field });
      continue;
    }
    const wrong = attribute.variable ? faultOf(attribute, values) : 'is for information only and takes no answer.';
    if (wrong !== undefined) {
      refusals.push({ code: 'request.field-invalid', detail: `${attribute.code} ${wrong}`, field });
      continue;
    }
    const [first = ''] = values;
    answers[attribute.code] = attribute.datatype === 'multivaluelist' ? [...new Set(values)] : attribute.datatype === 'datetime' ? isoOf(parseInstantMs(first) ?? 0) : first;
  }
  return { answers, refusals };
}

function faultOf({ datatype, values: allowed }: Attribute, values: readonly string[]): string | undefined {
  if (datatype !== 'multivaluelist' && values.length > 1) return 'takes one value.';
  const [first = ''] = values;
  switch (datatype) {
    case 'string':
      return first.length > LIMITS.name_chars ? `is longer than ${LIMITS.name_chars} characters.` : undefined;
    case 'text':
      return first.length > LIMITS.text_chars ? `is longer than ${LIMITS.text_chars} characters.` : undefined;
    case 'number':
      return /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?$/.test(first) && first.length <= 50 && Number.isFinite(Number(first)) ? undefined : 'must be a number such as 12.5.';
    case 'datetime':
      return parseInstantMs(first) === null ? 'must be a date and time with zone such as 2026-11-24T06:00:00Z.' : undefined;
    case 'singlevaluelist':
    case 'multivaluelist':
      return values.every((value) => allowed.some(({ key }) => key === value)) ? undefined : `takes only these keys: ${allowed.map(({ key }) => key).join(', ')}.`;
  }
}

export interface ShownAnswer {
  readonly code: string;
  readonly question: string;
  readonly answer: string;
}

/** Questions and answers as people read them; without `withFreeText` only what comes from a list or is a number or a time. */
export function showAnswers(service: Service | undefined, answers: Answers, language: Language, withFreeText: boolean): ShownAnswer[] {
  return Object.entries(answers).flatMap(([code, value]) => {
    const attribute = service?.attributes.find((each) => each.code === code);
    const isFreeText = attribute === undefined || attribute.datatype === 'string' || attribute.datatype === 'text';
    if (isFreeText && !withFreeText) return [];
    const name = (key: string): string => {
      const found = attribute?.values.find((each) => each.key === key);
      return found ? inLanguage(found.name, language) : key;
    };
    return [{ code, question: attribute ? inLanguage(attribute.question, language) : code, answer: typeof value === 'string' ? name(value) : value.map(name).join(', ') }];
  });
}
