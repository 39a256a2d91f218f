import { z } from 'zod';
import { Language } from '../contracts/common.ts';
import type { Position, Principal } from '../contracts/principal.ts';
import { Contact, DeclineRequest, PublishRequest, RequestDetail, RequestPage, RequestState, type RequestSummary } from '../contracts/request.ts';
import { LookRequest } from '../contracts/trust.ts';
import { Refused, unwrap, type Clock } from '../kernel/index.ts';
import type { Http } from '../platform/index.ts';
import { showAnswers } from './answers.ts';
import { inLanguage, type Catalogue } from './catalogue.ts';
import type { TrustDoor } from './doors.ts';
import { declineRequest, publishRequest } from './progress.ts';
import { noteText } from './public-view.ts';
import { pointOf, type RequestRow, type RequestStore } from './request-store.ts';

export interface StaffDeps {
  readonly store: RequestStore;
  readonly catalogue: Catalogue;
  readonly trust: TrustDoor;
  readonly clock: Clock;
}

const CONTACT_FIELDS = ['name', 'email', 'phone'];
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

/** The case workers' side: the list never carries contact data; that is one look a time, with purpose and reason. */
export function registerStaff(http: Http, deps: StaffDeps): void {
  http.get('/api/requests', { config: { action: 'requests.read' }, schema: { querystring: ListQuery, response: { 200: RequestPage } } }, async (request) => {
    const { state, service, published, cursor, limit, language } = request.query;
    const rows = await deps.store.listForStaff({ limit: limit + 1, ...(state && { state }), ...(service && { serviceCode: service }), ...(published && { published: published === 'true' }), ...(cursor && { beforeSeq: Number(cursor) }) });
    const page = rows.slice(0, limit);
    return { requests: page.map((row) => summaryOf(deps.catalogue, row, language)), next: rows.length > limit ? String(page.at(-1)?.seq ?? '') : null };
  });

  http.get('/api/requests/:id', { config: { action: 'requests.read' }, schema: { params: Id, querystring: z.object({ language: Language.optional() }), response: { 200: RequestDetail } } }, async (request) => detailOf(deps, await find(deps, request.params.id), request.query.language));

  http.post('/api/requests/:id/contact', { config: { action: 'requests.look' }, schema: { params: Id, body: LookRequest, response: { 200: Contact } } }, async (request, reply) => {
    const row = await find(deps, request.params.id);
    const fields = CONTACT_FIELDS.filter((field) => row.contact_fields.includes(field));
    if (fields.length === 0) throw new Refused({ code: 'request.not-found', detail: 'No contact data is kept for this request.', field: 'id' });
    const position = lookingPosition(deps.trust, request.principal);
    const { plain, look } = unwrap(await deps.trust.cases.open({ caseId: row.id, record: 'contact', principal: request.principal, position, ...request.body, fields }));
    reply.header('cache-control', 'no-store');
    return { name: plain['name'] ?? '', email: plain['email'] ?? '', phone: plain['phone'] ?? '', look };
  });

  http.post('/api/requests/:id/publish', { config: { action: 'requests.work' }, schema: { params: Id, body: PublishRequest, response: { 200: RequestDetail } } }, async (request) => {
    unwrap(await publishRequest(deps, request.params.id, request.body.published, request.body.description));
    return detailOf(deps, await find(deps, request.params.id), undefined);
  });

  http.post('/api/requests/:id/decline', { config: { action: 'requests.work' }, schema: { params: Id, body: DeclineRequest, response: { 200: RequestDetail } } }, async (request) => {
    unwrap(await declineRequest(deps, request.params.id, request.body.outcome, request.body.sentence));
    return detailOf(deps, await find(deps, request.params.id), undefined);
  });
}

async function find(deps: StaffDeps, id: string): Promise<RequestRow> {
  const row = await deps.store.find(id);
  if (row === undefined) throw new Refused({ code: 'request.not-found', detail: 'There is no request of this id.', field: 'id' });
  return row;
}

/** The position that the look is made in: the first of the caller's that may look. */
function lookingPosition(trust: TrustDoor, principal: Principal): Position {
  const position = principal.positions.find((each) => trust.authorize({ ...principal, positions: [each] }, 'requests.look'));
  if (position === undefined) throw new Refused({ code: 'auth.forbidden', detail: 'None of your positions includes requests.look.' });
  return position;
}

function summaryOf(catalogue: Catalogue, row: RequestRow, asked: Language | undefined): RequestSummary {
  const service = catalogue.byCode(row.service_code);
  return {
    requestId: row.id,
    serviceCode: row.service_code,
    serviceName: service === undefined ? row.service_code : inLanguage(service.name, asked ?? catalogue.defaultLanguage),
    state: row.state,
    description: row.description,
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

async function detailOf(deps: StaffDeps, row: RequestRow, asked: Language | undefined): Promise<RequestDetail> {
  const language = asked ?? deps.catalogue.defaultLanguage;
  const notes = await deps.store.notesOf([row.id]);
  return {
    ...summaryOf(deps.catalogue, row, asked),
    language: row.language,
    source: row.source,
    publicDescription: row.public_description,
    outcome: row.outcome,
    sentence: row.sentence,
    closedAt: row.closed_at?.toISOString() ?? null,
    answers: showAnswers(deps.catalogue.byCode(row.service_code), row.attributes, language, true),
    notes: notes.map((note) => ({ at: note.at.toISOString(), state: note.state, text: noteText(note, language, true) })),
    contact: row.contact_fields,
  };
}
