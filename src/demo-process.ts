import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { RunningCity } from './app.ts';
import type { Config } from './config.ts';
import { mintToken } from './trust/index.ts';

export interface Demo {
  /** Seeds the running city through its public APIs and lets the simulator in; resolves when the city is seeded. */
  enter(city: RunningCity): Promise<void>;
  stop(): Promise<void>;
}

const DEMO = fileURLToPath(new URL('../demo/', import.meta.url));
const RESTART_MS = 5_000;

/**
 * Prepares the demo city's folder when there is none yet. The demo runs in processes of its own and holds nothing but an
 * address and tokens, like any stranger.
 */
export async function startDemo(config: Config, say: (text: string) => void): Promise<Demo> {
  if (config.empty) return { enter: async () => undefined, stop: async () => undefined };
  const folder = join(config.data, 'city');
  if (!existsSync(join(folder, 'city.json'))) {
    say('drawing the demo city: streets, houses and places of OpenStreetMap');
    await finish(spawnDemo('build-city.ts', [folder], {}), say);
  }
  let simulator: ChildProcess | undefined;
  let stopped = false;
  return {
    enter: async (city) => {
      const env = {
        CLERESTORY_URL: city.url,
        CLERESTORY_ADMIN_TOKEN: mintToken(config.data, { position: 'administrator' }),
        CLERESTORY_TOKEN: mintToken(config.data, { position: 'device' }),
        CLERESTORY_DEMO_SPEED: String(config.demo_speed),
        CLERESTORY_DEMO_SCENARIO: config.demo_scenario,
      };
      await finish(spawnDemo('seed.ts', [folder], env), say);
      const run = (): void => {
        simulator = spawnDemo('simulator.ts', [folder], env);
        print(simulator, say);
        simulator.once('exit', (code) => {
          if (stopped) return;
          say(`the simulator ended (${code ?? 'signal'}); it starts again in ${RESTART_MS / 1000} s`);
          setTimeout(() => {
            if (!stopped) run();
          }, RESTART_MS).unref();
        });
      };
      run();
    },
    stop: async () => {
      stopped = true;
      if (!simulator || simulator.exitCode !== null || simulator.signalCode !== null) return;
      const gone = new Promise((resolve) => simulator?.once('exit', resolve));
      simulator.kill('SIGTERM');
      await gone;
    },
  };
}

function spawnDemo(file: string, args: string[], env: Record<string, string>): ChildProcess {
  return spawn(process.execPath, ['--disable-warning=ExperimentalWarning', '--max-old-space-size=512', join(DEMO, file), ...args], { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'inherit', 'ipc'] });
}

function print(child: ChildProcess, say: (text: string) => void): void {
  if (child.stdout) createInterface({ input: child.stdout }).on('line', say);
}

async function finish(child: ChildProcess, say: (text: string) => void): Promise<void> {
  print(child, say);
  const code = await new Promise<number | null>((resolve, reject) => child.once('error', reject).once('exit', resolve));
  if (code !== 0) throw new Error(`the demo city could not be prepared (exit code ${code ?? 'by signal'}); its lines above say why. npm start -- --empty starts without it.`);
}
