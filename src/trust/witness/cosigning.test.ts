import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { makePaperLog, policyOf, type PaperLog } from '../../../test/witnesses.ts';
import { manualClock, unwrap, type ManualClock } from '../../kernel/index.ts';
import { createMetrics, createOutgoing, silentLogger } from '../../platform/index.ts';
import { PACE, startCosigning, type Cosigning } from './cosigning.ts';
import { parsePolicy } from './policy-file.ts';
import { cosign, formatNoteKey, parseNoteKey, splitNote, type NoteKey } from './signed-note.ts';
import { openWitnessFolder } from './state-file.ts';
import { buildWitnessServer } from './witness-server.ts';
import { createWitness } from './witness.ts';

const START_MS = Date.UTC(2026, 10, 24, 6);
const MINUTE_MS = 60_000;
const YEAR_MS = 365 * 86_400_000;
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

interface Peer {
  readonly vkey: string;
  readonly url: string;
}

/** A witness with a clock of its own behind a real socket. */
async function serveWitness(name: string, log: PaperLog, clock: ManualClock): Promise<Peer & { key: NoteKey; sign: (text: string, time_s: number) => string }> {
  const path = mkdtempSync(join(tmpdir(), 'clerestory-witness-'));
  const folder = openWitnessFolder(path, name);
  const [{ key, privateKey }] = folder.cosigners;
  const http = await buildWitnessServer({ witness: createWitness({ folder, logs: [parseNoteKey(log.vkey) as NoteKey], clock, logger: silentLogger }), keys: [key], clock, logger: silentLogger });
  const url = await http.listen({ host: '127.0.0.1', port: 0 });
  ends.push(async () => {
    await http.close();
    rmSync(path, { recursive: true });
  });
  return { vkey: formatNoteKey(key), url, key, sign: (text, time_s) => cosign(text, time_s, key, privateKey) };
}

function watch(log: PaperLog, peers: readonly Peer[], need: number, clock: ManualClock, witnessed: string | null = null): Cosigning {
  const policy = unwrap(parsePolicy(Buffer.from(policyOf([log.vkey], peers, need))));
  const metrics = createMetrics();
  const cosigning = startCosigning({
    policy,
    log: { size: () => log.size(), checkpoint: () => log.checkpoint(), proveConsistency: (from, to) => log.prove(from, to), cosign: () => undefined },
    witnessed,
    outgoing: createOutgoing({ egress: peers.map(({ url }) => ({ host: url, private: true })), metrics }),
    clock,
    logger: silentLogger,
    metrics,
    pace: { ...PACE, tick_ms: 5 },
  });
  ends.push(() => cosigning.close());
  return cosigning;
}

/** A peer that takes every request and never answers. */
async function serveSilence(vkey: string): Promise<Peer & { asked: () => number }> {
  let asked = 0;
  const server: Server = createServer(() => {
    asked += 1;
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  ends.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { vkey, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked: () => asked };
}

const until = (look: () => unknown): Promise<void> => expect.poll(look, { timeout: 30_000, interval: 10 }).toBe(true);
const grown = (): PaperLog => {
  const log = makePaperLog();
  log.grow(['one']);
  return log;
};

test('stale: what was witnessed before the start is eleven minutes old and nobody has answered yet; it ends with the first answer', async () => {
  const [log, clock] = [grown(), manualClock(START_MS)];
  const witness = await serveWitness('w.example/w', log, clock);
  const text = splitNote(Buffer.from(log.checkpoint()))?.text ?? '';
  const old = (minutes: number): string => log.checkpoint() + witness.sign(text, (START_MS - minutes * MINUTE_MS) / 1_000);
  const silence = await serveSilence(witness.vkey);
  const fresh = watch(log, [silence], 1, clock, old(10));
  expect(fresh.status().alarm).toBeNull();
  const stale = watch(log, [silence], 1, clock, old(11));
  expect(stale.status()).toMatchObject({ witnessedSize: 1, witnessedAt: '2026-11-24T05:49:00.000Z', alarm: { code: 'stale', since: '2026-11-24T05:49:00.000Z' } });
  const answered = watch(log, [witness], 1, clock, old(11));
  expect(answered.status().alarm?.code).toBe('stale');
  await until(() => answered.status().alarm === null);
  expect(answered.status()).toMatchObject({ quorum: 'met', witnessedAt: '2026-11-24T06:00:00.000Z' });
});

test('a city that never was witnessed is stale after ten minutes; a minute without enough witnesses is told first', async () => {
  const [log, clock] = [grown(), manualClock(START_MS)];
  const witness = await serveWitness('w.example/w', log, clock);
  const cosigning = watch(log, [await serveSilence(witness.vkey)], 1, clock);
  clock.advance(MINUTE_MS);
  expect(cosigning.status()).toMatchObject({ quorum: 'failing', alarm: null });
  clock.advance(1);
  expect(cosigning.status().alarm).toMatchObject({ code: 'quorum', since: '2026-11-24T06:00:00.000Z' });
});

test('one witness that never answers does not hold up the two others, and is not asked twice at once', async () => {
  const [log, clock] = [grown(), manualClock(START_MS)];
  const peers = [await serveWitness('a.example/w', log, clock), await serveWitness('b.example/w', log, clock)];
  const third = await serveWitness('c.example/w', log, clock);
  const silence = await serveSilence(third.vkey);
  const cosigning = watch(log, [...peers, silence], 2, clock);
  for (let size = 1; size <= 5; size += 1) {
    await until(() => cosigning.status().witnessedSize === size);
    log.grow([`more ${size}`]);
    clock.advance(PACE.round_ms);
  }
  expect(silence.asked()).toBe(1);
  expect(cosigning.status()).toMatchObject({ quorum: 'met', alarm: null, each: [{ fault: null }, { fault: null }, { lastSize: null }] });
});

test('a witness whose clock is more than five minutes away does not count, ahead or behind, and counts again when it is right', async () => {
  for (const away of [-6 * MINUTE_MS, 6 * MINUTE_MS]) {
    const [log, clock, its] = [grown(), manualClock(START_MS), manualClock(START_MS + away)];
    const cosigning = watch(log, [await serveWitness('w.example/w', log, its)], 1, clock);
    await until(() => cosigning.status().each[0]?.fault !== null);
    expect(cosigning.status()).toMatchObject({ quorum: 'failing', witnessedSize: null, each: [{ fault: expect.stringContaining('6 minutes away') as string }] });
    its.set(START_MS + 120_000);
    clock.set(START_MS + 120_000);
    // the witness signs no earlier time than before (tlog-cosignature): one that ran ahead counts when the time has come there
    if (away > 0) {
      await until(() => cosigning.status().each[0]?.fault === null || /minutes away/.test(cosigning.status().each[0]?.fault ?? ''));
      clock.set(START_MS + away);
    }
    await until(() => cosigning.status().each[0]?.fault === null);
    expect(cosigning.status()).toMatchObject({ quorum: 'met', witnessedSize: 1 });
  }
});

test('the clock of the city jumps back a year and ahead ten: it says so by its alarm, sends heads again at once, and ends well', async () => {
  const [log, clock, its] = [grown(), manualClock(START_MS), manualClock(START_MS)];
  const cosigning = watch(log, [await serveWitness('w.example/w', log, its)], 1, clock);
  await until(() => cosigning.status().witnessedSize === 1);
  for (const jump of [-YEAR_MS, 10 * YEAR_MS]) {
    clock.set(START_MS + jump);
    log.grow([`after ${jump}`]);
    await until(() => /minutes away/.test(cosigning.status().each[0]?.fault ?? ''));
    expect(cosigning.status().quorum).toBe('failing');
    clock.advance(MINUTE_MS + 1);
    expect(cosigning.status().alarm).not.toBeNull();
    clock.set(START_MS);
    await until(() => cosigning.status().quorum === 'met' && cosigning.status().witnessedSize === log.size());
    expect(cosigning.status().alarm).toBeNull();
  }
});
