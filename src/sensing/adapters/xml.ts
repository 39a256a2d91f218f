import { SaxesParser, type SaxesTagNS } from 'saxes';
import { Refused } from '../../kernel/index.ts';

/** An element by its local name and namespace; text is that of its own, without that of its children. */
export interface XmlElement {
  readonly name: string;
  readonly namespace: string;
  /** Attributes by local name; `xsi:type` is `type`. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly XmlElement[];
  readonly text: string;
  /** Line of the opening tag, from 1. */
  readonly line: number;
}

export interface XmlLimits {
  readonly bytes: number;
  readonly depth: number;
  readonly elements: number;
  readonly text_chars: number;
  readonly attributes: number;
}

export const XML_LIMITS: XmlLimits = { bytes: 33_554_432, depth: 48, elements: 400_000, text_chars: 65_536, attributes: 32 };

interface OpenElement {
  name: string;
  namespace: string;
  attributes: Record<string, string>;
  children: XmlElement[];
  text: string;
  line: number;
}

const invalid = (detail: string, line: number): Refused => new Refused({ code: 'feed.document-invalid', detail, field: `line ${line}` });
const tooLarge = (detail: string, line: number): Refused => new Refused({ code: 'feed.document-too-large', detail, field: `line ${line}` });

const ENCODINGS: Readonly<Record<string, string>> = { 'utf-8': 'utf-8', 'us-ascii': 'utf-8', 'iso-8859-1': 'windows-1252', 'windows-1252': 'windows-1252', 'utf-16': 'utf-16le' };
const CHUNK_CHARS = 65_536;

/** The text of an XML document by its byte order mark or its declaration (XML 1.0 §4.3.3); UTF-8 without either. */
function decodeXml(body: Buffer): string {
  const byMark = body[0] === 0xff && body[1] === 0xfe ? 'utf-16le' : body[0] === 0xfe && body[1] === 0xff ? 'utf-16be' : body[0] === 0xef && body[1] === 0xbb ? 'utf-8' : null;
  const declared = /^\s*<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']/.exec(body.subarray(0, 200).toString('latin1'))?.[1]?.toLowerCase();
  const encoding = byMark ?? (declared === undefined ? 'utf-8' : ENCODINGS[declared]);
  if (encoding === undefined) throw invalid('The encoding is none of UTF-8, UTF-16, US-ASCII, ISO-8859-1, windows-1252.', 1);
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(body);
  } catch (error) {
    throw Object.assign(invalid(`The document is not in its encoding, ${encoding}.`, 1), { cause: error });
  }
}

/**
 * Reads a document into elements. No document type (so no entity but the five of XML 1.0 §4.6 and nothing from elsewhere),
 * and limits on size, depth, elements, text and attributes. Throws `Refused` with the line.
 */
export function readXml(body: Buffer, limits: XmlLimits = XML_LIMITS): XmlElement {
  if (body.length > limits.bytes) throw tooLarge(`A document has at most ${limits.bytes} bytes.`, 1);
  const text = decodeXml(body);
  const parser = new SaxesParser({ xmlns: true, position: true });
  const open: OpenElement[] = [];
  let root: XmlElement | null = null;
  let elements = 0;
  parser.on('error', (error) => {
    throw invalid(`It is not well-formed XML: ${error.message.replace(/^[^ ]*:? /, '').slice(0, 120)}`, parser.line);
  });
  parser.on('doctype', () => {
    throw invalid('A document type is not allowed: entities and files from elsewhere are not read.', parser.line);
  });
  parser.on('opentag', (tag: SaxesTagNS) => {
    elements += 1;
    if (elements > limits.elements) throw tooLarge(`A document has at most ${limits.elements} elements.`, parser.line);
    if (open.length >= limits.depth) throw tooLarge(`Elements are nested at most ${limits.depth} deep.`, parser.line);
    const attributes: Record<string, string> = {};
    for (const { local, prefix, value } of Object.values(tag.attributes)) if (prefix !== 'xmlns' && local !== 'xmlns') attributes[local] = value;
    open.push({ name: tag.local, namespace: tag.uri, attributes, children: [], text: '', line: parser.line });
  });
  let attributeCount = 0;
  parser.on('opentagstart', () => (attributeCount = 0));
  parser.on('attribute', ({ value }) => {
    attributeCount += 1;
    if (attributeCount > limits.attributes || value.length > limits.text_chars) throw tooLarge(`An element has at most ${limits.attributes} attributes of ${limits.text_chars} characters.`, parser.line);
  });
  const addText = (more: string): void => {
    const last = open.at(-1);
    if (last === undefined) return;
    if (last.text.length + more.length > limits.text_chars) throw tooLarge(`An element has at most ${limits.text_chars} characters of text.`, parser.line);
    last.text += more;
  };
  parser.on('text', addText);
  parser.on('cdata', addText);
  parser.on('closetag', () => {
    const done = open.pop() as OpenElement;
    done.text = done.text.trim();
    const parent = open.at(-1);
    if (parent === undefined) root = done;
    else parent.children.push(done);
  });
  for (let at = 0; at < text.length; at += CHUNK_CHARS) parser.write(text.slice(at, at + CHUNK_CHARS));
  parser.close();
  if (root === null) throw invalid('The document has no element.', 1);
  return root;
}

export const childrenOf = (element: XmlElement, name: string): XmlElement[] => element.children.filter((child) => child.name === name);

/** The first element along a path of local names, or undefined. */
export function childAt(element: XmlElement | undefined, ...path: readonly string[]): XmlElement | undefined {
  let at = element;
  for (const name of path) at = at?.children.find((child) => child.name === name);
  return at;
}

/** Text of the element at a path, or null when it is missing or empty. */
export function textAt(element: XmlElement | undefined, ...path: readonly string[]): string | null {
  const text = childAt(element, ...path)?.text;
  return text === undefined || text === '' ? null : text;
}

/** The first descendant of a name in document order, the element itself left out. */
export function findElement(element: XmlElement, name: string): XmlElement | undefined {
  for (const child of element.children) {
    if (child.name === name) return child;
    const found = findElement(child, name);
    if (found !== undefined) return found;
  }
  return undefined;
}
