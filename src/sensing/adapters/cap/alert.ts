import { Refused } from '../../../kernel/index.ts';
import { childrenOf, textAt, type XmlElement } from '../xml.ts';
import { readArea, type CapArea } from './area.ts';

export interface CapInfo {
  readonly language: string;
  readonly categories: readonly string[];
  readonly event: string;
  readonly responseTypes: readonly string[];
  readonly urgency: string;
  readonly severity: string;
  readonly certainty: string;
  readonly effective: string | null;
  readonly onset: string | null;
  readonly expires: string | null;
  readonly headline: string | null;
  readonly areas: readonly CapArea[];
}

export interface CapAlert {
  readonly identifier: string;
  readonly sender: string;
  readonly sent: string;
  readonly status: string;
  readonly msgType: string;
  readonly scope: string;
  /** `sender,identifier,sent` of earlier messages. */
  readonly references: readonly string[];
  readonly infos: readonly CapInfo[];
}

export type CapVersion = '1.1' | '1.2';
const NAMESPACES: Readonly<Record<CapVersion, string>> = { '1.1': 'urn:oasis:names:tc:emergency:cap:1.1', '1.2': 'urn:oasis:names:tc:emergency:cap:1.2' };
const SIGNATURE = 'http://www.w3.org/2000/09/xmldsig#';

interface Rule {
  readonly name: string;
  readonly min: 0 | 1;
  readonly max: number;
  readonly terms?: readonly string[];
  readonly isTime?: true;
}
const one = (name: string, terms?: readonly string[]): Rule => ({ name, min: 1, max: 1, ...(terms === undefined ? {} : { terms }) });
const maybe = (name: string): Rule => ({ name, min: 0, max: 1 });
const many = (name: string, min: 0 | 1 = 0, terms?: readonly string[]): Rule => ({ name, min, max: Infinity, ...(terms === undefined ? {} : { terms }) });
const time = (name: string, min: 0 | 1): Rule => ({ name, min, max: 1, isTime: true });

// CAP 1.2 §3.4, the sequences of its schema; they are read in this order
export const ALERT: readonly Rule[] = [
  one('identifier'), one('sender'), time('sent', 1), one('status', ['Actual', 'Exercise', 'System', 'Test', 'Draft']), one('msgType', ['Alert', 'Update', 'Cancel', 'Ack', 'Error']),
  maybe('source'), one('scope', ['Public', 'Restricted', 'Private']), maybe('restriction'), maybe('addresses'), many('code'), maybe('note'), maybe('references'), maybe('incidents'), many('info'),
];
export const INFO: readonly Rule[] = [
  maybe('language'), many('category', 1, ['Geo', 'Met', 'Safety', 'Security', 'Rescue', 'Fire', 'Health', 'Env', 'Transport', 'Infra', 'CBRNE', 'Other']), one('event'),
  many('responseType', 0, ['Shelter', 'Evacuate', 'Prepare', 'Execute', 'Avoid', 'Monitor', 'Assess', 'AllClear', 'None']), one('urgency', ['Immediate', 'Expected', 'Future', 'Past', 'Unknown']),
  one('severity', ['Extreme', 'Severe', 'Moderate', 'Minor', 'Unknown']), one('certainty', ['Observed', 'Likely', 'Possible', 'Unlikely', 'Unknown']), maybe('audience'), many('eventCode'),
  time('effective', 0), time('onset', 0), time('expires', 0), maybe('senderName'), maybe('headline'), maybe('description'), maybe('instruction'), maybe('web'), maybe('contact'), many('parameter'), many('resource'), many('area'),
];
export const AREA: readonly Rule[] = [one('areaDesc'), many('polygon'), many('circle'), many('geocode'), maybe('altitude'), maybe('ceiling')];

const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}[-+]\d{2}:\d{2}$/;
const INFOS_MAX = 100;
const AREAS_MAX = 2_000;

const invalid = (detail: string, element: XmlElement): Refused => new Refused({ code: 'feed.document-invalid', detail, field: `${element.name}, line ${element.line}` });

/**
 * Reads and checks an alert of the Common Alerting Protocol 1.2 (and 1.1 when it is among `versions`) as its schema and its
 * rules ask. Throws `Refused` that names the element and its line.
 */
export function readAlert(root: XmlElement, versions: readonly CapVersion[] = ['1.2']): CapAlert {
  if (root.name !== 'alert') throw invalid('The first element must be alert.', root);
  if (!versions.some((version) => NAMESPACES[version] === root.namespace)) throw invalid(`The namespace must be that of CAP ${versions.join(' or ')}.`, root);
  checkSequence(root, ALERT);
  const text = (name: string): string => textAt(root, name) ?? '';
  for (const name of ['identifier', 'sender'] as const) if (/[\s,<&]/.test(text(name)) || text(name) === '') throw invalid(`${name} must be without spaces, commas, < and & (CAP 1.2 §3.2.1).`, root);
  const msgType = text('msgType');
  const references = text('references').split(/\s+/).filter((reference) => reference !== '');
  if ((msgType === 'Update' || msgType === 'Cancel') && references.length === 0) throw invalid(`An ${msgType} must name earlier messages in references.`, root);
  const wrong = references.find((reference) => reference.split(',').length !== 3);
  if (wrong !== undefined || references.length > 1_000) throw invalid('references must be a list of sender,identifier,sent.', root);
  const infos = childrenOf(root, 'info');
  if (infos.length > INFOS_MAX) throw new Refused({ code: 'feed.document-too-large', detail: `An alert has at most ${INFOS_MAX} info.`, field: 'info' });
  return { identifier: text('identifier').slice(0, 255), sender: text('sender').slice(0, 255), sent: text('sent'), status: text('status'), msgType, scope: text('scope'), references, infos: infos.map(readInfo) };
}

function readInfo(element: XmlElement): CapInfo {
  checkSequence(element, INFO);
  const areas = childrenOf(element, 'area');
  if (areas.length > AREAS_MAX) throw new Refused({ code: 'feed.document-too-large', detail: `An info has at most ${AREAS_MAX} areas.`, field: 'area' });
  for (const area of areas) checkSequence(area, AREA);
  const texts = (name: string): string[] => childrenOf(element, name).map((child) => child.text);
  const text = (name: string): string => textAt(element, name) ?? '';
  return {
    language: textAt(element, 'language') ?? 'en-US', // the default of the schema
    categories: texts('category'),
    event: text('event'),
    responseTypes: texts('responseType'),
    urgency: text('urgency'),
    severity: text('severity'),
    certainty: text('certainty'),
    effective: textAt(element, 'effective'),
    onset: textAt(element, 'onset'),
    expires: textAt(element, 'expires'),
    headline: textAt(element, 'headline'),
    areas: areas.map(readArea),
  };
}

/** Checks the children of an element against the sequence of the schema: order, number, terms, times, nothing else. */
function checkSequence(element: XmlElement, rules: readonly Rule[]): void {
  let at = 0;
  let count = 0;
  for (const child of element.children) {
    if (child.namespace === SIGNATURE && element.name === 'alert') continue;
    if (child.namespace !== element.namespace) throw invalid('The element is of another namespace than its parent.', child);
    let found = at;
    while (rules[found] !== undefined && rules[found]?.name !== child.name) {
      if ((rules[found]?.min ?? 0) > (found === at ? count : 0)) break;
      found += 1;
    }
    const rule = rules[found];
    if (rule === undefined || rule.name !== child.name) {
      throw invalid(rule === undefined ? `${element.name} has no such element at this place.` : `${element.name} needs ${rule.name} before this.`, child);
    }
    count = found === at ? count + 1 : 1;
    at = found;
    if (count > rule.max) throw invalid(`${element.name} has one ${rule.name} only.`, child);
    if (rule.terms !== undefined && !rule.terms.includes(child.text)) throw invalid(`It must be one of ${rule.terms.join(', ')}.`, child);
    if (rule.isTime === true && (!TIME.test(child.text) || Number.isNaN(Date.parse(child.text)))) throw invalid('It must be a time such as 2026-11-24T06:00:00+01:00, without Z (CAP 1.2 §3.3.2).', child);
  }
  const missing = rules.slice(at + (count > 0 ? 1 : 0)).find((rule) => rule.min === 1);
  if (missing !== undefined) throw invalid(`${element.name} needs ${missing.name}.`, element);
}
