import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { layDecoyNetwork, type DecoyNetwork, type OutsideCall } from './decoy-network.ts';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
const START_MS = 180_000;
const PAGES = ['/', '/console', '/wall', '/report', '/trust', '/trust/purposes', '/trust/log', '/explore', '/v1.1/Datastreams?$expand=Thing', '/open311/v2/services.xml', '/metrics'];

/**
 * `clerestory verify egress`: starts this installation with an empty data folder in a network namespace whose only way out is a
 * decoy, visits its pages, waits, and counts what came out. Gives the exit code: 0 nothing left, 1 something did, 2 cannot be tried here.
 */
export async function verifyEgress({ seconds, demo }: { seconds: number; demo: boolean }, print: (line: string) => void): Promise<number> {
  const network = await layDecoyNetwork(`clerestory-${String(process.pid)}`);
  if (typeof network === 'string') {
    print(`Cannot be tried here: ${network}.`);
    return 2;
  }
  const data = mkdtempSync(join(tmpdir(), 'clerestory-egress-'));
  try {
    print(`A ${demo ? 'demo' : 'new, empty'} city runs for ${String(seconds)} s where the only way out is a decoy that answers every name and counts every packet.`);
    const city = await startInside(network, data, demo);
    try {
      await visitInside(network, city.url, seconds);
      const packets = network.packetsOut();
      const calls = [...network.calls()];
      const caught = catchesPlanted(network);
      return report(print, { packets, calls, caught, seconds });
    } finally {
      await city.stop();
    }
  } finally {
    network.close();
    rmSync(data, { recursive: true, force: true });
  }
}

function report(print: (line: string) => void, { packets, calls, caught, seconds }: { packets: number; calls: readonly OutsideCall[]; caught: boolean; seconds: number }): number {
  print('');
  print(`packets out      ${String(packets)}`);
  print(`control          a connection planted for the test was ${caught ? 'caught' : 'NOT caught: the count above says nothing'}`);
  for (const call of calls) print(`called           ${call.kind === 'name' ? `the name ${call.name ?? ''}` : `${call.to ?? ''} port ${String(call.port)}`}`);
  const holds = packets === 0 && caught;
  print('');
  print(holds ? 'Nothing left.' : 'The promise does NOT hold.');
  print('');
  print('Proved:');
  if (holds) print(`  - in ${String(seconds)} s of starting, seeding, serving pages and standing idle, this installation sent no packet of any protocol to anywhere but itself`);
  else print('  - nothing');
  print('');
  print('Not proved:');
  print('  - that it would send nothing at another time, or when it notices that it is not being watched');
  print('  - anything about hosts that a city lists itself: feeds, witnesses and a sign-in service are called when they are configured');
  print('  - anything about the operating system and the machine under it');
  return holds ? 0 : 1;
}

async function startInside(network: DecoyNetwork, data: string, demo: boolean): Promise<{ url: string; stop(): Promise<void> }> {
  const [command, ...prefix] = network.prefix as [string, ...string[]];
  const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('CLERESTORY_')));
  const child = spawn(command, [...prefix, process.execPath, '--disable-warning=ExperimentalWarning', MAIN, ...(demo ? [] : ['--empty'])], {
    env: { ...environment, CLERESTORY_DATA: data, CLERESTORY_PORT: '0', CLERESTORY_MQTT_PORT: '0', CLERESTORY_CONFIG: join(data, 'none.yaml') },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await ended;
  };
  try {
    const url = await new Promise<string>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`the city did not start:\n${output}`)), START_MS);
      let found: string | undefined;
      void ended.then(() => reject(new Error(`the city ended:\n${output}`)));
      createInterface({ input: child.stdout }).on('line', (line) => {
        output += `${line}\n`;
        found ??= /^\s+City\s+(\S+)/.exec(line)?.[1];
        if (!line.includes('Ctrl-C stops it') || found === undefined) return;
        clearTimeout(timer);
        resolve(found.replace('//localhost:', '//127.0.0.1:'));
      });
    });
    return { url, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function visitInside(network: DecoyNetwork, url: string, seconds: number): Promise<void> {
  const visit = `for (const path of ${JSON.stringify(PAGES)}) await (await fetch(${JSON.stringify(url)} + path)).arrayBuffer();`;
  const [command, ...prefix] = network.prefix as [string, ...string[]];
  const { status, stderr } = spawnSync(command, [...prefix, process.execPath, '--input-type=module', '-e', visit], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`the city's pages could not be visited:\n${stderr}`);
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
}

/** Without this a count of nothing would say nothing. */
function catchesPlanted(network: DecoyNetwork): boolean {
  const before = network.packetsOut();
  const [command, ...prefix] = network.prefix as [string, ...string[]];
  spawnSync(command, [...prefix, process.execPath, '-e', "require('node:net').connect(443, '203.0.113.9').on('error', () => {}); setTimeout(() => process.exit(), 500)"]);
  return network.packetsOut() > before;
}
