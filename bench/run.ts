// Runs all benchmarks one after the other, each in a process of its own. They print ratios; see bench/README.md.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = dirname(fileURLToPath(import.meta.url));
const wanted = process.argv.slice(2);
for (const file of readdirSync(folder).sort()) {
  if (!file.endsWith('.ts') || file === 'run.ts' || (wanted.length > 0 && !wanted.includes(file.replace('.ts', '')))) continue;
  console.log(`\n# ${file}`);
  const { status } = spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', join(folder, file)], { stdio: 'inherit' });
  if (status !== 0) process.exitCode = 1;
}
