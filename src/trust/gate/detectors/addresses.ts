import { findAll, isAmong, words, type Detector, type Hit } from './detector.ts';

const MAC_WORDS = words`mac(?:[ _-]?(?:addr(?:ess)?|id))?|bssid|ssid|eui-?48|bluetooth|ble|beacon|wi-?fi|wlan|probe|hw ?addr|(?:hardware|physical) address|ethernet|ether|station|handset|seen|sighted|nearby|neighbou?r|smartphone|client|device (?:addr(?:ess)?|id)|device|geräte?(?:adresse)?|gerät`;
const PAYLOAD_WORDS = words`payload|hex|raw|data|bytes|frm|frame|buffer|crc|hash|commit|version|serial(?: ?(?:no|nr|number))?|sn|eui`;

// IEEE Std 802-2014 §8.1: six octets; neither a ninth-to-twelfth digit nor a seventh group follows, or it is another number
const PAIRED = /(?<![0-9A-Za-z])(?<!(?<![0-9A-Za-z])[0-9A-Fa-f]{2}[:.-])[0-9A-Fa-f]{2}([:.\- ])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}(?![0-9A-Za-z])(?!\1[0-9A-Fa-f]{2}(?![0-9A-Za-z]))/g;
const SHORT_PAIRED = /(?<![0-9A-Za-z:.-])(?:[0-9A-Fa-f]{1,2}:){5}[0-9A-Fa-f]{1,2}(?![0-9A-Za-z:])/g;
const DOTTED = /(?<![0-9A-Za-z.-])(?<!(?<![0-9A-Za-z])[0-9A-Fa-f]{1,4}:)[0-9A-Fa-f]{4}([.:-])[0-9A-Fa-f]{4}\1[0-9A-Fa-f]{4}(?![0-9A-Za-z])(?!\1[0-9A-Fa-f])/g;
const HALVED = /(?<![0-9A-Za-z-])[0-9A-Fa-f]{6}[:.-][0-9A-Fa-f]{6}(?![0-9A-Za-z-])/g;
const BARE = /(?<![0-9A-Za-z-])(?:0x)?([0-9A-Fa-f]{12})(?![0-9A-Za-z]|-[0-9A-Za-z])/g;
const EUI64_PAIRED = /(?<![0-9A-Za-z])(?<!(?<![0-9A-Za-z])[0-9A-Fa-f]{2}[:-])[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){6}[0-9A-Fa-f]{2}(?![0-9A-Za-z])(?!\1[0-9A-Fa-f]{2}(?![0-9A-Za-z]))/g;
const EUI64_DOTTED = /(?<![0-9A-Za-z.-])[0-9A-Fa-f]{4}(?:\.[0-9A-Fa-f]{4}){3}(?![0-9A-Za-z])(?!\.[0-9A-Fa-f])/g;
const EUI64_BARE = /(?<![0-9A-Za-z-])(?:0x)?[0-9A-Fa-f]{16}(?![0-9A-Za-z-])/g;
const EUI64_WORDS = words`dev ?eui|eui-?64|join ?eui|app ?eui|ieee ?addr(?:ess)?|zigbee|extended address`;

const BRACKETS = /^[\s"'([{<]+|[\s"')\]}>.,;]+$/g;
const isMixed = (text: string): boolean => /\d/.test(text) && /[A-Fa-f]/.test(text);
/** Neither nobody's nor everybody's address. */
const isSomebodys = (text: string): boolean => !/^(?:0+|f+)$/i.test(text.replaceAll(/[^0-9A-Fa-f]/g, ''));
const isDateTime = (text: string): boolean => {
  const [first = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = text.split(/\D/).map(Number);
  return /^\d\d(?:\D\d\d){5}$/.test(text) && hour < 24 && minute < 60 && second < 60 && ((month >= 1 && month <= 12 && day >= 1 && day <= 31) || (month >= 1 && month <= 12 && first >= 1 && first <= 31));
};

/** Names of keys under which six whole numbers are an address, not six readings. */
export const isMacKey = (keys: string): boolean => keys !== '' && MAC_KEYS.test(keys.replace(/([a-z])([A-Z])/g, '$1 $2').replaceAll(/[_.-]/g, ' '));
const MAC_KEYS = words`mac(?: ?addr(?:ess)?)?s?|bssids?|wi-?fi|wlan|bluetooth|ble|beacons?|probes?|eui ?48|hw ?addr`;

/** MAC addresses in pairs, in fours (as routers print them), in halves and bare; EUI-64 apart. */
export const findMacs: Detector = (text, around) => {
  const among = (start: number, end: number): boolean => isAmong(MAC_WORDS, text, start, end, around);
  const hits: Hit[] = [];
  if (/[:.\- ]/.test(text)) {
    hits.push(
      ...findAll('address.mac', text, PAIRED, (match, start, end) => {
        if (!isSomebodys(match[0])) return false;
        if (match[1] === ':') return true;
        if (match[1] === '-') return !isDateTime(match[0]) || among(start, end);
        return match[1] === '.' ? isMixed(match[0]) || among(start, end) : among(start, end) || (match[0].length === text.trim().length && isMixed(match[0]) && !PAYLOAD_WORDS.test(around.keys));
      }),
      ...findAll('address.mac', text, SHORT_PAIRED, (match, start, end) => isSomebodys(match[0]) && (isMixed(match[0]) || among(start, end))),
      ...findAll('address.mac', text, DOTTED, (match, start, end) => isSomebodys(match[0]) && ((match[1] === '.' && isMixed(match[0])) || (isMixed(match[0]) && match[0].length === text.trim().length) || among(start, end))),
      ...findAll('address.mac', text, HALVED, (match, start, end) => isSomebodys(match[0]) && ((isMixed(match[0].slice(0, 6)) && isMixed(match[0].slice(7))) || among(start, end))),
      ...findAll('address.eui64', text, EUI64_PAIRED, (match) => isSomebodys(match[0]) && (match[1] === ':' || isMixed(match[0]))),
      ...findAll('address.eui64', text, EUI64_DOTTED, (match) => isSomebodys(match[0]) && isMixed(match[0])),
    );
  }
  hits.push(
    ...findAll('address.mac', text, BARE, (match, start, end) => {
      const digits = match[1] as string;
      if (!isSomebodys(digits)) return false;
      if (among(start, end)) return isMixed(digits) || /\b(?:mac|bssid|eui)/i.test(`${text.slice(Math.max(0, start - 16), start)} ${around.keys}`);
      return /[A-Fa-f]/.test(digits) && match[0] === text.replaceAll(BRACKETS, '') && !PAYLOAD_WORDS.test(around.keys.replaceAll(/[_.]/g, ' '));
    }),
    ...findAll('address.eui64', text, EUI64_BARE, (match, start, end) => isSomebodys(match[0]) && isAmong(EUI64_WORDS, text, start, end, around)),
  );
  return withoutOverlap(hits);
};

/** Of hits that overlap the first one. */
export function withoutOverlap(hits: readonly Hit[]): Hit[] {
  const ends = new Map<string, number>();
  return [...hits]
    .sort((a, b) => a.start - b.start || b.end - a.end)
    .filter(({ rule, start, end }) => {
      if (start < (ends.get(rule) ?? 0)) return false;
      ends.set(rule, end);
      return true;
    });
}

const VERSION_WORDS = /(?:\bv|\b(?:version|ver|vers|firmware|fw|sw|hw|software|hardware|release|build|rev|revision|oid|section|kapitel|chapter)\b)[\s:.=#"']*$/i;
const VERSION_KEYS = /version|firmware|\bfw\b|software|hardware|release|revision|build|\boid\b/i;
const OCTETS = '(?:(?:25[0-5]|2[0-4]\\d|1?\\d?\\d)\\.){3}(?:25[0-5]|2[0-4]\\d|1?\\d?\\d)';
const IS_IP4 = new RegExp(`^${OCTETS}$`);
const IP4 = new RegExp(`(?<![\\w.])${OCTETS}(?![\\w]|\\.\\d)`, 'g');
const IP6 = /(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,8}(?:[0-9A-Fa-f]{1,4}|(?:\d{1,3}\.){3}\d{1,3})?(?:%\w{1,16})?(?![\w:]|\.\d)/g;

/** RFC 4291 §2.2: eight groups, or fewer with one `::`; the last two may be dotted. */
function isIp6(text: string): boolean {
  const address = text.replace(/%.*$/, '');
  if (/^(?:[0-9a-f]{2}:){7}[0-9a-f]{2}$/i.test(address)) return false; // an EUI-64
  const [head = '', tail, more] = address.split('::');
  if (more !== undefined) return false;
  const groups = (part: string): number => (part === '' ? 0 : part.split(':').reduce((sum, group) => sum + (group.includes('.') ? (IS_IP4.test(group) ? 2 : NaN) : /^[0-9a-f]{1,4}$/i.test(group) ? 1 : NaN), 0));
  const count = groups(head) + groups(tail ?? '');
  return tail === undefined ? count === 8 : count >= 1 && count <= 7 && (/\d/.test(address) || count >= 3);
}

export const findIps: Detector = (text, around) => {
  const hits: Hit[] = [];
  if (text.includes('.')) {
    hits.push(
      ...findAll('address.ip', text, IP4, (match, start) => {
        if (/(?:^|\.)0\d/.test(match[0])) return false;
        return !VERSION_WORDS.test(text.slice(Math.max(0, start - 24), start)) && !VERSION_KEYS.test(around.keys);
      }),
    );
  }
  if (text.includes(':')) hits.push(...findAll('address.ip', text, IP6, (match) => isIp6(match[0])));
  return hits;
};

// RFC 5321 §4.1.2; letters of every script (RFC 6531). A name of a file is no domain. Local parts may be longer than the 64 signs of the standard.
const LOCAL = String.raw`[\p{L}\d!#$%&'*+/=?^_\x60{|}~-][\p{L}\d.!#$%&'*+/=?^_\x60{|}~-]{0,127}`;
const LABEL = String.raw`[\p{L}\d](?:[\p{L}\d_-]{0,61}[\p{L}\d])?`;
const LAST = String.raw`(?:xn--[a-z\d-]{1,59}|\p{L}{2,24})(?![\p{L}\d@-])`;
const EMAIL = new RegExp(String.raw`(?<![\p{L}\d._%+-])${LOCAL}\s?(?:@|\s?[[({](?:at|ät|@)[\])}]\s?)\s?(?:${LABEL}(?:\.|\s?[[({](?:dot|punkt|\.)[\])}]\s?)){1,8}${LAST}`, 'giu');
const SAID_EMAIL = new RegExp(String.raw`(?<![\p{L}\d._%+-])${LOCAL} (?:at|ät) (?:${LABEL} (?:dot|punkt) ){1,8}${LAST}`, 'giu');
const QUOTED = new RegExp(String.raw`"[^"\r\n]{1,64}"@(?:${LABEL}\.){1,8}${LAST}`, 'giu');
const AT_ADDRESS = new RegExp(String.raw`(?<![\p{L}\d._%+-])${LOCAL}@(?:\[[\d.:a-f]{3,45}\]|(?:\d{1,3}\.){3}\d{1,3}(?![\p{L}\d.]))`, 'giu');
const FILE_ENDS = /\.(?:png|jpe?g|gif|svg|webp|css|js|json|txt|ts|html?)$/i;
/** With a gap beside the sign a domain has to end as most do: "3 units @ hall.north" is none. */
const USUAL_END = /\.(?:[a-z]{2}|com|net|org|info|biz|edu|gov|int|mail|online|email|name|museum|app|dev)$/i;

export const findEmails: Detector = (text) => {
  if (!text.includes('@') && !/[[({](?:at|ät)[\])}]| (?:at|ät) /i.test(text)) return [];
  const hits = findAll('address.email', text, EMAIL, (match) => {
    const local = match[0].split(/\s?(?:@|[[({](?:at|ät|@)[\])}])/i)[0] ?? '';
    return !FILE_ENDS.test(match[0]) && !local.includes('..') && !local.endsWith('.') && (!/\s@|@\s/.test(match[0]) || (USUAL_END.test(match[0]) && /\p{L}/u.test(local)));
  });
  hits.push(...findAll('address.email', text, SAID_EMAIL, () => true), ...findAll('address.email', text, QUOTED, () => true), ...findAll('address.email', text, AT_ADDRESS, (match) => match[0].endsWith(']') || IS_IP4.test(match[0].slice(match[0].lastIndexOf('@') + 1))));
  return withoutOverlap(hits);
};
