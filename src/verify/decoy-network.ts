import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const DECOY_SCRIPT = fileURLToPath(new URL('../platform/decoy.ts', import.meta.url));
// TEST-NET-2 (RFC 5737): leads nowhere outside
const DECOY_ADDRESS = '198.51.100.1';
const INSIDE_ADDRESS = '198.51.100.2';
const READY_MS = 30_000;
const CALLS_KEPT = 1_000;

/** What somebody inside asked of the decoy: a name, a connection or a datagram. */
export interface OutsideCall {
  readonly kind: 'name' | 'connection' | 'datagram';
  readonly name?: string;
  readonly to?: string;
  readonly port?: number;
}

/** A network namespace whose only way out is a cable to a decoy that counts every packet and answers every name. */
export interface DecoyNetwork {
  /** Put before a command, it runs inside, as this user, with a private view of mounts. */
  readonly prefix: readonly string[];
  /** Packets that have come out of the cable so far, of any protocol. */
  packetsOut(): number;
  /** Who was called, oldest first; at most 1,000 are kept. */
  calls(): readonly OutsideCall[];
  close(): void;
}

const ip = (...args: string[]) => spawnSync('ip', args, { encoding: 'utf8' });

/** Lays the network; a sentence that says why not, where it cannot be had: it needs Linux, root and `ip` (Debian package iproute2). */
export async function layDecoyNetwork(name: string): Promise<DecoyNetwork | string> {
  if (process.platform !== 'linux') return 'network namespaces exist on Linux only';
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  if (ip('-V').error) return 'the command "ip" is missing (Debian package iproute2)';
  const inside = `${name}-in`;
  const decoy = `${name}-out`;
  const resolver = `/etc/netns/${inside}`;
  const tearDown = (): void => {
    for (const each of [inside, decoy]) ip('netns', 'del', each);
    rmSync(resolver, { recursive: true, force: true });
  };
  tearDown();
  const noIpv6 = 'echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6; echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6';
  const steps: { args: string[]; optional?: boolean }[] = [
    { args: ['netns', 'add', inside] },
    { args: ['netns', 'add', decoy] },
    ...[inside, decoy].map((each) => ({ args: ['netns', 'exec', each, 'sh', '-c', noIpv6], optional: true })),
    { args: ['link', 'add', 'cable-in', 'netns', inside, 'type', 'veth', 'peer', 'name', 'cable-out', 'netns', decoy] },
    { args: ['-n', decoy, 'addr', 'add', `${DECOY_ADDRESS}/24`, 'dev', 'cable-out'] },
    { args: ['-n', inside, 'addr', 'add', `${INSIDE_ADDRESS}/24`, 'dev', 'cable-in'] },
    { args: ['-n', decoy, 'link', 'set', 'lo', 'up'] },
    { args: ['-n', decoy, 'link', 'set', 'cable-out', 'up'] },
    { args: ['-n', inside, 'link', 'set', 'lo', 'up'] },
    { args: ['-n', inside, 'link', 'set', 'cable-in', 'up'] },
    { args: ['-n', inside, 'route', 'add', 'default', 'via', DECOY_ADDRESS] },
    // every address is the decoy's own, so that a connection to any is taken
    { args: ['-n', decoy, 'route', 'add', 'local', '0.0.0.0/0', 'dev', 'lo'], optional: true },
  ];
  for (const { args, optional } of steps) {
    const { status, stderr } = ip(...args);
    if (status !== 0 && optional !== true) {
      tearDown();
      return `network namespaces are not to be had here: ip ${args.join(' ')}: ${stderr.trim()}`;
    }
  }
  mkdirSync(resolver, { recursive: true });
  writeFileSync(`${resolver}/resolv.conf`, `nameserver ${DECOY_ADDRESS}\noptions timeout:1 attempts:1\n`);

  const calls: OutsideCall[] = [];
  const listener = spawn('ip', ['netns', 'exec', decoy, process.execPath, '--disable-warning=ExperimentalWarning', DECOY_SCRIPT, DECOY_ADDRESS], { stdio: ['ignore', 'pipe', 'inherit'] });
  const close = (): void => {
    listener.kill('SIGKILL');
    tearDown();
  };
  try {
    await becomeReady(listener, (call) => {
      if (calls.length < CALLS_KEPT) calls.push(call);
    });
  } catch (error) {
    close();
    throw error;
  }
  return {
    prefix: ['ip', 'netns', 'exec', inside],
    packetsOut: () => {
      const line = ip('netns', 'exec', decoy, 'cat', '/proc/net/dev')
        .stdout.split('\n')
        .find((text) => text.includes('cable-out'));
      if (line === undefined) throw new Error('the decoy has no cable');
      return Number(line.split(':')[1]?.trim().split(/\s+/)[1]);
    },
    calls: () => calls,
    close,
  };
}

function becomeReady(listener: ChildProcess, onCall: (call: OutsideCall) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('the decoy did not begin to listen')), READY_MS);
    listener.once('exit', (code) => reject(new Error(`the decoy ended with ${String(code)}`)));
    createInterface({ input: listener.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      const call = JSON.parse(line) as OutsideCall | { kind: 'ready' };
      if (call.kind !== 'ready') onCall(call);
      else {
        clearTimeout(timer);
        resolve();
      }
    });
  });
}
