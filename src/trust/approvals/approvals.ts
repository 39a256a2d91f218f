import { createHash } from 'node:crypto';
import { ACT_TITLES, REASON_CHARS, type Approval, type ApprovalList, type Change, type DangerousAct } from '../../contracts/approval.ts';
import type { Position, Principal } from '../../contracts/principal.ts';
import { newId, ok, refuse, Refused, type Clock, type Random, type Refusal, type Result } from '../../kernel/index.ts';
import type { DatabaseHandle, Logger, Trx } from '../../platform/index.ts';
import { canonicalJson, type Json } from '../log/canonical.ts';
import { LogFault } from '../log/log.ts';
import {
  countOpen,
  deleteDecidedBefore,
  findApproval,
  insertApproval,
  listApprovals,
  listStaff,
  listUnended,
  lockApproval,
  lockPositions,
  moveApproval,
  reopenStuck,
  setEndedLeaf,
  settleInterrupted,
  type StoredApproval,
} from './approval-store.ts';
import { changesOf } from './changes.ts';

/** A proposal, approved or not, counts for a day. */
const LIFETIME_MS = 24 * 3_600_000;
const KEPT_MS = 365 * 24 * 3_600_000;
const BODY_MAX_BYTES = 262_144;
const SUBJECT_MAX_CHARS = 200;
const OPEN_MAX = 200;
const OPEN_MAX_PER_PERSON = 20;
const LISTED_MAX = 200;
const SETTLE_MS = 10_000;
/** An approval that has not got its leaf after this long is open again. */
const STUCK_MS = 60_000;

export interface Party {
  readonly id: string;
  readonly pseudonym: string;
}

/** What two people agreed to. */
export interface Agreement {
  readonly id: string;
  readonly act: DangerousAct;
  readonly subject: string;
  readonly body: Json;
  readonly reason: string;
  readonly proposer: Party;
  readonly approver: Party;
  /** Leaf of the transparency log that says so. */
  readonly leaf: number;
}

export type Perform = (agreement: Agreement) => Promise<Result<Json>>;
/** What the act will change, for the page; without it the body itself is shown. */
export type Describe = (subject: string, body: Json) => readonly Change[];

/** Asks the policy whether somebody may propose or approve an act. */
export type MayDecide = (verb: 'propose' | 'approve', who: { id: string; positions: readonly Position[] }, act: DangerousAct, proposerId: string | null) => boolean;

/** Two people for dangerous acts: one proposes, another approves, and exactly that is done once. */
export interface Approvals {
  /** Records the wish; nothing is done yet. `reason` is typed by the person and read by the second one, `body` names things by id and holds no resident's data. */
  propose(principal: Principal, act: DangerousAct, subject: string, body: Json, reason: string): Promise<Result<Approval>>;
  /** The second person agrees. Runs what `on` registered for the act; its value is given back, its refusal is the answer. */
  approve(principal: Principal, id: string): Promise<Result<{ approval: Approval; performed: Json }>>;
  /** Somebody who might have approved it, or the proposer, ends it. */
  decline(principal: Principal, id: string, reason: string): Promise<Result<Approval>>;
  /** Newest first, at most 200. */
  list(): Promise<Approval[]>;
  get(id: string): Promise<Approval | undefined>;
  /** The list as one person sees it: with what that person may decide. */
  listFor(principal: Principal): Promise<ApprovalList>;
  /** Registers what an approval of `act` does, once for each act. `perform` runs after the approval's leaf is durable. */
  on(act: DangerousAct, perform: Perform, describe?: Describe): void;
  /**
   * Takes an approved proposal for exactly this act, subject and body, once: it is spent if and only if `trx` commits.
   * For parts that do the act themselves, in place of `on`. Both people must still be allowed it.
   */
  spend(trx: Trx, id: string, act: DangerousAct, subject: string, body: Json): Promise<Result<Agreement>>;
  /** Writes the leaves of ends that have none yet; happens by itself every ten seconds. */
  settle(): Promise<void>;
  close(): void;
}

interface ApprovalsOptions {
  readonly handle: DatabaseHandle;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly log: { appendBody(kind: string, body: Json): Promise<number> };
  readonly may: MayDecide;
  /** Records that somebody was let or not let be one of the two; a refusal when it cannot be recorded. */
  readonly note: (principal: Principal, action: string, resource: string, allowed: boolean) => Refusal | null;
}

interface Handler {
  readonly perform: Perform;
  readonly describe: Describe | undefined;
}

const samePerson = refuse('approval.same-person', 'You proposed this yourself.').refusal;
const logAway = refuse('look.log-unavailable', 'The approval could not be written to the log; nothing was done.').refusal;

/** Settles what an earlier stop left half done, then starts. */
export async function createApprovals(options: ApprovalsOptions): Promise<Approvals> {
  await settleInterrupted(options.handle.db);
  const desk = new ApprovalDesk(options);
  const settling = setInterval(() => {
    desk.settle().catch((error: unknown) => options.logger.warn({ err: error }, 'the ends of approvals have no leaf yet'));
  }, SETTLE_MS);
  settling.unref();
  return {
    propose: (principal, act, subject, body, reason) => desk.propose(principal, act, subject, body, reason),
    approve: (principal, id) => desk.approve(principal, id),
    decline: (principal, id, reason) => desk.decline(principal, id, reason),
    list: () => desk.list(),
    get: (id) => desk.get(id),
    listFor: (principal) => desk.listFor(principal),
    on: (act, perform, describe) => desk.on(act, { perform, describe }),
    spend: (trx, id, act, subject, body) => desk.spend(trx, id, act, subject, body),
    settle: () => desk.settle(),
    close: () => clearInterval(settling),
  };
}

class ApprovalDesk {
  readonly #options: ApprovalsOptions;
  readonly #handlers = new Map<DangerousAct, Handler>(); // one an act
  #settling = false;

  constructor(options: ApprovalsOptions) {
    this.#options = options;
  }

  on(act: DangerousAct, handler: Handler): void {
    if (this.#handlers.has(act)) throw new Error(`${act} has a performer already`);
    this.#handlers.set(act, handler);
  }

  async propose(principal: Principal, act: DangerousAct, subject: string, body: Json, reason: string): Promise<Result<Approval>> {
    const { handle, clock, random, may, note } = this.#options;
    const allowed = principal.kind === 'person' && may('propose', principal, act, null);
    const unnoted = note(principal, 'act.propose', act, allowed);
    if (unnoted !== null) return { ok: false, refusal: unnoted };
    if (!allowed) return refuse('auth.forbidden', `Your position does not include proposing ${act}.`);
    const typed = reason.trim();
    if (typed.length < REASON_CHARS.min || typed.length > REASON_CHARS.max) return refuse('http.invalid', `Type a reason of ${REASON_CHARS.min} to ${REASON_CHARS.max} characters; the second person reads it.`, 'reason');
    if (subject === '' || subject.length > SUBJECT_MAX_CHARS) return refuse('http.invalid', `Name what it is done to in 1 to ${SUBJECT_MAX_CHARS} characters.`, 'subject');
    const text = canonicalJson(body);
    if (Buffer.byteLength(text) > BODY_MAX_BYTES) return refuse('http.too-large', `What is proposed is larger than ${BODY_MAX_BYTES} bytes.`, 'body');
    const at = clock.nowMs();
    const open = await countOpen(handle.db, principal.id, new Date(at));
    if (open.own >= OPEN_MAX_PER_PERSON) return refuse('http.too-many-requests', `${OPEN_MAX_PER_PERSON} of your proposals are open; have them decided first.`);
    if (open.all >= OPEN_MAX) return refuse('http.too-many-requests', `${OPEN_MAX} proposals are open; have some decided first.`);
    const id = newId('apr', at, random);
    const hash = hashOf(act, subject, text);
    const leaf = await this.#append('approval.proposed', { id, act, hash, proposer: principal.pseudonym });
    if (leaf === null) return { ok: false, refusal: logAway };
    const stored = await insertApproval(handle.db, { id, act, subject, body: text, hash, reason: typed, proposerId: principal.id, proposer: principal.pseudonym, proposedAt: new Date(at), proposedLeaf: leaf, expiresAt: new Date(at + LIFETIME_MS) });
    return ok(await this.#shown(stored));
  }

  async approve(principal: Principal, id: string): Promise<Result<{ approval: Approval; performed: Json }>> {
    const { handle, clock } = this.#options;
    const claimed = await handle.db.transaction().execute(async (trx): Promise<Result<StoredApproval>> => {
      const found = await lockApproval(trx, id);
      if (found === undefined) return notFound();
      const hindrance = hindranceOf(found, clock.nowMs()) ?? this.#refuseApprover(principal, found) ?? (await this.#refuseParties(trx, found, principal.id));
      const unnoted = this.#options.note(principal, 'act.approve', found.act, hindrance === null);
      const refusal = unnoted ?? hindrance;
      if (refusal !== null) return { ok: false, refusal };
      const moved = await moveApproval(trx, id, 'open', { state: 'approving', decider: { id: principal.id, pseudonym: principal.pseudonym, at: new Date(clock.nowMs()) } });
      return moved === undefined ? spent() : ok(moved);
    });
    if (!claimed.ok) return claimed;
    const { act, hash, proposer } = claimed.value;
    const leaf = await this.#append('approval.approved', { id, act, hash, proposer, approver: principal.pseudonym });
    if (leaf === null) {
      await moveApproval(handle.db, id, 'approving', { state: 'open', decider: null });
      return { ok: false, refusal: logAway };
    }
    const handler = this.#handlers.get(act);
    const approved = await moveApproval(handle.db, id, 'approving', { state: handler === undefined ? 'approved' : 'performing', decidedLeaf: leaf });
    if (approved === undefined) return refuse('http.conflict', 'It took so long that the proposal was opened again.', 'id');
    if (handler === undefined) return ok({ approval: await this.#shown(approved), performed: null });
    return this.#perform(handler, approved);
  }

  async #perform(handler: Handler, approved: StoredApproval): Promise<Result<{ approval: Approval; performed: Json }>> {
    const end = async (state: 'performed' | 'failed', outcome: string): Promise<StoredApproval> => {
      const ended = await moveApproval(this.#options.handle.db, approved.id, 'performing', { state, outcome });
      if (ended === undefined) throw new Error(`approval ${approved.id} was changed while its act was done`);
      await this.settle();
      return ended;
    };
    let result: Result<Json>;
    try {
      result = await handler.perform(agreementOf(approved));
    } catch (error) {
      await end('failed', error instanceof Refused ? error.refusals[0].code : 'fault');
      throw error;
    }
    if (!result.ok) {
      await end('failed', result.refusal.code);
      return result;
    }
    return ok({ approval: await this.#shown(await end('performed', '')), performed: result.value });
  }

  async decline(principal: Principal, id: string, reason: string): Promise<Result<Approval>> {
    const { handle, clock } = this.#options;
    const typed = reason.trim();
    if (typed.length < 5 || typed.length > REASON_CHARS.max) return refuse('http.invalid', `Type why, in 5 to ${REASON_CHARS.max} characters.`, 'reason');
    const found = await findApproval(handle.db, id);
    if (found === undefined) return notFound();
    const isOwn = principal.kind === 'person' && principal.id === found.proposerId;
    const hindrance = hindranceOf(found, clock.nowMs()) ?? (isOwn ? null : this.#refuseApprover(principal, found));
    if (hindrance !== null) return { ok: false, refusal: hindrance };
    const leaf = await this.#append('approval.declined', { id, act: found.act, hash: found.hash, proposer: found.proposer, decider: principal.pseudonym });
    if (leaf === null) return { ok: false, refusal: logAway };
    // a proposer who takes it back is no second person: the table keeps the two apart
    const decider = isOwn ? {} : { decider: { id: principal.id, pseudonym: principal.pseudonym, at: new Date(clock.nowMs()) } };
    const moved = await moveApproval(handle.db, id, 'open', { state: 'declined', ...decider, decidedLeaf: leaf, outcome: typed });
    return moved === undefined ? spent() : ok(await this.#shown(moved));
  }

  async spend(trx: Trx, id: string, act: DangerousAct, subject: string, body: Json): Promise<Result<Agreement>> {
    const found = await lockApproval(trx, id);
    if (found === undefined) return refuse('approval.needed', `${ACT_TITLES[act]}: there is no such approval.`, 'approval');
    if (found.act !== act || found.hash !== hashOf(act, subject, canonicalJson(body))) return refuse('approval.different', 'The approval was given for another act, another subject or other details.', 'approval');
    if (found.state === 'open' || found.state === 'approving') return refuse('approval.needed', 'The second person has not approved it yet.', 'approval');
    if (found.state !== 'approved') return spent();
    if (found.expiresAt.getTime() <= this.#options.clock.nowMs()) return expired();
    const gone = await this.#refuseParties(trx, found, found.deciderId ?? '');
    if (gone !== null) return { ok: false, refusal: gone };
    const moved = await moveApproval(trx, id, 'approved', { state: 'spent' });
    return moved === undefined ? spent() : ok(agreementOf(moved));
  }

  async list(): Promise<Approval[]> {
    const { db } = this.#options.handle;
    const names = await this.#names();
    return (await listApprovals(db, LISTED_MAX)).map((stored) => this.#toApproval(stored, names));
  }

  async get(id: string): Promise<Approval | undefined> {
    const stored = await findApproval(this.#options.handle.db, id);
    return stored && this.#shown(stored);
  }

  async listFor(principal: Principal): Promise<ApprovalList> {
    const { handle, clock, may } = this.#options;
    const [stored, staff] = await Promise.all([listApprovals(handle.db, LISTED_MAX), listStaff(handle.db)]);
    const names = new Map(staff.map(({ id, name }) => [id, name]));
    const approvals = stored.map((approval) => {
      const hindrance = hindranceOf(approval, clock.nowMs()) ?? this.#refuseApprover(principal, approval);
      return { ...this.#toApproval(approval, names), mayApprove: hindrance === null, hindrance: hindrance?.detail ?? null };
    });
    const acts = Object.keys(ACT_TITLES) as DangerousAct[];
    const approvers = staff.filter((person) => !person.disabled && acts.some((act) => may('approve', person, act, ''))).length;
    return { approvals, waiting: approvals.filter(({ mayApprove }) => mayApprove).length, approvers };
  }

  /** Writes the leaves of ends that have none yet: also of those that `spend` took, whose transaction cannot wait for the log. */
  async settle(): Promise<void> {
    if (this.#settling) return;
    this.#settling = true;
    try {
      const { handle, clock, log } = this.#options;
      await reopenStuck(handle.db, new Date(clock.nowMs() - STUCK_MS));
      for (const { id, act, hash, state, outcome, proposer, decider } of await listUnended(handle.db)) {
        await setEndedLeaf(handle.db, id, await log.appendBody(`approval.${state}`, { id, act, hash, proposer, approver: decider, ...(outcome === '' ? {} : { outcome }) }));
      }
      await deleteDecidedBefore(handle.db, new Date(clock.nowMs() - KEPT_MS));
    } finally {
      this.#settling = false;
    }
  }

  #refuseApprover(principal: Principal, approval: StoredApproval): Refusal | null {
    if (principal.kind === 'person' && principal.id === approval.proposerId) return samePerson;
    if (principal.kind === 'person' && this.#options.may('approve', principal, approval.act, approval.proposerId)) return null;
    return refuse('auth.forbidden', `Your position does not include approving ${approval.act}.`).refusal;
  }

  /** Both must be what they were: accounts are read anew and stay as they are until the transaction ends. */
  async #refuseParties(trx: Trx, approval: StoredApproval, approverId: string): Promise<Refusal | null> {
    const { may } = this.#options;
    const proposer = await lockPositions(trx, approval.proposerId);
    if (proposer === undefined || !may('propose', { id: approval.proposerId, positions: proposer }, approval.act, null)) return refuse('approval.person-gone', 'Who proposed it has no account any more or another position.').refusal;
    const approver = await lockPositions(trx, approverId);
    if (approver === undefined || !may('approve', { id: approverId, positions: approver }, approval.act, approval.proposerId)) return refuse('approval.person-gone', 'Who approves it has no account any more or another position.').refusal;
    return null;
  }

  async #append(kind: string, body: Json): Promise<number | null> {
    try {
      return await this.#options.log.appendBody(kind, body);
    } catch (error) {
      if (!(error instanceof LogFault) && !(error instanceof Refused)) throw error;
      this.#options.logger.error({ err: error }, 'the log did not take an approval');
      return null;
    }
  }

  async #names(): Promise<ReadonlyMap<string, string>> {
    return new Map((await listStaff(this.#options.handle.db)).map(({ id, name }) => [id, name]));
  }

  async #shown(stored: StoredApproval): Promise<Approval> {
    return this.#toApproval(stored, await this.#names());
  }

  #toApproval(stored: StoredApproval, names: ReadonlyMap<string, string>): Approval {
    const { id, act, subject, reason, hash, proposedAt, expiresAt, decidedAt, outcome } = stored;
    const body = JSON.parse(stored.body) as Json;
    const isOver = (stored.state === 'open' || stored.state === 'approved') && expiresAt.getTime() <= this.#options.clock.nowMs();
    const describe = this.#handlers.get(act)?.describe;
    return {
      id,
      act,
      title: ACT_TITLES[act],
      subject,
      reason,
      changes: describe === undefined ? changesOf(body) : [...describe(subject, body)],
      hash,
      state: isOver ? 'expired' : stored.state,
      proposer: { pseudonym: stored.proposer, name: names.get(stored.proposerId) ?? '' },
      proposedAt: proposedAt.toISOString(),
      expiresAt: expiresAt.toISOString(),
      decider: stored.decider === null ? null : { pseudonym: stored.decider, name: names.get(stored.deciderId ?? '') ?? '' },
      decidedAt: decidedAt?.toISOString() ?? null,
      outcome,
      leaves: [stored.proposedLeaf, stored.decidedLeaf, stored.endedLeaf].filter((leaf): leaf is number => leaf !== null),
    };
  }
}

const notFound = () => refuse('approval.not-found', 'There is no such proposal.', 'id');
const spent = () => refuse('approval.spent', 'It was used or decided already.', 'id');
const expired = () => refuse('approval.expired', 'A proposal counts for 24 hours.', 'id');
const hashOf = (act: DangerousAct, subject: string, canonicalBody: string): string => createHash('sha256').update(canonicalJson([act, subject, canonicalBody])).digest('hex');

/** What hinders everybody from deciding it. */
function hindranceOf(approval: StoredApproval, nowMs: number): Refusal | null {
  if (approval.state !== 'open') return spent().refusal;
  return approval.expiresAt.getTime() <= nowMs ? expired().refusal : null;
}

function agreementOf({ id, act, subject, body, reason, proposerId, proposer, deciderId, decider, decidedLeaf }: StoredApproval): Agreement {
  if (deciderId === null || decider === null || decidedLeaf === null) throw new Error(`approval ${id} has no second person`);
  return { id, act, subject, body: JSON.parse(body) as Json, reason, proposer: { id: proposerId, pseudonym: proposer }, approver: { id: deciderId, pseudonym: decider }, leaf: decidedLeaf };
}
