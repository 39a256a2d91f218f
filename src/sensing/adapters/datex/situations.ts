import { isoOf, parseInstantMs } from '../../../kernel/index.ts';
import { readText, type DraftBatch } from '../batch.ts';
import { childAt, childrenOf, findElement, textAt, type XmlElement } from '../xml.ts';
import { readLocation, readMultilingual, typeOf, type DatexLocation, type Publication } from './document.ts';

const DEFINITION = 'https://docs.datex2.eu/levels/mastering/datamodel/situation/';
const PARAMETERS = ['situation', 'record', 'version', 'severity', 'status', 'start', 'end', 'cause', 'probability', 'comment', 'lon', 'lat'] as const;
const RECORDS_MAX = 20_000;
/** InformationStatusEnum: only real information may set anything off. */
const REAL = 'real';
/** ConfidentialityValueEnum: all others name a circle of readers. */
const UNRESTRICTED = 'noRestriction';
const ENDED = 'ended';

/**
 * Situations as terms about roads, or about a place where no road is named: what happens is the result, with severity, validity and
 * cause. The time is that of the version of the record, so a message read again says nothing new.
 */
export function addSituations(batch: DraftBatch, { element, publishedMs }: Publication, options: { readonly language: string; readonly nowMs: number }): void {
  let records = 0;
  for (const [at, situation] of childrenOf(element, 'situation').entries()) {
    const path = `situation[${at}]`;
    const header = childAt(situation, 'headerInformation');
    const confidentiality = textAt(header, 'confidentiality') ?? UNRESTRICTED;
    if (confidentiality !== UNRESTRICTED) {
      batch.refuse(`${path}.headerInformation.confidentiality`, 'feed.not-public', 'Only situations without restriction are taken.');
      continue;
    }
    for (const [recordAt, record] of childrenOf(situation, 'situationRecord').entries()) {
      records += 1;
      if (records > RECORDS_MAX) return batch.refuse(path, 'feed.document-too-large', `A publication has at most ${RECORDS_MAX} records.`);
      addRecord(batch, situation, record, `${path}.situationRecord[${recordAt}]`, textAt(header, 'informationStatus') ?? REAL, publishedMs ?? options.nowMs, options.language);
    }
  }
}

function addRecord(batch: DraftBatch, situation: XmlElement, record: XmlElement, path: string, informationStatus: string, publishedMs: number, language: string): void {
  const kind = readText(typeOf(record), 100);
  if (kind === null) return batch.refuse(path, 'feed.value-invalid', 'xsi:type must say what kind of record it is.');
  const versionText = textAt(record, 'situationRecordVersionTime') ?? textAt(record, 'situationRecordCreationTime');
  const atMs = versionText === null ? publishedMs : parseInstantMs(versionText);
  if (atMs === null) return batch.refuse(`${path}.situationRecordVersionTime`, 'feed.value-invalid', 'It is not a time with a zone.');
  const location = readLocation(childAt(record, 'groupOfLocations') ?? childAt(record, 'locationReference'));
  const placeKey = placeRecord(batch, location);
  if (placeKey === null) return batch.refuse(`${path}.locationReference`, 'feed.value-invalid', 'It names neither a road nor a position in degrees.');
  const seriesKey = `${placeKey}/${kind}`;
  batch.series({
    key: seriesKey,
    placeKey,
    name: `${location.road ?? 'Place'}: ${wordsOf(kind)}`.slice(0, 255),
    property: { key: wordsOf(kind).replaceAll(' ', '-'), name: wordsOf(kind), definition: DEFINITION },
    unit: null,
    observationType: 'OM_CategoryObservation',
    parameters: PARAMETERS,
  });
  batch.reading({
    seriesKey,
    phenomenonTime: isoOf(atMs),
    result: hasEnded(record) ? ENDED : whatHappens(record, kind),
    ...(informationStatus === REAL ? {} : { resultQuality: { valid: false, status: informationStatus.slice(0, 60) } }),
    parameters: parametersOf(situation, record, location, language),
  });
}

/** `road/A22` without a position, or a point rounded to about 100 m. Null when neither is known. */
function placeRecord(batch: DraftBatch, { road, geometry, point }: DatexLocation): string | null {
  if (road !== null) {
    batch.place({ key: `road/${road}`, name: road, kind: 'road', geometry: null });
    return `road/${road}`;
  }
  if (point === null || geometry === null) return null;
  const key = `place/${point[1].toFixed(3)},${point[0].toFixed(3)}`;
  batch.place({ key, name: `Road at ${point[1].toFixed(3)}, ${point[0].toFixed(3)}`, kind: 'road-place', geometry });
  return key;
}

/** `AbnormalTraffic` -> `abnormal traffic`. */
const wordsOf = (kind: string): string => kind.replace(/([a-z])([A-Z])/g, '$1 $2').toLowerCase();

/** The term of the record's own type element, such as abnormalTrafficType; the kind of record where it has none. */
function whatHappens(record: XmlElement, kind: string): string {
  const own = `${kind[0]?.toLowerCase() ?? ''}${kind.slice(1)}Type`;
  const named = textAt(record, own) ?? record.children.filter((child) => /Type(Extended)?$/.test(child.name) && child.children.length === 0 && child.text !== '' && child.name !== 'sourceType')[0]?.text;
  return readText(named, 100) ?? kind;
}

const hasEnded = (record: XmlElement): boolean => {
  const lifeCycle = childAt(record, 'management', 'lifeCycleManagement');
  return textAt(lifeCycle, 'end') === 'true' || textAt(lifeCycle, 'cancel') === 'true';
};

function parametersOf(situation: XmlElement, record: XmlElement, { point }: DatexLocation, language: string): Record<string, unknown> {
  const validity = childAt(record, 'validity');
  const time = (name: string): string | undefined => {
    const ms = parseInstantMs(textAt(validity, 'validityTimeSpecification', name) ?? '');
    return ms === null ? undefined : isoOf(ms);
  };
  const cause = childAt(record, 'cause');
  const parameters = {
    situation: readText(situation.attributes['id']) ?? undefined,
    record: readText(record.attributes['id']) ?? undefined,
    version: readText(record.attributes['version'], 60) ?? undefined,
    severity: readText(textAt(record, 'severity') ?? textAt(situation, 'overallSeverity'), 60) ?? undefined,
    status: readText(textAt(validity, 'validityStatus'), 60) ?? undefined,
    start: time('overallStartTime'),
    end: time('overallEndTime'),
    cause: readText(textAt(cause, 'causeType') ?? (cause === undefined ? null : readMultilingual(childAt(cause, 'causeDescription'), language)), 100) ?? undefined,
    probability: readText(textAt(record, 'probabilityOfOccurrence'), 60) ?? undefined,
    comment: readMultilingual(childrenOf(record, 'generalPublicComment').map((comment) => findElement(comment, 'values')).find((values) => values !== undefined), language) ?? undefined,
    lon: point?.[0],
    lat: point?.[1],
  };
  return Object.fromEntries(Object.entries(parameters).filter(([, value]) => value !== undefined));
}
