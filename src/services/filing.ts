import type { Language } from '../contracts/common.ts';
import { RequestFiled } from '../contracts/request.ts';
import { isoOf, newId, newSecret, ok, refuse, type Clock, type Random, type Result } from '../kernel/index.ts';
import type { Bus, Counter } from '../platform/index.ts';
import { showAnswers, type Answers } from './answers.ts';
import { inLanguage, type Catalogue, type Service } from './catalogue.ts';
import type { HashSecret, TrustDoor } from './doors.ts';
import type { Location } from './location.ts';
import { pointOf, type RequestRow, type RequestStore } from './request-store.ts';
import { partWords, sealContact, sealWords } from './words-of-residents.ts';
import { WORDS } from './words.ts';

/** A checked report, from whichever door it came. */
export interface Report {
  readonly service: Service;
  readonly language: Language;
  readonly source: 'portal' | 'georeport';
  /** The resident's words; sealed, like free-text answers. */
  readonly description: string;
  readonly answers: Answers;
  readonly location: Location;
  /** name, email, phone, account_id; empty ones are not kept. Sealed under the key of the case, never in a table or a log. */
  readonly contact: Readonly<Record<string, string>>;
  /** Made by the sender; a second report with it files nothing. Empty when there is none. */
  readonly idempotencyKey: string;
  /** Whether the resident's page says nothing of looks by itself. */
  readonly quiet?: boolean;
}

export interface Receipt {
  readonly requestId: string;
  /** Secret of the follow-up link; kept only as its hash. */
  readonly token: string;
  readonly notice: string;
  readonly repeated: boolean;
}

export interface FilingDeps {
  readonly catalogue: Catalogue;
  readonly store: RequestStore;
  readonly bus: Bus;
  readonly trust: TrustDoor;
  readonly clock: Clock;
  readonly random: Random;
  readonly hashSecret: HashSecret;
  readonly filed: Counter<'service' | 'source'>;
  /** Address of the resident's page for a secret. */
  readonly followUpUrl: (token: string) => string;
}

/** Files the report in one transaction: request, history, sealed words and contact, and the event `request.filed`, all or nothing. */
export async function fileReport(deps: FilingDeps, report: Report): Promise<Result<Receipt>> {
  const { store, clock, random, hashSecret } = deps;
  const over = deps.trust.purposes?.refusalOf(report.service.purpose) ?? null;
  if (over !== null) return { ok: false, refusal: over };
  const { blinding } = deps.trust.looks;
  // from the sender's key, when there is one, so that a repeated send gets the same link; the link itself is not kept
  const token = report.idempotencyKey === '' ? newSecret(random) : blinding.secretFor(report.idempotencyKey);
  const notice = WORDS[report.language].receipt(deps.followUpUrl(token));
  const idempotencyHash = report.idempotencyKey === '' ? null : blinding.mac('idempotency', report.idempotencyKey);
  // without the contact data, and keyed: nobody tries out texts on it
  const fingerprint = idempotencyHash === null ? null : blinding.mac('fingerprint', JSON.stringify([report.service.code, report.description, report.answers, report.location.point, report.location.address]));
  const { structured, words } = partWords(report.service, report.description, report.answers);

  const receipt = await store.inTransaction<Result<Receipt>>(async (trx) => {
    await store.lockFiling(trx);
    const filedAt = new Date(clock.nowMs());
    const known = idempotencyHash === null ? undefined : await store.findByIdempotency(trx, idempotencyHash);
    if (known) {
      if (known.fingerprint !== fingerprint) return refuse('http.conflict', 'This idempotency_key was used for another report.', 'idempotency_key');
      return ok({ requestId: known.id, token, notice, repeated: true });
    }
    const id = newId('req', filedAt.getTime(), random);
    const contact = Object.fromEntries(Object.entries(report.contact).filter(([, value]) => value !== ''));
    const contactFields = Object.keys(contact);
    const { service, location } = report;
    await store.insert(
      trx,
      {
        id,
        service_code: service.code,
        purpose: service.purpose,
        state: 'received',
        language: report.language,
        source: report.source,
        description: '',
        attributes: structured,
        word_fields: Object.keys(words),
        address: location.address,
        address_id: location.addressId,
        lon: location.point[0],
        lat: location.point[1],
        listed: service.public,
        public_address: location.publicAddress,
        public_lon: location.publicPoint[0],
        public_lat: location.publicPoint[1],
        filed_at: filedAt,
        expected_at: service.sla_hours === null ? null : new Date(filedAt.getTime() + service.sla_hours * 3_600_000),
        contact_fields: contactFields,
        quiet: report.quiet ?? false,
        idempotency_hash: idempotencyHash,
        fingerprint,
      },
      hashSecret(token),
    );
    await sealWords(deps.trust, trx, id, words, token);
    await sealContact(deps.trust, trx, id, contact, token);
    await deps.bus.publish(trx, 'request.filed', id, filedOf(deps.catalogue, service, { id, answers: structured, hasWords: Object.keys(words).length > 0, language: report.language, address: location.address, point: location.point, filedMs: filedAt.getTime() }));
    return ok({ requestId: id, token, notice, repeated: false });
  });
  if (receipt.ok && !receipt.value.repeated) deps.filed.inc({ service: report.service.code, source: report.source });
  return receipt;
}

/** The room reads the names and questions in the city's first language, whatever the resident's; the resident's words stay sealed. */
function filedOf({ defaultLanguage }: Catalogue, service: Service, request: { id: string; answers: Answers; hasWords: boolean; language: Language; address: string; point: readonly [number, number]; filedMs: number }): RequestFiled {
  const answers = showAnswers(service, request.answers, defaultLanguage, false).map(({ question, answer }) => `${question} ${answer}`);
  return RequestFiled.parse({
    requestId: request.id,
    serviceCode: service.code,
    serviceName: inLanguage(service.name, defaultLanguage),
    severity: service.severity,
    playbook: service.playbook,
    description: answers.join('\n'),
    hasWords: request.hasWords,
    language: request.language,
    address: request.address,
    point: [...request.point],
    filedAt: isoOf(request.filedMs),
    purpose: service.purpose,
  });
}

/** The event of a request that stands in the store, for a reopening; null when its service is no longer offered. */
export function filedOfRow(catalogue: Catalogue, row: RequestRow): RequestFiled | null {
  const service = catalogue.byCode(row.service_code);
  if (service === undefined) return null;
  return filedOf(catalogue, service, { id: row.id, answers: row.attributes, hasWords: row.word_fields.length > 0, language: row.language as Language, address: row.address, point: pointOf(row), filedMs: row.filed_at.getTime() });
}
