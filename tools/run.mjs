// Runs a TypeScript file on Node 24 or later: the one in use, or the one that the lock file pins.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const NEEDED_MAJOR = 24;

export function findNode() {
  if (Number(process.versions.node.split('.')[0]) >= NEEDED_MAJOR) return process.execPath;
  const pinned = join(root, 'node_modules', `node-${process.platform}-${process.arch}`, 'bin', 'node');
  if (existsSync(pinned)) return pinned;
  throw new Error(`Clerestory needs Node ${NEEDED_MAJOR} or later, and this platform (${process.platform}-${process.arch}) has none to install by npm. Install it from your distribution and start again.`);
}

/** Spawns and resolves with the exit code; signals are passed on, so that Ctrl-C stops the child cleanly. */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: 'inherit', ...options });
    const pass = (signal) => () => child.kill(signal);
    const onTerm = pass('SIGTERM');
    const ignore = () => undefined; // the terminal sends Ctrl-C to the whole group already
    process.on('SIGINT', ignore).on('SIGTERM', onTerm);
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      process.off('SIGINT', ignore).off('SIGTERM', onTerm);
      resolve(code ?? (signal === 'SIGINT' ? 130 : 1));
    });
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [file, ...args] = process.argv.slice(2);
  process.exit(await run(findNode(), ['--disable-warning=ExperimentalWarning', file, ...args]));
}
