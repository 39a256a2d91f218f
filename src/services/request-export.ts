import type { Shown } from '../trust/index.ts';
import type { Catalogue } from './catalogue.ts';
import type { RequestRow } from './request-store.ts';
import { summaryOf, wordsText } from './staff-view.ts';
import { CONTACT_RECORD, WORDS_RECORD } from './words-of-residents.ts';

const COLUMNS = ['request_id', 'service', 'state', 'filed_at', 'address', 'longitude', 'latitude', 'words', 'name', 'email', 'phone', 'log_entries'] as const;

/** Requests as CSV (RFC 4180), with what was opened of each and the entries of the log that say so. */
export function writeCsv(catalogue: Catalogue, rows: readonly RequestRow[], shown: readonly Shown[]): string {
  const opened = new Map<string, Shown[]>();
  for (const each of shown) opened.set(each.caseId, [...(opened.get(each.caseId) ?? []), each]);
  const lines = rows.map((row) => {
    const own = opened.get(row.id) ?? [];
    const plainOf = (record: string): Readonly<Record<string, string>> => own.find((each) => each.record === record)?.plain ?? {};
    const { serviceName } = summaryOf(catalogue, row, undefined);
    const contact = plainOf(CONTACT_RECORD);
    return [row.id, serviceName, row.state, row.filed_at.toISOString(), row.address, String(row.lon), String(row.lat), wordsText(catalogue, row, plainOf(WORDS_RECORD), undefined), contact['name'] ?? '', contact['email'] ?? '', contact['phone'] ?? '', own.map(({ look }) => look.index).join(' ')];
  });
  return [COLUMNS, ...lines].map((cells) => cells.map(quote).join(',')).join('\r\n').concat('\r\n');
}

/** A cell that a spreadsheet would take for a formula gets an apostrophe before it (OWASP, CSV Injection); plain numbers stay. */
function quote(cell: string): string {
  const safe = /^[=+\-@\t\r]/.test(cell) && !/^-?\d+(\.\d+)?$/.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
