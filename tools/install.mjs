// Brings node_modules to what the lock file says, and the web pages to what their sources say; does nothing when they are.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findNode, root, run } from './run.mjs';

const lockMark = join(root, 'node_modules', '.clerestory-lock');
const buildMark = join(root, 'web', 'build', '.clerestory-sources');

function hashOf(...paths) {
  const hash = createHash('sha256');
  const add = (path) => {
    if (!existsSync(path)) return;
    if (statSync(path).isDirectory()) {
      for (const name of readdirSync(path).sort()) if (!['node_modules', 'build', '.svelte-kit'].includes(name)) add(join(path, name));
    } else hash.update(path.slice(root.length)).update(readFileSync(path));
  };
  for (const path of paths) add(join(root, path));
  return hash.digest('hex');
}

const marked = (file, value) => existsSync(file) && readFileSync(file, 'utf8') === value;

export async function installPackages(say) {
  const wanted = hashOf('package-lock.json');
  if (!marked(lockMark, wanted)) {
    say('installing packages (once; needs the npm registry)');
    const npm = process.env.npm_execpath;
    const args = ['ci', '--ignore-scripts', '--include=dev', '--include=optional', '--no-audit', '--no-fund', '--loglevel=error'];
    // the pinned Node runs the program; npm itself may run on an older one, whose engine warnings say nothing to the reader
    const code = npm ? await run(process.execPath, [npm, ...args]) : await run('npm', args);
    if (code !== 0) throw new Error('npm ci failed; the lines above say why. Without a network, copy node_modules from a machine that has one.');
    writeFileSync(lockMark, wanted);
  }
  const bin = join(root, 'node_modules', '.bin', 'clerestory');
  if (!existsSync(bin)) {
    mkdirSync(join(root, 'node_modules', '.bin'), { recursive: true });
    rmSync(bin, { force: true });
    symlinkSync(join('..', '..', 'tools', 'clerestory.mjs'), bin);
  }
}

export function buildWeb(say) {
  const wanted = hashOf('web', 'src/contracts', 'package-lock.json');
  if (marked(buildMark, wanted)) return;
  say('building the pages (once for every version)');
  const built = spawnSync(findNode(), [join(root, 'node_modules', 'vite', 'bin', 'vite.js'), 'build', '--logLevel', 'error'], { cwd: join(root, 'web'), encoding: 'utf8', env: { ...process.env, NODE_ENV: 'production' } });
  if (built.status !== 0) throw new Error(`building the pages failed:\n${built.stdout}\n${built.stderr}`);
  writeFileSync(buildMark, wanted);
}
