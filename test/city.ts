import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));
export const SHARED_DATA = join(ROOT, '..', 'shared', 'data');
const START_TIMEOUT_MS = 120_000;

export interface CityOptions {
  /** Files of the city folder by name, such as `rules.yaml`. */
  readonly files?: Readonly<Record<string, string>>;
  /** Folder whose files are copied into the city folder first, such as demo/city. */
  readonly from?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly demo?: boolean;
  /** Put before the command, such as `ip netns exec NAME`. */
  readonly prefix?: readonly string[];
  /** Keep using a data folder of an earlier city. */
  readonly data?: string;
}

/** A whole city in a process of its own, as npm start runs it. */
export interface TestCity {
  readonly url: string;
  readonly mqttPort: number;
  readonly data: string;
  readonly signInLink: string;
  readonly process: ChildProcess;
  readonly output: () => string;
  token(role: string, purpose?: string): string;
  /** A call with a bearer token; the body is sent as JSON. */
  call(method: string, path: string, options?: { token?: string; body?: unknown; headers?: Record<string, string> }): Promise<{ status: number; json: any; text: string; headers: Headers }>;
  stop(): Promise<number | null>;
  /** kill -9 of the server only: its PostgreSQL stays behind, as after a crash. */
  kill(): Promise<void>;
  remove(): void;
}

/** Runs a command line of the project and waits for its end. */
export function runCli(args: readonly string[], env: Readonly<Record<string, string>>): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', join(ROOT, 'src', 'cli.ts'), ...args], { encoding: 'utf8', env: { ...process.env, ...env } });
  return { status, stdout, stderr };
}

export function makeDataFolder(options: Pick<CityOptions, 'files' | 'from'> = {}): string {
  const data = mkdtempSync(join(tmpdir(), 'clerestory-city-'));
  chmodSync(data, 0o755);
  const city = join(data, 'city');
  mkdirSync(city);
  if (options.from !== undefined) cpSync(options.from, city, { recursive: true });
  for (const [name, text] of Object.entries(options.files ?? {})) writeFileSync(join(city, name), text);
  return data;
}

export async function startTestCity(options: CityOptions = {}): Promise<TestCity> {
  const data = options.data ?? makeDataFolder(options);
  const env = { CLERESTORY_DATA: data, CLERESTORY_PORT: '0', CLERESTORY_MQTT_PORT: '0', CLERESTORY_LOG_LEVEL: 'warn', ...options.env };
  const [command, ...args] = [...(options.prefix ?? []), process.execPath, '--disable-warning=ExperimentalWarning', join(ROOT, 'src', 'main.ts'), ...(options.demo === true ? [] : ['--empty'])];
  const child = spawn(command as string, args, { cwd: ROOT, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
  const found: { url: string | undefined; link: string | undefined; mqtt: string | undefined } = { url: undefined, link: undefined, mqtt: undefined };
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`the city did not start in ${START_TIMEOUT_MS / 1000} s:\n${output}`));
    }, START_TIMEOUT_MS);
    createInterface({ input: child.stdout }).on('line', (line) => {
      output += `${line}\n`;
      found.url ??= /^\s+City\s+(\S+)/.exec(line)?.[1];
      found.link ??= /^\s+Sign in\s+(\S+)/.exec(line)?.[1];
      found.mqtt ??= /^\s+MQTT\s+\S+:(\d+)/.exec(line)?.[1];
      if (/Ctrl-C stops it/.test(line)) {
        clearTimeout(timer);
        resolve();
      }
    });
    child.once('exit', (code) => {
      clearTimeout(timer);
      reject(new Error(`the city ended with ${code}:\n${output}`));
    });
  });
  const { url, link, mqtt } = found;
  if (url === undefined || link === undefined || mqtt === undefined) throw new Error(`the banner lacks an address:\n${output}`);
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const tokens = new Map<string, string>();
  return {
    url,
    mqttPort: Number(mqtt),
    data,
    signInLink: link,
    process: child,
    output: () => output,
    token: (role, purpose) => {
      const key = `${role} ${purpose ?? ''}`;
      const known = tokens.get(key);
      if (known !== undefined) return known;
      const made = runCli(['token', '--role', role, ...(purpose === undefined ? [] : ['--purpose', purpose])], { CLERESTORY_DATA: data });
      if (made.status !== 0) throw new Error(`clerestory token failed: ${made.stderr}`);
      tokens.set(key, made.stdout.trim());
      return made.stdout.trim();
    },
    call: async (method, path, { token, body, headers } = {}) => {
      const response = await fetch(path.startsWith('http') ? path : url + path, {
        method,
        headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      });
      const text = await response.text();
      let json: unknown = null;
      try {
        json = JSON.parse(text);
      } catch {
        json = null; // not every answer is JSON; the caller looks at `text` then
      }
      return { status: response.status, json, text, headers: response.headers };
    },
    stop: async () => {
      child.kill('SIGTERM');
      return exited;
    },
    kill: async () => {
      child.kill('SIGKILL');
      await exited;
    },
    remove: () => rmSync(data, { recursive: true, force: true }),
  };
}
