import type { Language } from '../contracts/common.ts';
import type { RequestDetail, RequestSummary } from '../contracts/request.ts';
import { showAnswers, type ShownAnswer } from './answers.ts';
import { inLanguage, type Catalogue } from './catalogue.ts';
import { noteText } from './public-view.ts';
import { pointOf, type NoteRow, type RequestRow } from './request-store.ts';
import { answersIn, reopeningRecord } from './words-of-residents.ts';

/** A row of the staff list: about the city, with no word of a resident but what was released to everybody. */
export function summaryOf(catalogue: Catalogue, row: RequestRow, asked: Language | undefined): RequestSummary {
  const service = catalogue.byCode(row.service_code);
  return {
    requestId: row.id,
    serviceCode: row.service_code,
    serviceName: service === undefined ? row.service_code : inLanguage(service.name, asked ?? catalogue.defaultLanguage),
    state: row.state,
    description: row.published ? (row.public_description ?? '') : '',
    hasWords: row.word_fields.length > 0,
    published: row.published,
    address: row.address,
    point: [...pointOf(row)],
    filedAt: row.filed_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
    expectedAt: row.expected_at?.toISOString() ?? null,
    incidentNumber: row.incident_number,
    incidentId: row.incident_id,
    hasContact: row.contact_fields.length > 0,
  };
}

export function detailOf(catalogue: Catalogue, row: RequestRow, notes: readonly NoteRow[], asked: Language | undefined): RequestDetail {
  const language = asked ?? catalogue.defaultLanguage;
  return {
    ...summaryOf(catalogue, row, asked),
    language: row.language,
    source: row.source,
    publicDescription: row.public_description,
    outcome: row.outcome,
    sentence: row.sentence,
    closedAt: row.closed_at?.toISOString() ?? null,
    answers: showAnswers(catalogue.byCode(row.service_code), row.attributes, language, false),
    notes: notes.map((note) => ({ at: note.at.toISOString(), state: note.state, text: noteText(note, language, note.kind === 'reopened_by_resident' ? '' : undefined) })),
    contact: row.contact_fields,
    words: [...row.word_fields, ...notes.filter(({ sealed }) => sealed).map(({ seq }) => reopeningRecord(seq))],
  };
}

/** The free-text answers of an opened record as people read them. */
export function wordsAnswers(catalogue: Catalogue, row: RequestRow, words: Readonly<Record<string, string>>, asked: Language | undefined): ShownAnswer[] {
  return showAnswers(catalogue.byCode(row.service_code), answersIn(words), asked ?? catalogue.defaultLanguage, true);
}

/** An opened record as one text: description, then question and answer a line. */
export function wordsText(catalogue: Catalogue, row: RequestRow, words: Readonly<Record<string, string>>, asked: Language | undefined): string {
  return [words['description'] ?? '', ...wordsAnswers(catalogue, row, words, asked).map(({ question, answer }) => `${question} ${answer}`)].filter((line) => line !== '').join('\n');
}
