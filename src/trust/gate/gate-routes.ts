import { z } from 'zod';
import { GateQuarantine, GateRelease, GateVerdict } from '../../contracts/gate.ts';
import { isoOf, Refused, unwrap, type Clock } from '../../kernel/index.ts';
import type { Http } from '../../platform/index.ts';
import type { Gate } from './gate.ts';
import type { GateLedger } from './gate-ledger.ts';
import { judge } from './verdict.ts';

const TRY_BYTES = 65_536;
const TRIES_A_MINUTE = 30;
const TRIES_OF_ALL = 600;
const MINUTE_MS = 60_000;

/** GET /api/gate and POST /api/gate/try, both public; GET /api/gate/quarantine and its releases for those who manage the register. */
export async function registerGateRoutes(http: Http, { gate, ledger, clock, country }: { gate: Gate; ledger: GateLedger; clock: Clock; country: string }): Promise<void> {
  http.get('/api/gate', { config: { action: 'public' } }, async () => ({ ...gate.counts(), lastDay: await ledger.read(24) }));
  http.get('/api/gate/quarantine', { config: { action: 'operations.read' }, schema: { response: { 200: GateQuarantine } } }, async () => ({ streams: (await ledger.quarantine()).map(({ since, ...row }) => ({ ...row, since: isoOf(since.getTime()) })) }));
  http.post('/api/gate/quarantine/:id/release', { config: { action: 'register.manage' }, schema: { params: z.object({ id: z.coerce.number().int().positive() }), body: GateRelease } }, async (request, reply) => {
    unwrap(await ledger.release(request.params.id, request.principal.pseudonym, request.body.reason));
    return reply.code(204).send();
  });

  const mayTry = limitTries(clock);
  // a scope of its own: whatever comes is taken as bytes and looked at, never parsed by anything else, never logged
  await http.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: TRY_BYTES }, (_request, body, done) => done(null, body));
    scope.post('/api/gate/try', { config: { action: 'public' }, bodyLimit: TRY_BYTES, schema: { querystring: z.object({ country: z.string().regex(/^[A-Z]{2}$/).default(country) }), response: { 200: GateVerdict } } }, async (request, reply) => {
      if (!mayTry(request.ip)) {
        void reply.header('retry-after', '60');
        throw new Refused({ code: 'http.too-many-requests', detail: `At most ${String(TRIES_A_MINUTE)} tries a minute from one address.` });
      }
      return judge(Buffer.isBuffer(request.body) ? request.body : '', (request.query as { country: string }).country);
    });
  });
}

function limitTries(clock: Clock): (address: string) => boolean {
  let counts = new Map<string, number>();
  let minute = 0;
  let all = 0;
  return (address) => {
    const now = Math.floor(clock.nowMs() / MINUTE_MS);
    if (now !== minute) {
      counts = new Map();
      minute = now;
      all = 0;
    }
    const count = (counts.get(address) ?? 0) + 1;
    all += 1;
    counts.set(address, count);
    return count <= TRIES_A_MINUTE && all <= TRIES_OF_ALL;
  };
}
