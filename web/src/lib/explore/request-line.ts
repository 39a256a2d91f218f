/** One question to a SensorThings API: where, and with which query options. The explorer's whole state is this and how it is shown. */
export interface RequestLine {
  /** From the root of this server, such as `/v1.1/Things(1)/Datastreams`; decoded. */
  readonly path: string;
  /** Names and decoded texts in their order. */
  readonly options: readonly (readonly [name: string, text: string])[];
}

const ROOTED = /^\/v\d\.\d(\/|$)/;
/** Addresses longer than this are refused by the server. */
export const LINE_CHARS = 8_000;

/**
 * Reads what a person typed or pasted: `Things?$top=5`, `/v1.1/Things`, or a whole address of this server. An `&` inside a quoted
 * text belongs to the text. Null when it names no SensorThings API of this server.
 */
export function readLine(typed: string, root = '/v1.1', origin = ''): RequestLine | null {
  let text = typed.trim().replace(/^GET\s+/i, '');
  if (/^https?:\/\//i.test(text)) {
    if (origin === '' || !text.toLowerCase().startsWith(`${origin.toLowerCase()}/`)) return null;
    text = text.slice(origin.length);
  }
  const mark = text.indexOf('?');
  const typedPath = decode(mark < 0 ? text : text.slice(0, mark)).replace(/\/+$/, '');
  if (typedPath === '' || text.length > LINE_CHARS) return null;
  const path = typedPath.startsWith('/') ? typedPath : `${root}/${typedPath}`;
  if (!ROOTED.test(path) || path.split('/').includes('..')) return null;
  const options = mark < 0 ? [] : splitOutsideQuotes(text.slice(mark + 1), '&').filter((part) => part !== '').map(readOption);
  return { path, options };
}

function readOption(part: string): readonly [string, string] {
  const equals = part.indexOf('=');
  return equals < 0 ? [decode(part), ''] : [decode(part.slice(0, equals)), decode(part.slice(equals + 1))];
}

/** What is not valid percent-encoding stands for itself, as in `name eq '50%'`. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Splits where the separator stands outside of quoted texts. */
export function splitOutsideQuotes(text: string, separator: string): string[] {
  const parts: string[] = [];
  let quoted = false;
  let start = 0;
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === "'") quoted = !quoted;
    else if (!quoted && text.startsWith(separator, at)) {
      parts.push(text.slice(start, at));
      start = at + separator.length;
    }
  }
  parts.push(text.slice(start));
  return parts;
}

/** The line as a person reads it; `readLine` gives the same request back. */
export function lineText({ path, options }: RequestLine): string {
  const readable = (text: string): string => text.replaceAll('%', '%25').replaceAll('#', '%23');
  const value = (text: string): string => (splitOutsideQuotes(text, '&').length > 1 || oddQuotes(text) ? readable(text).replaceAll('&', '%26').replaceAll("'", oddQuotes(text) ? '%27' : "'") : readable(text));
  const query = options.map(([name, text]) => `${readable(name)}=${value(text)}`).join('&');
  return query === '' ? readable(path) : `${readable(path)}?${query}`;
}

const oddQuotes = (text: string): boolean => (text.split("'").length - 1) % 2 === 1;

// legal in a query as they are (RFC 3986 §3.4), and far easier to read so
const PLAIN: Readonly<Record<string, string>> = { '%24': '$', '%2C': ',', '%2F': '/', '%3A': ':', '%3B': ';', '%3D': '=', '%40': '@' };
const encodeText = (text: string): string => encodeURIComponent(text).replace(/%(24|2C|2F|3A|3B|3D|40)/g, (code) => PLAIN[code] ?? code).replaceAll("'", oddQuotes(text) ? '%27' : "'");

/** The address to fetch, percent-encoded. */
export function requestPath({ path, options }: RequestLine): string {
  const steps = path.split('/').map((step) => encodeURIComponent(step).replace(/%(24|2C|40)/g, (code) => PLAIN[code] ?? code)).join('/');
  return options.length === 0 ? steps : `${steps}?${options.map(([name, text]) => `${encodeText(name)}=${encodeText(text)}`).join('&')}`;
}

export const optionOf = ({ options }: RequestLine, name: string): string => options.find(([option]) => option === name)?.[1] ?? '';

/** The same request with this option; an empty text takes it away. A changed question begins at its first page. */
export function withOption(line: RequestLine, name: string, text: string): RequestLine {
  const kept = line.options.filter(([option]) => option !== '$skiptoken');
  if (text === '') return { ...line, options: kept.filter(([option]) => option !== name) };
  return kept.some(([option]) => option === name) ? { ...line, options: kept.map((pair) => (pair[0] === name ? [name, text] : pair)) } : { ...line, options: [...kept, [name, text]] };
}

/** The request behind a link that the server gave, whatever name of the server stands in it. Null for a link to elsewhere. */
export function lineOfLink(link: string): RequestLine | null {
  const rooted = /\/v\d\.\d(?:[/?].*)?$/s.exec(link.replace(/^https?:\/\/[^/]+/i, ''))?.[0];
  return rooted === undefined ? null : readLine(rooted);
}

export interface Crumb {
  readonly label: string;
  readonly line: RequestLine;
}

/** Every step of the path on the way, from the root of the API. */
export function crumbsOf({ path }: RequestLine): Crumb[] {
  const steps = path.split('/').filter((step) => step !== '');
  return steps.map((label, at) => ({ label, line: { path: `/${steps.slice(0, at + 1).join('/')}`, options: [] } }));
}

export const rootOf = ({ path }: RequestLine): string => /^\/v\d\.\d/.exec(path)?.[0] ?? '/v1.1';

/** A command to paste into a shell: single quotes keep `$` and spaces from the shell (POSIX 2.2.2). */
export const curlOf = (origin: string, line: RequestLine): string => `curl '${(origin + requestPath(line)).replaceAll("'", "'\\''")}'`;
