import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';

/** Whether strace is there and may attach to a process of ours: containers often forbid ptrace. */
export function canTrace(): boolean {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1000)'], { stdio: 'ignore' });
  try {
    const { status, stderr } = spawnSync('timeout', ['-s', 'INT', '1', 'strace', '-f', '-p', String(child.pid), '-e', 'trace=none'], { encoding: 'utf8' });
    return status !== null && /attached/.test(stderr ?? '');
  } finally {
    child.kill('SIGKILL');
  }
}

/** Calls that reach files, pipes and other processes, and what a thread waits in. */
export const CALLS = ['read', 'pread64', 'write', 'pwrite64', 'writev', 'fsync', 'fdatasync', 'ftruncate', 'openat', 'close', 'fstat', 'statx', 'rename', 'renameat2', 'link', 'unlink', 'epoll_wait', 'epoll_pwait', 'futex', 'mmap', 'munmap', 'mprotect', 'clone3', 'socketpair', 'pipe2', 'dup3', 'execve', 'exit_group'];

/** What happens at the `when`-th `call` of any thread after attaching. A killed thread takes its process with it before the call is done. */
export interface Injection {
  readonly call: string;
  readonly when: number;
  readonly what: 'signal=KILL' | 'error=ENOSPC' | 'error=EIO';
}

const STUCK_MS = 1_000;

export interface Trace {
  /** Ends it; gives how often each call was made, at most by one thread, for that is what `when` counts. */
  end(): Promise<Map<string, number>>;
}

/** Attaches to a process and its children; resolves when every thread is traced. */
export async function traceProcess(pid: number, output: string, injection?: Injection, calls: readonly string[] = CALLS): Promise<Trace> {
  const args = ['-f', '-p', String(pid), '-o', output, '-e', `trace=${calls.join(',')}`, ...(injection === undefined ? [] : ['-e', `inject=${injection.call}:${injection.what}:when=${injection.when}`])];
  const strace = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const gone = once(strace, 'exit');
  let said = '';
  await new Promise<void>((resolve, reject) => {
    strace.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (/attached/.test(said)) resolve();
    });
    strace.once('exit', () => reject(new Error(`strace ended: ${said}`)));
    strace.once('error', reject);
  });
  return {
    end: async () => {
      strace.kill('SIGINT');
      const stuck = setTimeout(() => strace.kill('SIGKILL'), STUCK_MS); // it may wait for ever for threads of a process that was killed
      await gone;
      clearTimeout(stuck);
      return countCalls(readFileSync(output, 'utf8'));
    },
  };
}

function countCalls(text: string): Map<string, number> {
  const byThread = new Map<string, number>();
  for (const [, thread, call] of text.matchAll(/^(\d+) +(\w+)\(/gm)) byThread.set(`${thread} ${call}`, (byThread.get(`${thread} ${call}`) ?? 0) + 1);
  const most = new Map<string, number>();
  for (const [key, count] of byThread) {
    const call = key.split(' ')[1] as string;
    most.set(call, Math.max(most.get(call) ?? 0, count));
  }
  return most;
}
