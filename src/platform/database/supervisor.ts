import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chownSync, existsSync, mkdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { chooseLauncher, findBinaries, type Launcher } from './binaries.ts';
import type { Logger } from '../logger.ts';

export interface EmbeddedDatabase {
  /** For `pg`: socket folder, user and database. */
  readonly connection: { readonly host: string; readonly port: number; readonly user: string; readonly database: string };
  readonly pid: () => number | undefined;
  /** Fast shutdown: open transactions are rolled back, everything committed is on disk. */
  stop(): Promise<void>;
}

const SUPERUSER = 'clerestory';
const PORT = 5432;
const SOCKET_PATH_LIMIT_BYTES = 90;
const READY_TIMEOUT_MS = 60_000;
const MIN_FREE_BYTES = 200 * 1024 * 1024;

/**
 * Starts PostgreSQL on `folder` (created when missing), reachable through a unix socket only, and restarts it when it dies.
 * Durability is PostgreSQL's own: fsync, synchronous_commit and data checksums are on.
 */
export async function startEmbeddedDatabase(folder: string, logger: Logger, settings: Readonly<Record<string, string>> = {}): Promise<EmbeddedDatabase> {
  const bin = findBinaries();
  mkdirSync(folder, { recursive: true });
  const free = statfsSync(folder);
  if (free.bavail * free.bsize < MIN_FREE_BYTES) throw Object.assign(new Error(`less than 200 MB are free at ${folder}`), { code: 'ENOSPC' });
  const launcher = chooseLauncher(bin, folder);
  const dataFolder = join(folder, 'postgres');
  const socketFolder = socketFolderFor(folder, launcher);
  if (!existsSync(join(dataFolder, 'PG_VERSION'))) initialise(bin, launcher, dataFolder);
  await stopLeftover(dataFolder, logger);

  const args = ['-D', dataFolder, '-k', socketFolder, '-p', String(PORT)];
  for (const [name, value] of Object.entries({ ...DEFAULTS, ...settings })) args.push('-c', `${name}=${value}`);
  let child: ChildProcess | undefined;
  let stopping = false;
  let lastWords = '';

  const launch = (): void => {
    const [command, ...rest] = [...launcher.prefix, join(bin, 'postgres'), ...args];
    const started = spawn(command as string, rest, { ...identity(launcher), stdio: ['ignore', 'ignore', 'pipe'], detached: true });
    child = started;
    started.stderr?.setEncoding('utf8').on('data', (text: string) => {
      lastWords = (lastWords + text).slice(-2_000);
      if (/FATAL|PANIC|could not/.test(text)) logger.debug({ postgres: text.trim() });
    });
    started.once('exit', (code, signal) => {
      if (stopping || child !== started) return;
      logger.error({ code, signal }, 'PostgreSQL stopped unexpectedly; starting it again');
      setTimeout(() => {
        if (!stopping) void stopLeftover(dataFolder, logger).then(launch);
      }, 200).unref();
    });
  };
  launch();

  const connection = { host: socketFolder, port: PORT, user: SUPERUSER, database: 'postgres' };
  await waitUntilReady(connection, () => lastWords);
  return {
    connection,
    pid: () => child?.pid,
    stop: async () => {
      stopping = true;
      const last = child;
      if (!last || last.exitCode !== null || last.signalCode !== null) return;
      const gone = new Promise<void>((resolve) => last.once('exit', () => resolve()));
      last.kill('SIGINT');
      const slow = setTimeout(() => last.kill('SIGQUIT'), 20_000);
      await gone;
      clearTimeout(slow);
    },
  };
}

/** Where the embedded database of a running city on this folder listens; null when none runs. Its pid file names port and socket folder. */
export function findRunningDatabase(folder: string): EmbeddedDatabase['connection'] | null {
  const dataFolder = join(folder, 'postgres');
  const pidFile = join(dataFolder, 'postmaster.pid');
  if (!existsSync(pidFile)) return null;
  const [pid, , , port, host] = readFileSync(pidFile, 'utf8').split('\n');
  if (host === undefined || !isPostgres(Number(pid), dataFolder)) return null;
  return { host, port: Number(port), user: SUPERUSER, database: 'postgres' };
}

const DEFAULTS: Readonly<Record<string, string>> = {
  listen_addresses: '',
  unix_socket_permissions: '0700',
  shared_buffers: '128MB',
  max_connections: '60',
  max_wal_size: '2GB',
  wal_compression: 'on',
  wal_recycle: 'off', // a segment kept for use again would keep what was erased
  jit: 'off',
  timezone: 'UTC',
  random_page_cost: '1.1',
  max_worker_processes: '4',
  max_parallel_workers_per_gather: '1',
  log_min_messages: 'warning',
};

const identity = (launcher: Launcher): { uid?: number; gid?: number } =>
  launcher.uid === undefined ? {} : { uid: launcher.uid, ...(launcher.gid === undefined ? {} : { gid: launcher.gid }) };

function socketFolderFor(folder: string, launcher: Launcher): string {
  const near = join(folder, 'socket');
  const path = Buffer.byteLength(near) <= SOCKET_PATH_LIMIT_BYTES ? near : join(tmpdir(), `clerestory-${createHash('sha256').update(folder).digest('hex').slice(0, 16)}`);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  if (launcher.uid !== undefined) chownSync(path, launcher.uid, launcher.gid ?? launcher.uid);
  return path;
}

function initialise(bin: string, launcher: Launcher, dataFolder: string): void {
  mkdirSync(dataFolder, { recursive: true, mode: 0o700 });
  if (launcher.uid !== undefined) chownSync(dataFolder, launcher.uid, launcher.gid ?? launcher.uid);
  const [command, ...rest] = [...launcher.prefix, join(bin, 'initdb'), '-D', dataFolder, '-U', SUPERUSER, '-A', 'trust', '-E', 'UTF8', '--locale=C', '--data-checksums', '--no-instructions'];
  const result = spawnSync(command, rest, { ...identity(launcher), encoding: 'utf8' });
  if (result.status !== 0) {
    rmSync(dataFolder, { recursive: true, force: true });
    throw new Error(`initdb failed: ${result.stderr || result.error?.message}`);
  }
}

// A kill -9 of our own process leaves its PostgreSQL running; it must be gone before another one opens the same files.
async function stopLeftover(dataFolder: string, logger: Logger): Promise<void> {
  const pidFile = join(dataFolder, 'postmaster.pid');
  if (!existsSync(pidFile)) return;
  const pid = Number(readFileSync(pidFile, 'utf8').split('\n')[0]);
  if (!Number.isInteger(pid) || pid <= 1 || !isPostgres(pid, dataFolder)) return;
  logger.info({ pid }, 'stopping a PostgreSQL that an earlier run left behind');
  process.kill(pid, 'SIGINT');
  for (let waitedMs = 0; waitedMs < 20_000 && existsSync(pidFile); waitedMs += 50) await sleep(50);
}

function isPostgres(pid: number, dataFolder: string): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false; // no such process: the pid file is stale and PostgreSQL itself removes it
  }
  const commandLine = `/proc/${pid}/cmdline`;
  return !existsSync(commandLine) || readFileSync(commandLine, 'utf8').includes(dataFolder);
}

async function waitUntilReady(connection: EmbeddedDatabase['connection'], lastWords: () => string): Promise<void> {
  const deadlineMs = Date.now() + READY_TIMEOUT_MS;
  for (;;) {
    const client = new pg.Client(connection);
    client.on('error', () => undefined); // a refused connection also rejects connect() below
    try {
      await client.connect();
      await client.query('select 1');
      await client.end();
      return;
    } catch (cause) {
      if (Date.now() > deadlineMs) throw new Error(`PostgreSQL did not start: ${lastWords()}`, { cause });
      await sleep(25);
    }
  }
}

/** Holds the data folder for one process. Throws with the holder's pid when another living process has it. */
export function lockFolder(folder: string): () => void {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'clerestory.lock');
  const me = `${process.pid} ${startOf(process.pid)}`;
  for (let attempt = 0; ; attempt += 1) {
    try {
      writeFileSync(file, me, { flag: 'wx' });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || attempt > 1) throw error;
      const [pid, start] = readFileSync(file, 'utf8').split(' ');
      const holder = Number(pid);
      if (holder > 0 && start !== '' && startOf(holder) === start) throw Object.assign(new Error(`process ${holder} uses ${folder}`), { code: 'ELOCKED' });
      rmSync(file, { force: true });
    }
  }
  return () => rmSync(file, { force: true });
}

// Process start time in clock ticks: tells a living holder from a new process with a recycled pid (proc(5), field 22).
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    try {
      process.kill(pid, 0);
      return 'alive'; // no /proc on this system
    } catch {
      return '';
    }
  }
}
