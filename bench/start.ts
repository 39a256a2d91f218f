// First start (packages in place), start again, and resident memory of the whole demo city, database included.
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../test/city.ts';

const BOUNDS = { first_s: 90, again_s: 5, memory_mb: 1_000 };
const SETTLE_MS = Number(process.env['BENCH_SETTLE_MS'] ?? 60_000);

/** Proportional set size of a process and all its descendants, MB. Shared pages of PostgreSQL count once. */
function memoryOf(pid: number): number {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      parents.set(Number(name), Number(readFileSync(`/proc/${name}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ')[1]));
    } catch {
      continue; // the process ended meanwhile
    }
  }
  const family = [pid];
  for (const member of family) for (const [child, parent] of parents) if (parent === member) family.push(child);
  return family.reduce((sum, member) => {
    const rollup = execFileSync('cat', [`/proc/${member}/smaps_rollup`], { encoding: 'utf8' });
    return sum + Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1] ?? 0) / 1024;
  }, 0);
}

async function start(data: string): Promise<{ seconds: number; pid: number; stop: () => Promise<void> }> {
  const startedMs = performance.now();
  const child = spawn(process.execPath, ['tools/start.mjs'], { cwd: ROOT, env: { ...process.env, CLERESTORY_DATA: data, CLERESTORY_PORT: '0', CLERESTORY_MQTT_PORT: '0' }, stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise<void>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => /Ctrl-C stops it/.test(text) && resolve());
    child.once('exit', (code) => reject(new Error(`npm start ended with ${code}`)));
  });
  const seconds = (performance.now() - startedMs) / 1000;
  return {
    seconds,
    pid: child.pid ?? 0,
    stop: async () => {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await gone;
    },
  };
}

const data = mkdtempSync(join(tmpdir(), 'clerestory-bench-'));
chmodSync(data, 0o755);
try {
  rmSync(join(ROOT, 'web', 'build'), { recursive: true, force: true });
  const first = await start(data);
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const memory_mb = memoryOf(first.pid);
  await first.stop();
  const again = await start(data);
  await again.stop();
  const report = { first_s: first.seconds, again_s: again.seconds, memory_mb };
  for (const [name, value] of Object.entries(report)) {
    const bound = BOUNDS[name as keyof typeof BOUNDS];
    console.log(`${name.padEnd(10)} ${value.toFixed(1).padStart(7)}   bound ${bound}   ratio ${(value / bound).toFixed(2)}`);
    if (value > bound) process.exitCode = 1;
  }
} finally {
  rmSync(data, { recursive: true, force: true });
}
