import { z } from 'zod';
import { Approval } from '../contracts/approval.ts';
import { EXPORT_ALONE_ROWS, EXPORT_ROWS_MAX, ExportRequest, SEARCH_HITS_MAX, SearchPage, SearchRequest, WordsListRequest, WordsPage, type ExportScope } from '../contracts/request.ts';
import type { LookRequest } from '../contracts/trust.ts';
import { Refused, unwrap, type Result } from '../kernel/index.ts';
import type { Http } from '../platform/index.ts';
import { contactItem, lookingAct, wordsItem } from './looking.ts';
import { writeCsv } from './request-export.ts';
import type { RequestRow } from './request-store.ts';
import type { StaffDeps } from './staff-routes.ts';
import { summaryOf, wordsText } from './staff-view.ts';
import { CONTACT_RECORD, WORDS_RECORD } from './words-of-residents.ts';

const CONTACT_OF = { name: ['name'], email: ['email'], phone: ['phone'], words: [] } as const;

/** Where many residents' data is shown at once: every row that shows a resident leaves a look of its own. For case workers only. */
export function registerWords(http: Http, deps: StaffDeps): void {
  const { store, catalogue, trust, clock } = deps;

  http.post('/api/requests/words', { config: { action: 'requests.search' }, schema: { body: WordsListRequest, response: { 200: WordsPage } } }, async (request, reply) => {
    const { state, service, published, cursor, limit, language } = request.body;
    const rows = await store.listForStaff({ limit: limit + 1, ...(state && { state }), ...(service && { serviceCode: service }), ...(published !== undefined && { published }), ...(cursor && { beforeSeq: Number(cursor) }) });
    const page = rows.slice(0, limit);
    const act = lookingAct(trust, request.principal, 'requests.search', request.body, 'list');
    const shown = new Map(unwrap(await trust.looks.open(act, page.flatMap((row) => wordsItem(row, { catalogue, nowMs: clock.nowMs(), purposes: trust.purposes })))).map((each) => [each.caseId, each]));
    reply.header('cache-control', 'no-store');
    return {
      requests: page.map((row) => ({ ...summaryOf(catalogue, row, language), words: wordsText(catalogue, row, shown.get(row.id)?.plain ?? {}, language), look: shown.get(row.id)?.look ?? null })),
      next: rows.length > limit ? String(page.at(-1)?.seq ?? '') : null,
    };
  });

  http.post('/api/requests/search', { config: { action: 'requests.search' }, schema: { body: SearchRequest, response: { 200: SearchPage } } }, async (request, reply) => {
    const { by, text, language } = request.body;
    const act = { ...lookingAct(trust, request.principal, 'requests.search', request.body, 'search'), searchBy: by };
    const found = await trust.looks.search(by, text, SEARCH_HITS_MAX + 1);
    const ids = [...new Set(found.map(({ caseId }) => caseId))];
    const rows = new Map((await store.listByIds(ids.slice(0, SEARCH_HITS_MAX))).map((row) => [row.id, row]));
    const hits = ids.flatMap((id) => rows.get(id) ?? []);
    // a hit says that this resident has this name, so it is shown with the field that matched and nothing more
    const items = hits.flatMap((row) => (by === 'words' ? wordsItem(row, { catalogue, nowMs: clock.nowMs(), purposes: trust.purposes }) : contactItem(row, CONTACT_OF[by], { catalogue, nowMs: clock.nowMs(), purposes: trust.purposes })));
    const shown = unwrap(await trust.looks.open(act, items));
    reply.header('cache-control', 'no-store');
    return {
      hits: hits.flatMap((row) => {
        const one = shown.find(({ caseId }) => caseId === row.id);
        if (one === undefined) return [];
        return [{ ...summaryOf(catalogue, row, language), words: one.record === WORDS_RECORD ? wordsText(catalogue, row, one.plain, language) : '', contact: one.record === CONTACT_RECORD ? { ...one.plain } : {}, look: one.look }];
      }),
      more: ids.length > SEARCH_HITS_MAX,
    };
  });

  http.post('/api/requests/export', { config: { action: 'requests.search' }, schema: { body: ExportRequest, response: { 200: z.string() } } }, async (request, reply) => {
    const { scope, approval } = request.body;
    const act = lookingAct(trust, request.principal, 'requests.search', request.body, 'export');
    const rows = await rowsOf(deps, scope);
    const nowMs = clock.nowMs();
    const items = rows.flatMap((row) => [...(scope.include.includes('words') ? wordsItem(row, { catalogue, nowMs, purposes: trust.purposes }) : []), ...(scope.include.includes('contact') ? contactItem(row, ['name', 'email', 'phone'], { catalogue, nowMs, purposes: trust.purposes }) : [])]);
    // what one person took in a day counts together, or many small exports would make a large one
    const taken = rows.length + (await trust.looks.countExported(request.principal.pseudonym));
    const shown = approval !== undefined || taken > EXPORT_ALONE_ROWS ? await openApproved(deps, approval, scope, request.body, taken, () => trust.looks.open(act, items)) : unwrap(await trust.looks.open(act, items));
    reply.header('cache-control', 'no-store').header('content-disposition', 'attachment; filename="requests.csv"').type('text/csv; charset=utf-8');
    return writeCsv(catalogue, rows, shown);
  });

  http.post('/api/requests/export/proposals', { config: { action: 'requests.search' }, schema: { body: ExportRequest.omit({ approval: true }), response: { 201: Approval } } }, async (request, reply) => {
    const { scope, reason } = request.body;
    await rowsOf(deps, scope);
    const { subject, body } = exportActOf(scope, request.body);
    return reply.code(201).send(unwrap(await trust.approvals.propose(request.principal, 'case.export', subject, body, reason)));
  });
}

async function rowsOf({ store }: StaffDeps, { from, to, state, service }: ExportScope): Promise<RequestRow[]> {
  const rows = await store.listForExport({ from: new Date(from), to: new Date(to), limit: EXPORT_ROWS_MAX + 1, ...(state && { state }), ...(service && { serviceCode: service }) });
  if (rows.length > EXPORT_ROWS_MAX) throw new Refused({ code: 'http.invalid', detail: `These are more than ${EXPORT_ROWS_MAX} requests; choose a shorter time.`, field: 'scope' });
  return rows;
}

/** What two people agree to: exactly this scope for exactly this purpose and reason. */
function exportActOf(scope: ExportScope, { purpose, reasonCode, reason }: LookRequest) {
  const { from, to, state, service, include } = scope;
  return { subject: `requests filed from ${from} to ${to}`, body: { from, to, state: state ?? null, service: service ?? null, include: [...include], purpose, reasonCode, reason } };
}

/** Opens what two people agreed to; the approval counts as used only if the looks were made. */
async function openApproved<T>({ store, trust }: StaffDeps, approval: string | undefined, scope: ExportScope, look: LookRequest, rows: number, open: () => Promise<Result<T>>): Promise<T> {
  if (approval === undefined) throw new Refused({ code: 'approval.needed', detail: `With what you exported in the last 24 hours (a token: what it read) these are ${rows} requests; more than ${EXPORT_ALONE_ROWS} take the approval of a second person.`, field: 'approval' });
  const { subject, body } = exportActOf(scope, look);
  return store.inTransaction(async (trx) => {
    unwrap(await trust.approvals.spend(trx, approval, 'case.export', subject, body));
    return unwrap(await open());
  });
}
