import type { Language } from '../contracts/common.ts';
import type { LonLat } from '../kernel/index.ts';
import { showAnswers, type ShownAnswer } from './answers.ts';
import { inLanguage, type Catalogue } from './catalogue.ts';
import type { NoteRow, RequestRow } from './request-store.ts';
import { WORDS } from './words.ts';

/** What everybody may read of a request. There is no way from here to contact data or unreleased words: the store does not hold any. */
export interface PublicView {
  readonly serviceName: string;
  readonly description: string | null;
  readonly address: string | null;
  readonly addressId: string | null;
  readonly point: LonLat;
  readonly statusNotes: string;
  readonly answers: readonly ShownAnswer[];
}

/** The public view: free text only once it is released, place and house number as the service says. */
export function publicViewOf(catalogue: Catalogue, row: RequestRow, language: Language): PublicView {
  const service = catalogue.byCode(row.service_code);
  const exact = service?.coordinates === 'exact';
  return {
    serviceName: service === undefined ? row.service_code : inLanguage(service.name, language),
    description: row.published ? row.public_description : null,
    address: row.published && exact && row.address !== '' ? row.address : row.public_address,
    addressId: exact ? row.address_id : null,
    point: [row.public_lon, row.public_lat],
    statusNotes: statusNotesOf(row, language),
    answers: showAnswers(service, { ...row.attributes, ...(row.published ? row.public_answers : null) }, language, row.published),
  };
}

/** Where the request stands, in the reader's language; the sentence stands as its author wrote it. */
export function statusNotesOf(row: Pick<RequestRow, 'state' | 'outcome' | 'sentence'>, language: Language): string {
  const words = WORDS[language];
  return row.outcome === null ? words.states[row.state] : `${words.outcomes[row.outcome]} ${row.sentence ?? ''}`.trim();
}

/** One entry of the history in words. `reason`: what the resident wrote when reopening, on the resident's own page; absent everywhere else. */
export function noteText(note: NoteRow, language: Language, reason?: string): string {
  const words = WORDS[language];
  if (note.kind === 'closed') return statusNotesOf(note, language);
  if (note.kind === 'reopened_by_city') return words.reopenedByCity;
  if (note.kind === 'reopened_by_resident') return reason === undefined ? words.states.received : `${words.reopenedByResident} ${reason}`.trim();
  return words.states[note.state];
}
