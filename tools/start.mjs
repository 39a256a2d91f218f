// npm start: everything from a fresh clone to a living city. Plain JavaScript, because it runs before anything is installed.
import { join } from 'node:path';
import { buildWeb, installPackages } from './install.mjs';
import { findNode, root, run } from './run.mjs';

const startedMs = Date.now();
const say = (text) => console.log(`[${((Date.now() - startedMs) / 1000).toFixed(1).padStart(5)} s] ${text}`);

if (Number(process.versions.node.split('.')[0]) < 20) {
  console.error(`Clerestory needs Node 20 or later; this is ${process.version}.`);
  process.exit(1);
}
try {
  await installPackages(say);
  const args = process.argv.slice(2);
  if (!args.includes('--print-config')) buildWeb(say);
  const code = await run(findNode(), ['--disable-warning=ExperimentalWarning', join('src', 'main.ts'), ...args], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'], // the channel tells the city when this process is gone
    env: { ...process.env, CLERESTORY_STARTED_MS: String(startedMs) },
  });
  process.exit(code);
} catch (error) {
  console.error(`\nClerestory cannot start: ${error.message}`);
  process.exit(1);
}
