import type { CsvProgress, CsvReport } from '#contracts/csv-import.ts';
import type { Mapping } from './guess.ts';

export interface UploadProblem {
  readonly title: string;
  readonly field: string;
}
export type UploadAnswer = { readonly ok: true; readonly report: CsvReport } | { readonly ok: false; readonly problem: UploadProblem };

interface UploadOptions {
  readonly dryRun: boolean;
  readonly onProgress: (share: number, readings: number | null) => void;
  readonly signal: AbortSignal;
}

/** Sends mapping and file, tells how far it is, and answers the report or what is wrong. */
export function upload(mapping: Mapping, file: File, { dryRun, onProgress, signal }: UploadOptions): Promise<UploadAnswer> {
  const form = new FormData();
  form.append('mapping', JSON.stringify(mapping));
  form.append('file', file, file.name);
  // fetch does not tell how much of a body has gone out
  const request = new XMLHttpRequest();
  return new Promise((resolve) => {
    const fail = (title: string, field = ''): void => resolve({ ok: false, problem: { title, field } });
    request.upload.onprogress = ({ loaded, total }) => onProgress(total === 0 ? 0 : loaded / total, null);
    request.onprogress = () => {
      const readings = linesOf(request.responseText).flatMap((line) => ('progress' in line ? [line.progress.readings] : [])).at(-1);
      if (readings !== undefined) onProgress(1, readings);
    };
    request.onerror = () => fail('The server does not answer. What was stored stays; send the file again, nothing is stored twice.');
    request.onabort = () => fail('Stopped. What was stored stays; send the file again, nothing is stored twice.');
    request.onload = () => {
      if (request.status !== 200) return fail(...wordsOf(request.responseText, request.status));
      if (dryRun) return resolve({ ok: true, report: JSON.parse(request.responseText) as CsvReport });
      const last = linesOf(request.responseText).at(-1);
      if (last !== undefined && 'report' in last) resolve({ ok: true, report: last.report });
      else if (last !== undefined && 'problem' in last) fail(`${last.problem.detail} ${last.problem.cure}`, last.problem.field ?? '');
      else fail('The answer ended too early. Send the file again; nothing is stored twice.');
    };
    signal.addEventListener('abort', () => request.abort(), { once: true });
    request.open('POST', `/api/import/csv${dryRun ? '?dryRun=true' : ''}`);
    request.setRequestHeader('accept', dryRun ? 'application/json' : 'application/x-ndjson');
    request.send(form);
  });
}

/** Whole lines so far. */
const linesOf = (text: string): CsvProgress[] => text.slice(0, text.lastIndexOf('\n') + 1).split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as CsvProgress);

function wordsOf(text: string, status: number): [string, string] {
  try {
    const { title = '', detail = '', cure = '', field = '' } = JSON.parse(text) as Partial<Record<'title' | 'detail' | 'cure' | 'field', string>>;
    return [`${detail || title} ${cure}`.trim(), field];
  } catch {
    return [`The server answered ${status}.`, '']; // a proxy in between answered with a page of its own
  }
}
