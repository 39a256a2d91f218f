import { Refused } from '../../../kernel/index.ts';
import { childrenOf, textAt, type XmlElement } from '../xml.ts';

/** One alert that an index points to. */
export interface IndexEntry {
  readonly url: string;
  /** Changes when the alert does: id and time of change. */
  readonly version: string;
}

const ATOM = 'http://www.w3.org/2005/Atom';
const ENTRIES_MAX = 1_000;
const CAP_TYPE = 'application/cap+xml';

/** Whether a document is an Atom (RFC 4287) or RSS 2.0 index of alerts. */
export const isIndex = (root: XmlElement): boolean => (root.name === 'feed' && root.namespace === ATOM) || root.name === 'rss';

/** The alerts that an index points to; its own summaries of them are not used. */
export function readIndex(root: XmlElement, baseUrl: string): IndexEntry[] {
  const entries = root.name === 'rss' ? root.children.flatMap((channel) => childrenOf(channel, 'item').map((item) => readItem(item, baseUrl))) : childrenOf(root, 'entry').map((entry) => readEntry(entry, baseUrl));
  if (entries.length > ENTRIES_MAX) throw new Refused({ code: 'feed.document-too-large', detail: `An index has at most ${ENTRIES_MAX} entries.`, field: 'entry' });
  return entries;
}

function readEntry(entry: XmlElement, baseUrl: string): IndexEntry {
  const links = childrenOf(entry, 'link').filter((link) => link.attributes['href'] !== undefined);
  const link = links.find(({ attributes }) => attributes['type'] === CAP_TYPE) ?? links.find(({ attributes }) => (attributes['rel'] ?? 'alternate') === 'alternate');
  const url = resolve(link?.attributes['href'], baseUrl, entry);
  return { url, version: `${textAt(entry, 'id') ?? url} ${textAt(entry, 'updated') ?? ''}` };
}

function readItem(item: XmlElement, baseUrl: string): IndexEntry {
  const url = resolve(textAt(item, 'link') ?? undefined, baseUrl, item);
  return { url, version: `${textAt(item, 'guid') ?? url} ${textAt(item, 'pubDate') ?? ''}` };
}

function resolve(href: string | undefined, baseUrl: string, element: XmlElement): string {
  const url = href !== undefined && href.length <= 2_000 && URL.canParse(href, baseUrl) ? new URL(href, baseUrl) : null;
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) throw new Refused({ code: 'feed.document-invalid', detail: 'An entry of the index needs a link to its alert.', field: `${element.name}, line ${element.line}` });
  return url.href;
}
