import { afterAll, beforeAll, expect, test } from 'vitest';
import { meetBrokerIn } from '../../../test/broker.ts';
import { openDoor, SAME_SITE, type Door } from '../../../test/door.ts';
import { openLogIn } from '../../../test/log-folder.ts';
import { ErasureReceipt } from '../../contracts/keys.ts';
import { systemRandom, unwrap } from '../../kernel/index.ts';
import { buildHttp, silentLogger, type Http } from '../../platform/index.ts';
import { registerApprovalRoutes } from '../approvals/approval-routes.ts';
import { createApprovals } from '../approvals/approvals.ts';
import type { TransparencyLog } from '../log/log.ts';
import { createPolicy } from '../policy/policy.ts';
import { createPurposes } from '../purposes/index.ts';
import { createCases, type Cases } from './cases.ts';
import { registerKeyRoutes } from './key-routes.ts';
import { createRoots } from './rotation.ts';

const PURPOSES = `
purposes:
  - { id: service-requests, title: Reports, description: Reports of faults in public space, legal_basis: Public task, owner: Office, retention_days: 365, personal_data: true }
`;
const REASON = { reason: 'The yearly change of the root key' };
let door: Door;
let http: Http;
let log: TransparencyLog;
let cases: Cases;
let ada: string;
let dora: string;
let stop: () => void;

beforeAll(async () => {
  door = await openDoor();
  const { handle, clock } = door;
  log = await openLogIn(door.dataFolder, handle);
  const policy = createPolicy(null);
  const broker = await meetBrokerIn(door.dataFolder, log.verifierKey());
  const purposes = unwrap(await createPurposes({ handle, clock, yaml: PURPOSES }));
  cases = await createCases({ handle, clock, broker, log, purposes, authorize: policy.authorize, mayLook: policy.mayLook });
  const approvals = await createApprovals({ handle, clock, random: systemRandom, logger: silentLogger, log, may: policy.mayDecide, note: () => null });
  stop = () => approvals.close();
  http = await buildHttp({ logger: silentLogger, authenticate: door.identity.authenticate, authorize: policy.authorize, isFresh: door.identity.isFresh });
  registerApprovalRoutes(http, { approvals });
  registerKeyRoutes(http, { handle, approvals, cases, broker, roots: createRoots({ handle, clock, broker, windowDays: 30 }), windowDays: 30 });
  await http.ready();
  ada = await door.join('Ada Ahmed', 'correct horse battery', 'administrator', 'case_worker');
  dora = await door.join('Dora Diaz', 'wrong donkey battery', 'data_protection_officer');
});
afterAll(async () => {
  stop();
  await http.close();
  await log.close();
  await door.close();
});

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';
async function call(cookie: string, method: Method, url: string, payload?: object): Promise<{ status: number; json: Record<string, unknown> }> {
  const response = await http.inject({ method, url, headers: { ...SAME_SITE, cookie }, ...(payload === undefined ? {} : { payload }) });
  return { status: response.statusCode, json: response.body === '' ? {} : response.json() };
}

test('the root key is rotated by two people: the second approves, and the state shows the new version', async () => {
  await door.handle.db.transaction().execute((trx) => cases.seal(trx, 'req_1', 'contact', { phone: '+49 30 901820' }));
  const proposed = await call(ada, 'POST', '/api/keys/rotations/proposals', REASON);
  expect(proposed.status).toBe(201);
  const path = `/api/approvals/${String(proposed.json['id'])}/approve`;
  expect(await call(ada, 'POST', path)).toMatchObject({ status: 403, json: { code: 'approval.same-person' } });
  expect((await call(dora, 'GET', '/api/keys')).json).toMatchObject({ protection: 'none', versions: [{ version: 1, cases: 1 }], openings: 0, looks: 0, windowDays: 30 });
  expect(await call(dora, 'POST', path)).toMatchObject({ status: 200, json: { state: 'performed' } });
  expect((await call(dora, 'GET', '/api/keys')).json).toMatchObject({ versions: [{ version: 1, cases: 0 }, { version: 2, cases: 1 }] });
});

test('a case is erased by two people, once, and not while a legal hold stands; the receipt is a file', async () => {
  await door.handle.db.transaction().execute((trx) => cases.seal(trx, 'req_2', 'contact', { phone: '+49 30 901820' }));
  const proposal = { caseId: 'req_2', reason: 'The resident asked for it by letter' };
  expect((await call(dora, 'PUT', '/api/keys/holds/req_2', { reason: 'Court order 7 C 12/26' })).status).toBe(204);
  expect(await call(ada, 'POST', '/api/keys/erasures/proposals', proposal)).toMatchObject({ status: 409, json: { code: 'key.held' } });
  expect((await call(dora, 'DELETE', '/api/keys/holds/req_2')).status).toBe(204);
  const proposed = await call(ada, 'POST', '/api/keys/erasures/proposals', proposal);
  const approval = String(proposed.json['id']);
  expect(await call(ada, 'POST', '/api/keys/erasures', { approval })).toMatchObject({ json: { code: 'approval.needed' } });
  expect((await call(dora, 'POST', `/api/approvals/${approval}/approve`)).status).toBe(200);
  expect(await call(dora, 'POST', '/api/keys/erasures', { approval })).toMatchObject({ status: 404 });
  const erased = await call(ada, 'POST', '/api/keys/erasures', { approval });
  expect(ErasureReceipt.parse(erased.json)).toMatchObject({ caseId: 'req_2', records: 1, keyVersion: 2 });
  expect((await call(ada, 'POST', '/api/keys/erasures', { approval })).json).toMatchObject({ code: 'approval.spent' });
});

test('anybody who may see approvals finds how the key of a report lies; holds are listed for the officer; acts ask for a fresh proof', async () => {
  await door.handle.db.transaction().execute((trx) => cases.seal(trx, 'req_3', 'contact', { phone: '+49 30 901820' }));
  expect((await call(ada, 'GET', '/api/keys/cases/req_3')).json).toMatchObject({ caseId: 'req_3', version: 2, records: 1, erasedAt: null, hold: null });
  expect((await call(ada, 'GET', '/api/keys/cases/req_2')).json).toMatchObject({ records: 0, erasedAt: expect.any(String) as string });
  expect(await call(ada, 'GET', '/api/keys/cases/req_9')).toMatchObject({ status: 404, json: { code: 'request.not-found' } });
  await call(dora, 'PUT', '/api/keys/holds/req_3', { reason: 'Court order 7 C 12/26' });
  expect((await call(dora, 'GET', '/api/keys/holds')).json).toMatchObject({ holds: [{ caseId: 'req_3', reason: 'Court order 7 C 12/26' }] });
  expect(await call(ada, 'GET', '/api/keys/holds')).toMatchObject({ status: 403 });
  expect((await call(ada, 'GET', '/api/keys/cases/req_3')).json).toMatchObject({ hold: 'Court order 7 C 12/26' });

  door.clock.advance(6 * 60_000);
  const stale = { status: 403, json: { code: 'auth.step-up-needed' } };
  expect(await call(ada, 'POST', '/api/keys/rotations/proposals', REASON)).toMatchObject(stale);
  expect(await call(ada, 'POST', '/api/keys/erasures/proposals', { caseId: 'req_1', reason: 'The resident asked for it' })).toMatchObject(stale);
  expect(await call(ada, 'POST', '/api/keys/erasures', { approval: 'apr_1' })).toMatchObject(stale);
  expect(await call(dora, 'PUT', '/api/keys/holds/req_1', { reason: 'Court order 7 C 12/26' })).toMatchObject(stale);
  expect(await call(dora, 'DELETE', '/api/keys/holds/req_3')).toMatchObject(stale);
});
