// npm test: checks and all tests, from a fresh clone. `--only check|unit|conformance|system|failure|browser` runs one part.
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { buildWeb, installPackages } from './install.mjs';
import { findNode, root, run } from './run.mjs';

const startedMs = Date.now();
const say = (text) => console.log(`\n[${((Date.now() - startedMs) / 1000).toFixed(0).padStart(4)} s] ${text}`);
const only = process.argv.includes('--only') ? process.argv[process.argv.indexOf('--only') + 1] : undefined;
const wants = (part) => only === undefined || only === part;
const CHROMIUM = '/usr/bin/chromium';
/** Characters of one failure that are repeated at the end, where a cut log still shows them. */
const LONGEST_MESSAGE = 2_000;

await installPackages(say);
buildWeb(say);
mkdirSync(join(root, 'artefacts'), { recursive: true });
const node = findNode();
const tool = (path, ...args) => run(node, [join('node_modules', ...path.split('/')), ...args]);

const checks = [
  ['types', () => tool('typescript/bin/tsc', '--noEmit', '-p', 'tsconfig.json')],
  ['types of the pages', () => tool('svelte-check/bin/svelte-check', '--tsconfig', 'web/tsconfig.json', '--fail-on-warnings', '--output', 'human')],
  ['lint', () => tool('eslint/bin/eslint.js', '--max-warnings', '0', '.')],
  ['import direction', () => tool('dependency-cruiser/bin/dependency-cruiser.mjs', '--config', '.dependency-cruiser.cjs', 'src', 'web/src', 'demo')],
  ['dead code', () => tool('knip/bin/knip.js', '--no-progress')],
  ['generated documents', () => run(node, [join('tools', 'documents.ts'), '--check'])],
];
const failedChecks = [];
if (wants('check')) {
  for (const [name, check] of checks) {
    say(`checking ${name}`);
    if ((await check()) !== 0) failedChecks.push(name);
  }
}

// Debian packages that some tests need; without root they say what they miss and are skipped
const missing = [
  { part: 'browser', file: CHROMIUM, package: 'chromium' },
  { part: 'system', file: '/usr/sbin/ip', package: 'iproute2' },
  { part: 'unit', file: '/usr/bin/softhsm2-util', package: 'softhsm2' },
  { part: 'unit', file: '/usr/bin/pkcs11-tool', package: 'opensc' },
].filter(({ part, file }) => wants(part) && !existsSync(file) && !existsSync(file.replace('/usr', '')));
if (missing.length > 0 && process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')) {
  const packages = missing.map((each) => each.package);
  say(`installing ${packages.join(', ')} for the ${[...new Set(missing.map(({ part }) => part))].join(' and ')} tests`);
  const environment = { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } };
  await run('apt-get', ['update', '-qq'], environment);
  await run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], environment);
}
const browser = existsSync(CHROMIUM);
if (wants('browser') && !browser) say(`browser tests are skipped: ${CHROMIUM} is missing and cannot be installed without root and apt. Install Debian's package "chromium" to run them.`);

const failures = [];
const totals = { passed: checks.length - failedChecks.length, failed: failedChecks.length, skipped: 0 };
if (!wants('check')) totals.passed = 0;
for (const part of ['unit', 'conformance', 'system', 'failure', 'browser']) {
  if (!wants(part) || (part === 'browser' && !browser)) continue;
  say(`${part} tests`);
  const report = join(root, 'artefacts', `${part}.json`);
  const code = await tool('vitest/vitest.mjs', 'run', '--project', part, '--reporter', 'default', '--reporter', 'json', '--outputFile.json', report, '--passWithNoTests');
  if (!existsSync(report)) {
    totals.failed += 1;
    failures.push(`${part}: no report was written`);
    continue;
  }
  const result = JSON.parse(readFileSync(report, 'utf8'));
  totals.passed += result.numPassedTests;
  totals.failed += result.numFailedTests + (code !== 0 && result.numFailedTests === 0 ? 1 : 0);
  totals.skipped += result.numPendingTests + result.numTodoTests;
  for (const file of result.testResults) {
    const failed = file.assertionResults.filter(({ status }) => status === 'failed');
    for (const { fullName, failureMessages } of failed) failures.push(`${part}: ${relative(root, file.name)} > ${fullName}\n${failureMessages.join('\n').slice(0, LONGEST_MESSAGE)}`);
    if (failed.length === 0 && file.status === 'failed') failures.push(`${part}: ${relative(root, file.name)}\n${file.message.slice(0, LONGEST_MESSAGE)}`);
  }
}
say(failedChecks.length > 0 ? `checks that failed: ${failedChecks.join(', ')}` : 'done');
for (const failure of failures) console.log(`\nFAILED ${failure}`);
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exit(totals.failed > 0 ? 1 : 0);
