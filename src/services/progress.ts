import { IncidentChanged } from '../contracts/incident.ts';
import type { RequestReopened } from '../contracts/request.ts';
import { isoOf, ok, refuse, type Clock, type Result } from '../kernel/index.ts';
import type { Bus, BusEvent } from '../platform/index.ts';
import type { Catalogue } from './catalogue.ts';
import type { Answers } from './answers.ts';
import type { TrustDoor } from './doors.ts';
import { cleanText } from './field-text.ts';
import { filedOfRow } from './filing.ts';
import { close, reopenByResident, stepOf } from './request.ts';
import type { RequestRow, RequestStore } from './request-store.ts';
import { sealReopening } from './words-of-residents.ts';

interface ProgressDeps {
  readonly store: RequestStore;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly catalogue: Catalogue;
  readonly trust: Pick<TrustDoor, 'cases' | 'looks' | 'purposes'>;
}

/**
 * Carries an incident's change over to the requests that joined it. Called at least once for every event, in order: the bus
 * position that a request has seen is kept with it, so a repeated event changes nothing.
 */
export async function applyIncidentChange(deps: Pick<ProgressDeps, 'store'>, event: BusEvent): Promise<void> {
  const change = IncidentChanged.parse(event.payload);
  const at = new Date(change.entry.at);
  for (const requestId of change.requestIds) {
    await deps.store.inTransaction(async (trx) => {
      const request = await deps.store.lock(trx, requestId);
      if (request === undefined || request.applied_seq >= event.seq) return;
      const step = stepOf(request.state, change);
      if (step !== null) await deps.store.change(trx, request, { state: step.state, kind: step.kind, outcome: step.closing?.outcome ?? null, sentence: step.closing?.sentence ?? null }, at);
      await deps.store.setIncident(trx, requestId, change.incident, event.seq);
    });
  }
}

/** A case worker closes a request without work. Needs an outcome and a sentence. */
export async function declineRequest(deps: Pick<ProgressDeps, 'store' | 'clock'>, id: string, outcome: string, sentence: string): Promise<Result<RequestRow>> {
  return deps.store.inTransaction(async (trx) => {
    const request = await deps.store.lock(trx, id);
    if (request === undefined) return refuse('request.not-found', 'There is no request of this id.', 'id');
    const step = close(request.state, outcome, sentence);
    if (!step.ok) return step;
    await deps.store.change(trx, request, { state: step.value.state, kind: 'closed', outcome: step.value.closing?.outcome ?? null, sentence: step.value.closing?.sentence ?? null }, new Date(deps.clock.nowMs()));
    return ok(request);
  });
}

/** The resident says within 14 days of closing that it is not done; the room learns it by `request.reopened`, and reads why with a look. */
export async function reopenRequest(deps: ProgressDeps, id: string, reason: string): Promise<Result<RequestRow>> {
  return deps.store.inTransaction(async (trx) => {
    const request = await deps.store.lock(trx, id);
    if (request === undefined) return refuse('request.not-found', 'There is no request behind this link.', 'token');
    const nowMs = deps.clock.nowMs();
    const step = reopenByResident(request.state, request.closed_at?.getTime() ?? null, nowMs);
    if (!step.ok) return step;
    const report = filedOfRow(deps.catalogue, request);
    if (report === null) return refuse('request.act-not-allowed', 'The city no longer offers this service; please file a new report.');
    if (request.erased_at !== null) return refuse('request.act-not-allowed', 'What you wrote was erased; please file a new report.');
    const over = deps.trust.purposes?.refusalOf(request.purpose ?? report.purpose) ?? null;
    if (over !== null) return { ok: false, refusal: over };
    const seq = await deps.store.change(trx, request, { state: step.value.state, kind: 'reopened_by_resident', outcome: null, sentence: null, sealed: true }, new Date(nowMs));
    await sealReopening(deps.trust, trx, id, seq, reason);
    const reopened: RequestReopened = { report: { ...report, hasWords: true }, incidentId: request.incident_id, at: isoOf(nowMs) };
    await deps.bus.publish(trx, 'request.reopened', id, reopened);
    return ok(request);
  });
}

/** Releases texts to the public, or takes them back with null. */
export async function publishRequest(deps: Pick<ProgressDeps, 'store' | 'clock'>, id: string, text: { description: string; answers: Answers | null } | null): Promise<Result<null>> {
  return deps.store.inTransaction(async (trx) => {
    const request = await deps.store.lock(trx, id);
    if (request === undefined) return refuse('request.not-found', 'There is no request of this id.', 'id');
    await deps.store.publish(trx, id, text !== null, text === null ? { description: null, answers: null } : { description: cleanText(text.description), answers: text.answers }, new Date(deps.clock.nowMs()));
    return ok(null);
  });
}
