import { lineText, readLine, type RequestLine } from './request-line.ts';

export const VIEWS = ['table', 'chart', 'map', 'json'] as const;
export type View = (typeof VIEWS)[number];
export const isView = (text: string | null): text is View => (VIEWS as readonly (string | null)[]).includes(text);

// a person reads this link, and these stand in a query as they are (RFC 3986 §3.4)
const PLAIN: Readonly<Record<string, string>> = { '%24': '$', '%2C': ',', '%2F': '/', '%3A': ':', '%3B': ';', '%3D': '=', '%3F': '?', '%40': '@' };
const encode = (text: string): string => encodeURIComponent(text).replace(/%(24|2C|2F|3A|3B|3D|3F|40)/g, (code) => PLAIN[code] ?? code);

/** Address of the explorer with this question; what is not said is shown as the explorer thinks best. */
export function explorerLink(line: RequestLine | null, shown: { readonly view?: View | undefined; readonly range?: string | undefined; readonly to?: string | undefined } = {}): string {
  const pairs = [...(line === null ? [] : [['at', lineText(line)] as const]), ...Object.entries(shown).filter((pair): pair is [string, string] => pair[1] !== undefined)];
  return pairs.length === 0 ? '/explore' : `/explore?${pairs.map(([name, text]) => `${name}=${encode(text)}`).join('&')}`;
}

/** The question in an address of the explorer; null when there is none. */
export const lineOfPage = (url: { readonly origin: string; readonly searchParams: { get(name: string): string | null } }): RequestLine | null => readLine(url.searchParams.get('at') ?? '', '/v1.1', url.origin);
