/** A value as JSON has it; the same tree is written as XML, so the two cannot differ (GeoReport v2: JSON is the Spark mapping of the XML). */
export type Tree = string | number | boolean | null | readonly Tree[] | { readonly [name: string]: Tree };

export type Format = 'xml' | 'json';
export const CONTENT_TYPES: Readonly<Record<Format, string>> = { xml: 'text/xml; charset=utf-8', json: 'application/json; charset=utf-8' };

/** Name of one member of a list, by the name of the list. */
const MEMBERS: Readonly<Record<string, string>> = {
  services: 'service',
  service_requests: 'request',
  errors: 'error',
  endpoints: 'endpoint',
  formats: 'format',
  attributes: 'attribute',
  values: 'value',
  notes: 'note',
};

/** Writes the document in the format: XML with declaration and root element, JSON without the root (Spark). */
export function writeDocument(format: Format, root: string, tree: Tree): string {
  return format === 'json' ? JSON.stringify(tree) : `<?xml version="1.0" encoding="utf-8"?>\n${element(root, tree)}`;
}

function element(name: string, tree: Tree): string {
  if (tree === null || tree === '') return `<${name}/>`;
  if (typeof tree !== 'object') return `<${name}>${escapeText(String(tree))}</${name}>`;
  const inner = Array.isArray(tree) ? (tree as readonly Tree[]).map((member) => element(MEMBERS[name] ?? 'item', member)) : Object.entries(tree).map(([key, value]) => element(key, value));
  return inner.length === 0 ? `<${name}/>` : `<${name}>${inner.join('')}</${name}>`;
}

/** XML 1.0 §2.4 and §2.2: escapes markup, drops what no document may carry. `>` too, because of `]]>`. */
export function escapeText(text: string): string {
  return text
    .toWellFormed()
    .replace(/[\u0000-\u0008\u000B\u000C\u000E-\u001F\uFFFE\uFFFF]/g, '')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('\r', '&#13;');
}

/** W3C-DTF in UTC without milliseconds, or null. */
export function w3cOf(at: Date | null): string | null {
  return at === null ? null : at.toISOString().replace(/\.\d{3}Z$/, 'Z');
}

/** Absent optional values are null in JSON and an empty element in XML. */
export const orNull = (text: string | null): string | null => (text === null || text === '' ? null : text);
