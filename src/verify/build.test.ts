import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { listComponents, writeBillOfMaterials, type LockFile } from './bill-of-materials.ts';
import { BILL_OF_MATERIALS, compareInstalled, findPageImports, verifyBuild } from './build.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as LockFile;
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<string, Record<string, string>>;
const components = listComponents(lock, await findPageImports(root));

/** Raising it is a decision: say in the commit what the package is for. */
const SERVER_PACKAGES_MAX = 176;
const PAGE_PACKAGES_MAX = 62;
const LICENCES: ReadonlySet<string> = new Set(['MIT', 'ISC', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', '0BSD', 'BlueOak-1.0.0', 'OFL-1.1', '(EDL-1.0 OR EPL-1.0)', '(MIT OR Apache-2.0)', '(Apache-2.0 AND BSD-3-Clause)', 'CC0-1.0']);
/** For building only; nothing of it is shipped. */
const TOOL_LICENCES: ReadonlySet<string> = new Set(['MPL-2.0']);

interface NpmTree {
  readonly version?: string;
  readonly dependencies?: Readonly<Record<string, NpmTree>>;
}

describe('the packages of the lock file', () => {
  test('are few, and no more than was decided', () => {
    const count = (part: string) => components.filter((component) => component.part === part).length;
    expect(count('server')).toBeLessThanOrEqual(SERVER_PACKAGES_MAX);
    expect(count('pages')).toBeLessThanOrEqual(PAGE_PACKAGES_MAX);
  });

  test('have an integrity hash and a licence that allows it', () => {
    expect(components.filter(({ locked }) => !/^sha512-/.test(locked.integrity ?? ''))).toEqual([]);
    // vt-pbf states its licence in its LICENSE file alone
    const odd = components.filter(({ locked, part, name }) => !LICENCES.has(locked.license ?? '') && !(part === 'tools' && (TOOL_LICENCES.has(locked.license ?? '') || locked.license === undefined)) && name !== '@mapbox/mvt-fixtures');
    expect(odd.map(({ name, locked }) => `${name}: ${locked.license ?? 'none stated'}`)).toEqual([]);
  });

  test('are named by exact versions, and none may run a script when it is installed', () => {
    const ranges = Object.entries({ ...manifest['dependencies'], ...manifest['optionalDependencies'] }).filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version));
    expect(ranges).toEqual([]);
    expect(readFileSync(join(root, '.npmrc'), 'utf8')).toMatch(/^ignore-scripts=true$/m);
  });

  test('of the server hold no native add-on', () => {
    const found = execFileSync('find', [join(root, 'node_modules'), '-name', '*.node', '-not', '-path', '*/.cache/*'], { encoding: 'utf8' }).split('\n').filter((path) => path !== '');
    const server = components.filter(({ part }) => part === 'server' || part === 'pages').map(({ path }) => join(root, path, '/'));
    expect(found.filter((path) => server.some((folder) => path.startsWith(folder) && !path.slice(folder.length).includes('node_modules/')))).toEqual([]);
  });
});

describe('the bill of materials', () => {
  test('lists what npm itself lists as production packages', () => {
    const npm = process.env['npm_execpath'];
    const args = ['ls', '--all', '--omit', 'dev', '--package-lock-only', '--json', '--loglevel', 'silent'];
    const [command, ...first] = npm === undefined ? (['npm'] as const) : ([process.execPath, npm] as const);
    const tree = JSON.parse(execFileSync(command, [...first, ...args], { cwd: root, encoding: 'utf8', maxBuffer: 64 * 1_048_576 })) as NpmTree;
    const theirs = new Set<string>();
    const collect = ({ dependencies = {} }: NpmTree): void => {
      for (const [name, inner] of Object.entries(dependencies)) {
        if (inner.version !== undefined) theirs.add(`${name}@${inner.version}`);
        collect(inner);
      }
    };
    collect(tree);
    const ours = components.filter(({ part }) => part === 'server' || part === 'platform').map(({ name, locked }) => `${name}@${locked.version}`);
    expect([...new Set(ours)].sort()).toEqual([...theirs].sort());
  });

  test('is the one in the repository, and verify build holds', async () => {
    const lines: string[] = [];
    expect(readFileSync(join(root, BILL_OF_MATERIALS), 'utf8')).toBe(writeBillOfMaterials(lock, await findPageImports(root)));
    expect(await verifyBuild({}, (line) => lines.push(line)), lines.join('\n')).toBe(0);
    expect(await verifyBuild({ expect: 'ab'.repeat(32) }, (line) => lines.push(line))).toBe(1);
  });

  test('finds the packages of the pages by what they import', () => {
    const pages = components.filter(({ part }) => part === 'pages').map(({ name }) => name);
    expect(pages).toEqual(expect.arrayContaining(['svelte', 'maplibre-gl', 'uplot', 'pmtiles']));
    expect(pages).not.toContain('vitest');
  });
});

test('a package that was put in, changed or left out shows', () => {
  const installed = structuredClone(lock) as { packages: Record<string, { version: string; integrity: string }> } & LockFile;
  delete (installed.packages as Record<string, unknown>)[''];
  expect(compareInstalled(lock, installed)).toEqual([]);
  installed.packages['node_modules/left-behind'] = { version: '1.0.0', integrity: 'sha512-AA==' };
  (installed.packages['node_modules/yaml'] as { version: string }).version = '9.9.9';
  (installed.packages['node_modules/zod'] as { integrity: string }).integrity = 'sha512-AA==';
  delete (installed.packages as Record<string, unknown>)['node_modules/fastify'];
  const found = compareInstalled(lock, installed).join('\n');
  for (const name of ['left-behind', 'yaml', 'zod', 'fastify']) expect(found).toContain(name);
});
