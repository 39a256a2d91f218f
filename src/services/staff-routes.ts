import { z } from 'zod';
import { Language } from '../contracts/common.ts';
import { Contact, ContactRequest, DeclineRequest, PublishRequest, RequestDetail, RequestPage, RequestState, RequestWords, WordsRequest } from '../contracts/request.ts';
import { Refused, unwrap, type Clock } from '../kernel/index.ts';
import type { Http } from '../platform/index.ts';
import type { Catalogue } from './catalogue.ts';
import type { TrustDoor } from './doors.ts';
import { checkReportPurpose, contactItem, lookingAct, reopeningItems, wordsItem } from './looking.ts';
import { declineRequest, publishRequest } from './progress.ts';
import type { RequestRow, RequestStore } from './request-store.ts';
import { detailOf, summaryOf, wordsAnswers } from './staff-view.ts';
import { answersIn, REASON_FIELD, reopeningRecord, WORDS_RECORD } from './words-of-residents.ts';

export interface StaffDeps {
  readonly store: RequestStore;
  readonly catalogue: Catalogue;
  readonly trust: TrustDoor;
  readonly clock: Clock;
}

const CONTACT_FIELDS = ['name', 'email', 'phone'] as const;
/** What stands as the reason when a text is released as it is. */
const RELEASE_REASON = 'Releasing the text to the public as it stands';
const Id = z.object({ id: z.string().max(100) });
const ListQuery = z.object({
  state: RequestState.optional(),
  service: z.string().max(100).optional(),
  /** `false` is the work list of the moderation. */
  published: z.enum(['true', 'false']).optional(),
  cursor: z.string().regex(/^\d{1,15}$/, 'Use the cursor of the page before.').optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
  language: Language.optional(),
});

/** The staff's side: lists and details are about the city; a resident's words and contact data take a look each, with purpose and reason. */
export function registerStaff(http: Http, deps: StaffDeps): void {
  const { store, catalogue, trust, clock } = deps;
  const detail = async (id: string, language: Language | undefined): Promise<RequestDetail> => {
    const row = await findRequest(store, id);
    return detailOf(catalogue, row, await store.notesOf([row.id]), language);
  };

  http.get('/api/requests', { config: { action: 'requests.read' }, schema: { querystring: ListQuery, response: { 200: RequestPage } } }, async (request) => {
    const { state, service, published, cursor, limit, language } = request.query;
    const rows = await store.listForStaff({ limit: limit + 1, ...(state && { state }), ...(service && { serviceCode: service }), ...(published && { published: published === 'true' }), ...(cursor && { beforeSeq: Number(cursor) }) });
    const page = rows.slice(0, limit);
    return { requests: page.map((row) => summaryOf(catalogue, row, language)), next: rows.length > limit ? String(page.at(-1)?.seq ?? '') : null };
  });

  http.get('/api/requests/:id', { config: { action: 'requests.read' }, schema: { params: Id, querystring: z.object({ language: Language.optional() }), response: { 200: RequestDetail } } }, (request) => detail(request.params.id, request.query.language));

  http.post('/api/requests/:id/words', { config: { action: 'requests.look' }, schema: { params: Id, body: WordsRequest, response: { 200: RequestWords } } }, async (request, reply) => {
    const row = await findRequest(store, request.params.id);
    checkReportPurpose(trust, row);
    const notes = await store.notesOf([row.id]);
    const items = [...wordsItem(row, { catalogue, nowMs: clock.nowMs(), purposes: trust.purposes }), ...reopeningItems(row, notes, { catalogue, nowMs: clock.nowMs(), purposes: trust.purposes })];
    if (items.length === 0) throw new Refused({ code: 'request.not-found', detail: 'The resident wrote nothing in words.', field: 'id' });
    const shown = unwrap(await trust.looks.open(lookingAct(trust, request.principal, 'requests.look', request.body, request.body.via), items));
    const words = shown.find(({ record }) => record === WORDS_RECORD)?.plain ?? {};
    const reasonOf = (seq: number): string | undefined => shown.find(({ record }) => record === reopeningRecord(seq))?.plain[REASON_FIELD];
    reply.header('cache-control', 'no-store');
    return {
      requestId: row.id,
      language: row.language,
      description: words['description'] ?? '',
      answers: wordsAnswers(catalogue, row, words, request.body.language),
      reopenings: notes.flatMap(({ seq, at }) => {
        const reason = reasonOf(seq);
        return reason === undefined ? [] : [{ at: at.toISOString(), reason }];
      }),
      looks: shown.map(({ look }) => look),
    };
  });

  http.post('/api/requests/:id/contact', { config: { action: 'requests.contact' }, schema: { params: Id, body: ContactRequest, response: { 200: Contact } } }, async (request, reply) => {
    const row = await findRequest(store, request.params.id);
    checkReportPurpose(trust, row);
    const items = contactItem(row, request.body.fields ?? CONTACT_FIELDS, { catalogue, nowMs: clock.nowMs(), purposes: trust.purposes });
    if (items.length === 0) throw new Refused({ code: 'request.not-found', detail: 'No such contact data is kept for this request.', field: 'id' });
    const [first] = unwrap(await trust.looks.open(lookingAct(trust, request.principal, 'requests.contact', request.body, 'detail'), items));
    if (first === undefined) throw new Refused({ code: 'key.gone', detail: 'The key of this case was destroyed on purpose.' });
    const { plain, look } = first;
    reply.header('cache-control', 'no-store');
    return { name: plain['name'] ?? '', email: plain['email'] ?? '', phone: plain['phone'] ?? '', look };
  });

  http.post('/api/requests/:id/publish', { config: { action: 'requests.work' }, schema: { params: Id, body: PublishRequest, response: { 200: RequestDetail } } }, async (request) => {
    const { published, description } = request.body;
    const row = await findRequest(store, request.params.id);
    if (!published) unwrap(await publishRequest(deps, row.id, null));
    else if (description !== undefined) unwrap(await publishRequest(deps, row.id, { description, answers: null }));
    else {
      // as it stands: the city reads it to release it, and that is a look like any other
      const purpose = catalogue.byCode(row.service_code)?.purpose ?? 'service-requests';
      const items = wordsItem(row, { catalogue, nowMs: clock.nowMs(), purposes: trust.purposes });
      const [first] = items.length === 0 ? [] : unwrap(await trust.looks.open(lookingAct(trust, request.principal, 'requests.look', { purpose, reasonCode: 'review_text', reason: RELEASE_REASON }, 'detail'), items));
      unwrap(await publishRequest(deps, row.id, { description: first?.plain['description'] ?? '', answers: answersIn(first?.plain ?? {}) }));
    }
    return detail(row.id, undefined);
  });

  http.post('/api/requests/:id/decline', { config: { action: 'requests.work' }, schema: { params: Id, body: DeclineRequest, response: { 200: RequestDetail } } }, async (request) => {
    unwrap(await declineRequest(deps, request.params.id, request.body.outcome, request.body.sentence));
    return detail(request.params.id, undefined);
  });
}

export async function findRequest(store: RequestStore, id: string): Promise<RequestRow> {
  const row = await store.find(id);
  if (row === undefined) throw new Refused({ code: 'request.not-found', detail: 'There is no request of this id.', field: 'id' });
  return row;
}
