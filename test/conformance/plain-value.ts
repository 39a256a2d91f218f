import { XMLParser } from 'fast-xml-parser';

/** What an answer says, whatever its format: text, lists and named members. */
export type Plain = string | Plain[] | { [name: string]: Plain };
const MEMBER: Readonly<Record<string, string>> = { services: 'service', service_requests: 'request', errors: 'error', endpoints: 'endpoint', formats: 'format', attributes: 'attribute', values: 'value', notes: 'note' };
export const parser = new XMLParser({ parseTagValue: false, trimValues: false, ignoreAttributes: false, processEntities: true, htmlEntities: true });

/** XML as plain values: lists by the names that the standard gives them, everything else text. */
export function plainOfXml(name: string, node: unknown): Plain {
  const member = MEMBER[name];
  if (member !== undefined) {
    if (node === '') return [];
    const inner = (node as Record<string, unknown>)[member];
    return (Array.isArray(inner) ? inner : [inner]).map((each) => plainOfXml(member, each));
  }
  if (typeof node !== 'object' || node === null) return String(node);
  return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, plainOfXml(key, value)]));
}

export const plainOfJson = (value: unknown): Plain =>
  Array.isArray(value) ? value.map(plainOfJson) : typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plainOfJson(each)])) : value === null ? '' : typeof value === 'string' ? value : JSON.stringify(value);
