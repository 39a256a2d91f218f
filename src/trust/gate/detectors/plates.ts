import { findAll, isAmong, words, type Detector, type Hit } from './detector.ts';

const PLATE_WORDS = words`(?:licen[cs]e|number|registration|reg|car|vehicle)[ _-]?(?:plate|no|nr|number|mark)s?|plates?|vehicle|registration|car|anpr|alpr|kennzeichen|kfz|nummernschild|fahrzeug|auto|pkw|lkw|kenteken|plaque|immatriculation|immatricul\w*|voiture|targa|matr[íi]cula|coche|tablica|rejestracyjn\w+|plaka(?:s[ıi]|n[ıi]n)?|plaka numaras[ıi]|ara[çc]|rendsz[áa]m\w*|rekisteri\w*|spz|registrska|registarsk\w+|nr ?înmatriculare|matriculat\w*|registreringsnummer|bil|nummerplaat|v5c|parked|drove`;

// Districts of German plates (Fahrzeug-Zulassungsverordnung, list of the Federal Motor Transport Authority)
const DE_DISTRICTS = new Set(
  'A AA AB ABG ABI AC AE AH AIB AIC AK ALF ALZ AM AN ANA ANG ANK AÖ AP APD ARN ART AS ASD ASL ASZ AT AU AUR AW AZ AZE B BA BAD BAR BB BBG BBL BC BCH BD BE BED BEI BEL BER BF BGD BGL BH BI BID BIN BIR BIT BIW BK BKS BL BLB BLK BM BN BNA BO BOG BOH BOR BOT BP BRA BRB BRG BRI BRK BRL BRV BS BSB BSK BT BTF BÜD BÜR BÜS BÜZ BW BWL BYL BZ BZA C CA CAS CB CE CHA CLP CLZ CO COC COE COR CR CUX CW D DA DAH DAN DAU DBR DD DE DEG DEL DGF DH DI DIL DIN DIZ DKB DL DLG DM DN DO DON DU DUD DÜW DW DZ E EA EB EBE EBN EBS ECK ED EE EF EG EH EI EIC EIL EIN EIS EL EM EMD EMS EN ER ERB ERH ERK ERZ ES ESB ESW EU EW F FB FD FDB FDS FEU FF FFB FG FH FI FKB FL FLÖ FN FO FOR FR FRG FRI FRW FS FT FTL FÜ FÜS FW FZ G GA GAN GAP GC GD GDB GE GEL GEM GEO GER GF GG GHA GHC GI GK GL GLA GM GMN GN GNT GÖ GOA GOH GP GR GRA GRH GRI GRM GRZ GS GT GTH GÜ GUB GUN GV GVM GW GZ H HA HAB HAL HAM HAS HB HBN HBS HC HCH HD HDH HDL HE HEB HEF HEI HEL HER HET HF HG HGN HGW HH HHM HI HIG HIP HK HL HM HMÜ HN HO HOG HOH HOL HOM HOR HÖS HOT HP HR HRO HS HSK HST HU HV HVL HWI HX HY HZ IGB IK IL ILL IN IZ J JE JL JÜL K KA KB KC KE KEH KEL KEM KF KG KH KI KIB KK KL KLE KLZ KM KN KO KÖN KÖT KÖZ KR KRU KS KT KU KÜN KUS KW KY KYF L LA LAN LAU LB LBS LBZ LC LD LDK LDS LEO LER LEV LF LG LH LI LIB LIF LIP LL LM LN LÖ LÖB LOS LP LR LRO LSA LSN LSZ LU LÜN LUP LWL M MA MAB MAI MAK MAL MB MC MD ME MED MEG MEI MEK MEL MER MET MG MGH MGN MH MHL MI MIL MK MKK ML MM MN MO MOD MOL MON MOS MQ MR MS MSE MSH MSP MST MTK MTL MÜ MÜB MÜL MÜN MÜR MVL MW MY MYK MZ MZG N NAB NAI NAU NB ND NDH NE NEA NEB NEC NEN NES NEW NF NH NI NK NL NM NMB NMS NÖ NOH NOL NOM NOR NP NR NRW NT NU NVP NW NWM NY NZ OA OAL OB OBB OBG OC OCH OD OE OF OG OH OHA ÖHR OHV OHZ OK OL OP OPR OS OSL OTW OVI OVL OVP OZ P PA PAF PAN PAR PB PCH PE PEG PER PF PI PIR PL PLÖ PM PN PR PRÜ PS PW PZ QFT QLB R RA RC RD RDG RE REG REH REI RG RH RI RID RIE RL RM RN RO ROD ROF ROK ROL ROS ROT ROW RP RPL RS RSL RT RU RÜD RÜG RV RW RZ S SAB SAD SAL SAN SAW SB SBG SBK SC SCZ SDH SDL SDT SE SEB SEE SEF SEL SFB SFT SG SGH SH SHA SHG SHK SHL SI SIG SIM SK SL SLE SLF SLK SLN SLS SLÜ SLZ SM SMÜ SN SO SOB SOG SOK SÖM SON SP SPB SPN SR SRB SRO ST STA STB STD STE STL STO SU SUL SÜW SW SWA SY SZ SZB TBB TDO TE TET TF TG THL THW TIR TO TÖL TP TR TS TT TÜ TUT UE UEM UER UFF UH UL UM UN USI V VAI VB VEC VER VG VIB VIE VIT VK VOH VR VS W WA WAF WAK WAN WAR WAT WB WBS WDA WE WEL WEN WER WES WF WG WHV WI WIL WIS WIT WIZ WK WL WLG WM WMS WN WND WO WOB WOH WOL WOR WOS WR WRN WS WSF WST WSW WT WTL WTM WÜ WUG WÜM WUN WUR WW WZ WZL X Y Z ZE ZEL ZI ZIG ZP ZR ZS ZW ZZ'.split(' '),
);
const UNITS = /^(?:KWH|MWH|GWH|RPM|PPM|PPB|LTR|MBR|KHZ|MHZ|GHZ|HRS|KPH|KMH|MPH|BPM|DBM|VDC|VAC|KBS|PCS|PCT|JAN|FEB|MAR|APR|MAY|MAI|JUN|JUL|AUG|SEP|OCT|OKT|NOV|DEC|DEZ|UTC|GMT|CET|MEZ|KM|KW|KG|MM|CM|DB|MV|MA|HZ|PA|UG|LX|FI|BAR|MIN|SEC|STK|AND|UND|THE|BUS)$/;

/**
 * A shape of plates: found when `isClear` (its gaps alone say what it is), beside words that say so, and in its own country with a
 * gap. A text of nothing else is a plate of its own country without a gap too, where `isWhole`, and in small letters with one.
 */
interface Shape {
  readonly countries: readonly string[];
  readonly pattern: RegExp;
  readonly accept?: (match: RegExpExecArray) => boolean;
  readonly isClear?: (match: RegExpExecArray) => boolean;
  /** Alone in a text; the names of sensors look like short plates. By default it needs five signs and more. */
  readonly isWhole?: (match: RegExpExecArray) => boolean;
}

const EDGE = '(?<![\\p{L}\\d._-])';
const END = '(?![\\p{L}\\d_]|[-.]\\d)';
const shape = (body: string): RegExp => new RegExp(`${EDGE}${body}${END}`, 'gu');

const hasGap = (match: RegExpExecArray): boolean => /[- ·]/.test(match[0]);
const never = (): boolean => false;
const always = (): boolean => true;
const isWord = (letters: string | undefined): boolean => UNITS.test(letters ?? '');
/** Four letters of which some begin with a district; fewer are too like the names of devices. */
const isDistrictAndMore = (letters: string): boolean => letters.length === 4 && [2, 3].some((at) => DE_DISTRICTS.has(letters.slice(0, at)));
/** Words and numbers of lines are written like these: in small letters they are no plates. */
const LINE_LIKE = /^[A-Z]{2,4}[- ]?\d{2,3}[A-Z]?$/;
/** In small letters running text is full of words and numbers: “every 60 s”, “in 15 min”, “park 12”. Only what is written in one, or long, is more. */
const isNoText = (found: string, isHome: boolean): boolean => {
  const signs = found.replaceAll(/[^\p{L}\d]/gu, '').length;
  return (signs >= 6 && !/\s/.test(found)) || (isHome && signs >= 7 && !/^\p{L}{2,} \d+$/u.test(found));
};
/** A word and a number in capitals, as on signs, where they would be a district, letters and a number. */
const SIGN_WORDS = /^(?:EVERY|PARKS?|LANES?|ROADS?|GATES?|ZONES?|LEVEL|LINES?|TYPES?|UNITS?|ROOMS?|PARTS?|DECKS?|FLOOR|ROWS?|BAYS?|SPACE|SPOT|SPOTS|STOP|STOPS|TRAM|TRAMS|AREA|CODE|DOOR|EBENE|ETAGE|PLATZ|SPUR|TOR|HAUS|WEG|LINIE|RAUM|STAND)$/;
const GAP = '[- ]?';

const SHAPES: readonly Shape[] = [
  {
    // FZV § 10 and annex 4: eight signs at most
    countries: ['DE'],
    pattern: shape('([A-ZÄÖÜ]{1,3})([- :•]{0,2})([A-ZÄÖÜ]{1,2})[- ]?([1-9]\\d{0,3})[- ]?[EH]?'),
    accept: (match) => match[0].replaceAll(/[^A-ZÄÖÜ\d]/g, '').replace(/[EH]$/, '').length <= 8 && !isWord(match[1]) && !(match[2] === '' && SIGN_WORDS.test(match[0].replace(/[^\p{L}].*/u, ''))),
    isClear: (match) => match[2] !== '' && DE_DISTRICTS.has(match[1] as string) && (match[2]?.includes('-') === true || (!isWord(match[3]) && (match[4] as string).length > 1)) && !(match[2]?.includes('-') === true && isWord(match[3])),
    isWhole: (match) => (match[2] === '' ? (match[4] as string).length === 4 && isDistrictAndMore(match[0].replace(/\d.*/, '')) : DE_DISTRICTS.has(match[1] as string) && !isWord(match[3]) && ((match[4] as string).length > 1 || / \d/.test(match[0]))),
  },
  // GB: present style, then prefix, suffix and Northern Ireland styles (DVLA INF104)
  { countries: ['GB'], pattern: shape('([A-HJ-PR-Y][A-HJ-PR-Y](?:0[1-9]|[12]\\d|5[1-9]|[67]\\d))([- ]?)([A-HJ-PR-Z]{3})'), accept: (match) => !isWord(match[3]), isClear: (match) => match[2] !== '' },
  { countries: ['GB'], pattern: shape('[A-HJ-NPR-TV-Y]([1-9]\\d{0,2})[- ]?([A-HJ-PR-Y]{3})'), accept: (match) => !isWord(match[2]), isClear: (match) => / [A-Z]{3}$/.test(match[0]) && (match[1] as string).length > 1 },
  { countries: ['GB'], pattern: shape('([A-HJ-PR-Y]{3})[- ]?[1-9]\\d{0,2}[A-HJ-NPR-TV-Y]'), accept: (match) => !isWord(match[1]) },
  { countries: ['GB'], pattern: shape('[A-HJ-PR-Z]?[IZ][A-HJ-PR-Z][- ]?[1-9]\\d{2,3}') },
  // NL: side codes 1 to 14 (RDW)
  { countries: ['NL'], pattern: shape('(?:[A-Z]{2}-\\d{2}-\\d{2}|\\d{2}-\\d{2}-[A-Z]{2}|\\d{2}-[A-Z]{2}-\\d{2}|[A-Z]{2}-\\d{2}-[A-Z]{2}|[A-Z]{2}-[A-Z]{2}-\\d{2}|\\d{2}-[A-Z]{2}-[A-Z]{2}|\\d{2}-[A-Z]{3}-\\d|\\d-[A-Z]{3}-\\d{2}|[A-Z]{2}-\\d{3}-[A-Z]|[A-Z]-\\d{3}-[A-Z]{2}|[A-Z]{3}-\\d{2}-[A-Z]|[A-Z]-\\d{2}-[A-Z]{3}|\\d-[A-Z]{2}-\\d{3}|\\d{3}-[A-Z]{2}-\\d)'), isClear: (match) => !isWord(match[0].replaceAll(/[^A-Z]/g, '')) },
  // four digits are those of a flight or a postcode as well
  { countries: ['NL'], pattern: shape('(?:[A-Z]{2}\\d{4}|\\d{4}[A-Z]{2}|\\d{2}[A-Z]{2}\\d{2}|[A-Z]{2}\\d{2}[A-Z]{2}|\\d{2}[A-Z]{3}\\d|\\d[A-Z]{3}\\d{2}|[A-Z]{2}\\d{3}[A-Z]|[A-Z]\\d{3}[A-Z]{2}|[A-Z]{3}\\d{2}[A-Z]|\\d[A-Z]{2}\\d{3})'), isWhole: (match) => !isWord(match[0].replaceAll(/[^A-Z]/g, '')) && !/^[A-Z]{2}\d{4}$|^\d{4}[A-Z]{2}$/.test(match[0]) },
  { countries: ['BE'], pattern: shape('[1-9][- ]?([A-Z]{3})[- ]?\\d{3}'), accept: (match) => !isWord(match[1]), isClear: (match) => /^\d-[A-Z]{3}-/.test(match[0]) },
  // FR since 2009 and IT since 1994: the letters I, O, U (and Q in IT) are not used
  { countries: ['FR'], pattern: shape(`([A-HJ-NP-TV-Z]{2})${GAP}\\d{3}${GAP}([A-HJ-NP-TV-Z]{2})`), isClear: (match) => /[- ]\d{3}[- ]/.test(match[0]) && !isWord(match[2]) },
  { countries: ['FR'], pattern: shape('\\d{1,4}[ ][A-HJ-NP-TV-Z]{2,3}[ ](?:\\d{2}|2[AB])') },
  { countries: ['IT', 'AL'], pattern: shape('[A-HJ-NPR-TV-Z]{2}[- ]?\\d{3}[- ]?[A-HJ-NPR-TV-Z]{2}') },
  { countries: ['AT'], pattern: shape('([A-Z]{1,2})[- ](?:[1-9]\\d{1,4}[ ]?([A-Z]{1,3})|([A-Z]{1,3})[ ]?[1-9]\\d{0,4})'), accept: (match) => !isWord(match[1]) && !isWord(match[2] ?? match[3]), isClear: (match) => /^(?:W|[A-Z]{2})-\d{3,5} [A-Z]{1,2}$/.test(match[0]) },
  { countries: ['CH'], pattern: shape('(?:AG|AI|AR|BE|BL|BS|FR|GE|GL|GR|JU|LU|NE|NW|OW|SG|SH|SO|SZ|TG|TI|UR|VD|VS|ZG|ZH)[ ·-]?[1-9]\\d{0,2}[ ’\']?\\d{3}'), isClear: (match) => /^[A-Z]{2}[ ·]\d{3}[ ’']\d{3}$/.test(match[0]) },
  { countries: ['LI'], pattern: shape('FL[ -]?[1-9]\\d{0,4}'), isWhole: hasGap },
  { countries: ['ES'], pattern: shape('\\d{4}[- ]?([BCDFGHJKLMNPRSTVWXYZ]{3})'), accept: (match) => !isWord(match[1]) },
  { countries: ['PL'], pattern: shape('([BCDEFGKLNOPRSTWZ][A-Z]{1,2})[- ]?(?=[A-Z\\d]*\\d)[A-Z\\d]{4,5}'), accept: (match) => !isWord(match[1]), isWhole: (match) => hasGap(match) },
  {
    // Karayolları Trafik Yönetmeliği, annex: province, one to three letters, two to five digits
    countries: ['TR'],
    pattern: shape('(?:0[1-9]|[1-7]\\d|8[01])([- ]?)([A-PR-VYZ]{1,3})[- ]?(\\d{2,5})'),
    accept: (match) => !isWord(match[2]),
    isClear: (match) => match[1] === ' ' && / \d+$/.test(match[0]) && (match[2] as string).length + (match[3] as string).length > 4 && (match[2] as string).length + (match[3] as string).length < 7,
  },
  { countries: ['SE'], pattern: shape('([A-HJ-PR-UW-Z]{3}) ?\\d{2}[A-HJ-NPR-UW-Z\\d]'), accept: (match) => !isWord(match[1]) },
  { countries: ['DK', 'NO'], pattern: shape('[A-Z]{2}[- ]?\\d{2}[ ]?\\d{3}') },
  { countries: ['FI', 'HU', 'LT'], pattern: shape('([A-Z]{2,4})[- ]\\d{3}'), accept: (match) => !isWord(match[1]) },
  { countries: ['RO'], pattern: shape('(?:B[- ]?\\d{2,3}|[A-Z]{2}[- ]?\\d{2})[- ]?([A-Z]{3})'), accept: (match) => !isWord(match[1]) },
  { countries: ['IE'], pattern: shape('\\d{2}[12]?-(?:C|CE|CN|CW|D|DL|G|KE|KK|KY|L|LD|LH|LK|LM|LS|MH|MN|MO|OY|RN|SO|T|TN|TS|W|WD|WH|WX|WW)-[1-9]\\d{0,5}'), isClear: always },
  { countries: ['PT'], pattern: shape('(?:[A-Z]{2}-\\d{2}-[A-Z]{2}|\\d{2}-[A-Z]{2}-\\d{2}|[A-Z]{2}-\\d{2}-\\d{2}|\\d{2}-\\d{2}-[A-Z]{2})'), isClear: always },
  { countries: ['PT'], pattern: shape('(?:[A-Z]{2}([ ·]?)\\d{2}\\1(?:[A-Z]{2}|\\d{2})|\\d{2}([ ·]?)(?:[A-Z]{2}\\2\\d{2}|\\d{2}\\2[A-Z]{2}))'), isWhole: always },
  { countries: ['CZ'], pattern: shape('(?:\\d[A-Z][A-Z\\d][- ]?\\d{4}|[A-Z]{3}[- ]?\\d{2}[- ]?\\d{2})'), isWhole: always },
  { countries: ['SK'], pattern: shape('[A-Z]{2}[- ]?\\d{3}[- ]?[A-Z]{2}') },
  { countries: ['LU', 'LV'], pattern: shape('[A-Z]{2}[- ]?\\d{4}') },
  { countries: ['FI'], pattern: shape('(?:[A-Z]{2,3}[- ]?\\d{1,3}|\\d{1,3}[- ]?[A-Z]{1,3}|[A-Z][- ]\\d{3,5})'), accept: (match) => !isWord(match[0].replaceAll(/[^A-Z]/g, '')), isWhole: (match) => /[A-Z]{3}|[- ]\d{3}/.test(match[0]) && match[0].length >= 5 },
  { countries: ['HU'], pattern: shape('(?:[A-Z]{2} ?[A-Z]{2}[- ]\\d{3}|[A-Z]{2} \\d{2}-\\d{2}|CD \\d{3}-\\d{3}|[A-Z]-[A-Z] \\d{4}|[EPZ]-\\d{5}|S [A-Z]{3} \\d{2}|M\\d{6})'), isWhole: always },
  { countries: ['EE'], pattern: shape('\\d{3} ?([A-Z]{3})'), accept: (match) => !isWord(match[1]) },
  { countries: ['MT', 'CY'], pattern: shape('([A-Z]{3}) ?\\d{3}'), accept: (match) => !isWord(match[1]) },
  { countries: ['GR'], pattern: shape('[ABEZHIKMNOPTYX]{3}[- ]?[1-9]\\d{3}') },
  { countries: ['BG', 'UA'], pattern: shape('[ABEKMHOPCTYX]{1,2} ?\\d{4} ?[ABEKMHOPCTYX]{2}') },
  { countries: ['HR', 'RS', 'BA', 'MK'], pattern: shape('[A-ZČŠŽĐĆ]{2}[- ]?\\d{3,4}[- ]?[A-Z]{1,2}') },
  { countries: ['SI'], pattern: shape('(?:CE|GO|KK|KP|KR|LJ|MB|MS|NM|PO|SG)[ -](?=[A-Z\\d-]*\\d)[A-Z\\d]{2}-?[A-Z\\d]{3}') },
];

const LETTER_AND_DIGIT = /\p{L}.{0,8}\d|\d.{0,8}\p{L}/u;
/** Longer texts are no plate that stands alone. */
const ALONE_CHARS = 14;

/** Number plates. Without gaps or of another country they need words beside them that say what they are. */
export const findPlates: Detector = (text, around) => {
  if (!LETTER_AND_DIGIT.test(text)) return [];
  const hits: Hit[] = [];
  const upper = text.toUpperCase();
  const isFolded = upper.length === text.length && upper !== text;
  const isSomewhereNamed = isAmong(PLATE_WORDS, text, text.length, text.length, around) || PLATE_WORDS.test(text);
  const trimmed = text.length <= ALONE_CHARS + 6 ? text.trim() : '';
  for (const { countries, pattern, accept = always, isClear = never, isWhole = (match: RegExpExecArray) => match[0].length >= 5 } of SHAPES) {
    const isHome = countries.includes(around.country);
    // in another country and without a word only a clear shape counts
    if (!isHome && !isSomewhereNamed && isClear === never) continue;
    const isAlone = (match: RegExpExecArray): boolean => isHome && match[0].length === trimmed.length && trimmed.length <= ALONE_CHARS && isWhole(match);
    // a plate has a digit, and the word that names it is not the plate itself
    const isNamed = (found: string, start: number, end: number): boolean => isSomewhereNamed && found.length >= 4 && /\d/.test(found) && isAmong(PLATE_WORDS, text, start, end, around);
    hits.push(...findAll('plate', text, pattern, (match, start, end) => accept(match) && (isClear(match) || (isHome && countries[0] !== 'DE' && hasGap(match)) || isAlone(match) || isNamed(match[0], start, end))));
    if (isFolded) hits.push(...findAll('plate', upper, pattern, (match, start, end) => text.slice(start, end) !== match[0] && accept(match) && ((isAlone(match) && hasGap(match) && !LINE_LIKE.test(match[0])) || (isNamed(match[0], start, end) && (isClear(match) || isNoText(match[0], isHome))))));
  }
  return longest(hits);
};

function longest(hits: readonly Hit[]): Hit[] {
  const kept: Hit[] = [];
  for (const hit of [...hits].sort((a, b) => b.end - b.start - (a.end - a.start))) if (kept.every((other) => hit.start >= other.end || hit.end <= other.start)) kept.push(hit);
  return kept;
}
