import { afterAll, beforeAll, expect, test } from 'vitest';
import { startServicesCity, type ServicesCity } from '../../test/conformance/georeport-city.ts';
import type { PortalReceipt, PortalRequest } from '../contracts/request.ts';
import { splitReason, type Look } from '../contracts/trust.ts';

// Many staff act on many reports; a model that knows nothing of the code's ways says which looks each resident must see.

const ACTIONS = Number(process.env['LOOK_ACTIONS'] ?? 400);
const STAFF = 200;
const REPORTS = 60;
const AT_ONCE = 8;

interface Known extends PortalReceipt {
  readonly at: string;
  readonly service: string;
  readonly word: string;
  readonly surname: string;
  readonly contact: readonly string[];
  readonly hasWords: boolean;
}
interface Expected {
  readonly reason: string;
  readonly fields: string;
  readonly staff: number;
}

let city: ServicesCity;
const reports: Known[] = [];
const staff: { token: string; position: 'case_worker' | 'operator' }[] = [];
beforeAll(async () => {
  city = await startServicesCity();
  for (let n = 0; n < STAFF; n += 1) {
    const position = n % 4 === 0 ? 'operator' : 'case_worker';
    staff.push({ token: city.tokenOf(position), position });
  }
  for (let n = 0; n < REPORTS; n += 1) {
    city.clock.advance(1_000);
    const [service, answers] = n % 3 === 0 ? ['pothole', { SURFACE: 'road' }] : ['noise', { SOURCE: 'site' }];
    const hasWords = n % 7 !== 0;
    const contact = n % 5 === 0 ? [] : n % 2 === 0 ? ['name'] : ['name', 'email'];
    const surname = `Familyname${String.fromCharCode(97 + (n % 11))}`;
    const word = `Gullideckel${String.fromCharCode(97 + (n % 9))}`;
    const payload = { service_code: service, point: [8, 50], answers, ...(hasWords && { description: `${word} Nummer ${n}` }), ...(contact.includes('name') && { name: `Resident ${surname}` }), ...(contact.includes('email') && { email: `resident${n}@home.example` }) };
    const at = new Date(city.clock.nowMs()).toISOString();
    const receipt = (await city.http.inject({ method: 'POST', url: '/api/portal/requests', payload })).json<PortalReceipt>();
    reports.push({ ...receipt, at, service, word, surname, contact, hasWords });
  }
}, 120_000);
afterAll(() => city.close());

/** The same draws every time. */
function createDraw(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

interface Action {
  readonly url: string;
  readonly payload: Record<string, unknown>;
  /** Who may not, or asks wrongly: then nobody is shown anything. */
  readonly refused: boolean;
  readonly opens: readonly { report: Known; fields: readonly string[] }[];
}

const words = (report: Known) => (report.hasWords ? [{ report, fields: ['description'] }] : []);
const contact = (report: Known, fields: readonly string[] = ['name', 'email', 'phone']) => (fields.some((field) => report.contact.includes(field)) ? [{ report, fields: fields.filter((field) => report.contact.includes(field)) }] : []);
const newestFirst = (list: readonly Known[]): Known[] => [...list].reverse();

function drawAction(draw: (below: number) => number, isCaseWorker: boolean): Action {
  const report = reports[draw(REPORTS)] as Known;
  const base = `/api/requests/${report.requestId}`;
  switch (draw(10)) {
    case 0:
    case 1:
    case 2:
      return { url: `${base}/words`, payload: draw(4) === 0 ? { via: 'print' } : {}, refused: !report.hasWords, opens: words(report) };
    case 3:
    case 4: {
      const opens = contact(report);
      return { url: `${base}/contact`, payload: {}, refused: !isCaseWorker || opens.length === 0, opens };
    }
    case 5: {
      const limit = 1 + draw(8);
      const service = draw(2) === 0 ? 'pothole' : 'noise';
      return { url: '/api/requests/words', payload: { limit, service }, refused: !isCaseWorker, opens: newestFirst(reports.filter((each) => each.service === service)).slice(0, limit).flatMap(words) };
    }
    case 6:
      return { url: '/api/requests/search', payload: { by: 'words', text: report.word }, refused: !isCaseWorker, opens: newestFirst(reports.filter((each) => each.word === report.word && each.hasWords)).slice(0, 20).flatMap(words) };
    case 7:
      return { url: '/api/requests/search', payload: { by: 'name', text: report.surname.toUpperCase() }, refused: !isCaseWorker, opens: newestFirst(reports.filter((each) => each.surname === report.surname && each.contact.includes('name'))).slice(0, 20).flatMap((each) => contact(each, ['name'])) };
    case 8: {
      const first = draw(REPORTS - 6);
      const chosen = reports.slice(first, first + 5);
      const include = draw(2) === 0 ? ['words'] : ['words', 'contact'];
      return { url: '/api/requests/export', payload: { scope: { from: chosen[0]?.at, to: (reports[first + 5] as Known).at, include } }, refused: !isCaseWorker, opens: chosen.flatMap((each) => [...words(each), ...(include.includes('contact') ? contact(each) : [])]) };
    }
    default:
      // a reason that is too short, or a purpose that is not for residents' data
      return { url: `${base}/words`, payload: draw(2) === 0 ? { reason: 'x' } : { purpose: 'city-operations' }, refused: true, opens: [] };
  }
}

const looksOf = async ({ token }: Known): Promise<Look[]> => (await city.http.inject(`/api/portal/requests/${token}`)).json<PortalRequest>().looks;
const keyOf = ({ reason, fields }: { reason: string; fields: string }): string => `${reason} | ${fields}`;

test(`${ACTIONS} acts of ${STAFF} staff: each resident sees each look at the own data, and no other`, async () => {
  const draw = createDraw(20_261_124);
  const expected = new Map<Known, Expected[]>(reports.map((report) => [report, []]));
  let slowest_ms = 0;

  const act = async (n: number): Promise<void> => {
    const who = draw(STAFF);
    const { token, position } = staff[who] as (typeof staff)[number];
    const { url, payload, refused, opens } = drawAction(draw, position === 'case_worker');
    const reason = `Act number ${n}`;
    const response = await city.http.inject({ method: 'POST', url, headers: { authorization: `Bearer ${token}` }, payload: { purpose: 'service-requests', reasonCode: 'plan_work', reason, ...payload } });
    // what one token has taken in a day counts together: then it takes a second person, and nothing is shown
    if (url.endsWith('/export') && response.statusCode === 403 && response.json<{ code: string }>().code === 'approval.needed') return;
    expect(response.statusCode < 300, `${url} ${JSON.stringify(payload)} ${response.body.slice(0, 300)}`).toBe(!refused);
    if (refused) return;
    for (const { report, fields } of opens) expected.get(report)?.push({ reason, fields: fields.join(), staff: who });
    const [first] = opens;
    if (first === undefined) return;
    // the first page that the resident reads after the answer has it
    const answered = performance.now();
    expect((await looksOf(first.report)).some((look) => splitReason(look.reason).sentence === reason), `the resident does not see act ${n}`).toBe(true);
    slowest_ms = Math.max(slowest_ms, performance.now() - answered);
  };
  for (let n = 0; n < ACTIONS; n += AT_ONCE) await Promise.all(Array.from({ length: Math.min(AT_ONCE, ACTIONS - n) }, (_, at) => act(n + at)));

  const [missing, extra]: [string[], string[]] = [[], []];
  const pseudonyms = new Map<string, Set<number>>();
  let total = 0;
  for (const report of reports) {
    const looks = await looksOf(report);
    total += looks.length;
    expect(looks.map(({ n }) => n)).toEqual(looks.map((_, at) => at + 1));
    const left = [...(expected.get(report) ?? [])];
    for (const look of looks) {
      const key = keyOf({ reason: splitReason(look.reason).sentence, fields: look.fields.join() });
      const at = left.findIndex((each) => keyOf(each) === key);
      if (at < 0) extra.push(key);
      else pseudonyms.set(look.pseudonym, (pseudonyms.get(look.pseudonym) ?? new Set()).add(left.splice(at, 1)[0]?.staff ?? -1));
    }
    missing.push(...left.map(keyOf));
  }
  expect({ missing, extra }).toEqual({ missing: [], extra: [] });
  expect(total).toBeGreaterThan(ACTIONS / 2);
  // one pseudonym a person, and one person a pseudonym
  expect([...pseudonyms.values()].filter(({ size }) => size !== 1)).toEqual([]);
  console.info(`${ACTIONS} acts left ${total} looks; the slowest was on the resident's page ${Math.round(slowest_ms)} ms after the answer`);
}, 3_600_000);
