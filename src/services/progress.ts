import { IncidentChanged } from '../contracts/incident.ts';
import type { RequestReopened } from '../contracts/request.ts';
import { isoOf, ok, refuse, type Clock, type Result } from '../kernel/index.ts';
import type { Bus, BusEvent } from '../platform/index.ts';
import type { Catalogue } from './catalogue.ts';
import { cleanText } from './field-text.ts';
import { filedOfRow } from './filing.ts';
import { close, reopenByResident, stepOf } from './request.ts';
import type { RequestRow, RequestStore } from './request-store.ts';

interface ProgressDeps {
  readonly store: RequestStore;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly catalogue: Catalogue;
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

/** The resident says within 14 days of closing that it is not done; the room learns it by `request.reopened`. */
export async function reopenRequest(deps: ProgressDeps, id: string, reason: string): Promise<Result<RequestRow>> {
  return deps.store.inTransaction(async (trx) => {
    const request = await deps.store.lock(trx, id);
    if (request === undefined) return refuse('request.not-found', 'There is no request behind this link.', 'token');
    const nowMs = deps.clock.nowMs();
    const step = reopenByResident(request.state, request.closed_at?.getTime() ?? null, nowMs);
    if (!step.ok) return step;
    const report = filedOfRow(deps.catalogue, request);
    if (report === null) return refuse('request.act-not-allowed', 'The city no longer offers this service; please file a new report.');
    await deps.store.change(trx, request, { state: step.value.state, kind: 'reopened_by_resident', outcome: null, sentence: reason }, new Date(nowMs));
    const reopened: RequestReopened = { report, reason, incidentId: request.incident_id, at: isoOf(nowMs) };
    await deps.bus.publish(trx, 'request.reopened', id, reopened);
    return ok(request);
  });
}

/** Releases the texts to the public, as they are or as edited, or takes them back. */
export async function publishRequest(deps: Pick<ProgressDeps, 'store' | 'clock'>, id: string, published: boolean, description: string | undefined): Promise<Result<null>> {
  return deps.store.inTransaction(async (trx) => {
    const request = await deps.store.lock(trx, id);
    if (request === undefined) return refuse('request.not-found', 'There is no request of this id.', 'id');
    await deps.store.publish(trx, id, published, published ? cleanText(description ?? request.description) : null, new Date(deps.clock.nowMs()));
    return ok(null);
  });
}
