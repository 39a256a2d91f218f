import { z } from 'zod';
import { Approval } from '../contracts/approval.ts';
import { Contact, RequestWords, SealedLookProposal, SealedLookRequest } from '../contracts/request.ts';
import { Refused, unwrap } from '../kernel/index.ts';
import type { Http } from '../platform/index.ts';
import { checkReportPurpose, contactItem, lookingAct, wordsItem } from './looking.ts';
import type { RequestRow } from './request-store.ts';
import { findRequest, type StaffDeps } from './staff-routes.ts';
import { wordsAnswers } from './staff-view.ts';
import { CONTACT_RECORD, WORDS_RECORD } from './words-of-residents.ts';

const Id = z.object({ id: z.string().max(100) });
const DAY_MS = 24 * 3_600_000;
/** A look stays closed at most this long, unless two people extend it. */
export const SEALED_MAX_DAYS = 366;
const Shown = z.object({ words: RequestWords.omit({ looks: true, reopenings: true }).nullable(), contact: Contact.omit({ look: true }).nullable(), entries: z.array(z.number().int()), until: z.string() });

/** Looks that a court or an authority orders to be told later: two people each time, a sealed leaf at once, and opened by itself on the day. */
export function registerSealedLooks(http: Http, { store, catalogue, trust, clock }: StaffDeps): void {
  http.post('/api/requests/:id/sealed-look/proposals', { config: { action: 'requests.look', stepUp: true }, schema: { params: Id, body: SealedLookProposal, response: { 201: Approval } } }, async (request, reply) => {
    const row = await findRequest(store, request.params.id);
    const body = actOf(row, request.body, clock.nowMs());
    return reply.code(201).send(unwrap(await trust.approvals.propose(request.principal, 'look.seal', row.id, body, request.body.reason)));
  });

  http.post('/api/requests/:id/sealed-look', { config: { action: 'requests.look', stepUp: true }, schema: { params: Id, body: SealedLookRequest, response: { 200: Shown } } }, async (request, reply) => {
    const { approval, ...wish } = request.body;
    const row = await findRequest(store, request.params.id);
    checkReportPurpose(trust, row);
    const nowMs = clock.nowMs();
    const body = actOf(row, wish, nowMs);
    const items = [...(wish.records.includes('words') ? wordsItem(row, { catalogue, nowMs, purposes: trust.purposes }) : []), ...(wish.records.includes('contact') ? contactItem(row, ['name', 'email', 'phone'], { catalogue, nowMs, purposes: trust.purposes }) : [])];
    if (items.length === 0) throw new Refused({ code: 'request.not-found', detail: 'No such data is kept for this request.', field: 'records' });
    const act = { ...lookingAct(trust, request.principal, 'requests.look', wish, 'detail'), sealedUntil: wish.until };
    // the approval counts as used only if the look was made
    const shown = await store.inTransaction(async (trx) => {
      unwrap(await trust.approvals.spend(trx, approval, 'look.seal', row.id, body));
      return unwrap(await trust.looks.open(act, items));
    });
    const plainOf = (record: string) => shown.find((each) => each.record === record)?.plain;
    const [words, contact] = [plainOf(WORDS_RECORD), plainOf(CONTACT_RECORD)];
    reply.header('cache-control', 'no-store');
    return {
      words: words === undefined ? null : { requestId: row.id, language: row.language, description: words['description'] ?? '', answers: wordsAnswers(catalogue, row, words, undefined) },
      contact: contact === undefined ? null : { name: contact['name'] ?? '', email: contact['email'] ?? '', phone: contact['phone'] ?? '' },
      entries: shown.map(({ look }) => look.index),
      until: wish.until,
    };
  });
}

/** Exactly what the second person agrees to. */
function actOf(row: RequestRow, { until, records, purpose, reasonCode, reason }: z.infer<typeof SealedLookProposal>, nowMs: number) {
  const untilMs = Date.parse(until);
  if (untilMs <= nowMs || untilMs > nowMs + SEALED_MAX_DAYS * DAY_MS) throw new Refused({ code: 'http.invalid', detail: `The day lies ahead, at most ${SEALED_MAX_DAYS} days.`, field: 'until' });
  return { requestId: row.id, until, records: [...records].sort(), purpose, reasonCode, reason };
}
