import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sha256 } from '../kernel/index.ts';
import { listComponents, writeBillOfMaterials, type Component, type LockFile } from './bill-of-materials.ts';

export const BILL_OF_MATERIALS = 'sbom.cdx.json';
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Not part of what is published: made here, or the city's own. */
const NOT_SOURCE: ReadonlySet<string> = new Set(['node_modules', '.git', 'artefacts', 'data', 'build', '.svelte-kit', 'bench.json']);
const FILES_LIMIT = 50_000;

/** Names of packages that the sources of the pages import. */
export async function findPageImports(root: string): Promise<string[]> {
  const names = new Set<string>();
  for (const file of await listFiles(join(root, 'web'), ['src'])) {
    if (!/\.(?:ts|svelte|css)$/.test(file) || file.endsWith('.test.ts')) continue;
    for (const [, name] of (await readFile(join(root, 'web', file), 'utf8')).matchAll(/(?:from|import|@import)\s*\(?['"]((?:@[\w.-]+\/)?[a-z][\w.-]*)(?:\/[^'"]*)?['"]/g)) names.add(name as string);
  }
  return [...names].sort();
}

async function listFiles(root: string, tops: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  const walk = async (path: string): Promise<void> => {
    for (const entry of await readdir(join(root, path), { withFileTypes: true })) {
      if (NOT_SOURCE.has(entry.name)) continue;
      const inner = path === '' ? entry.name : `${path}/${entry.name}`;
      if (entry.isDirectory()) await walk(inner);
      else if (entry.isFile()) files.push(inner);
      if (files.length > FILES_LIMIT) throw new Error(`more than ${String(FILES_LIMIT)} files below ${root}`);
    }
  };
  for (const top of tops) await walk(top);
  return files.sort();
}

/** SHA-256 over the sources, file by file: names and contents, in the order of names. */
export async function hashSources(root: string): Promise<{ hash: string; files: number }> {
  const files = await listFiles(root, ['']);
  const all = sha256();
  for (const file of files) {
    const content = sha256();
    content.update(await readFile(join(root, file)));
    all.update(`${content.digest('hex')}  ${file}\n`);
  }
  return { hash: all.digest('hex'), files: files.length };
}

/** Where the installed packages differ from the lock file; empty when they do not. */
export function compareInstalled(lock: LockFile, installed: LockFile): string[] {
  const differences: string[] = [];
  for (const [path, { version, integrity }] of Object.entries(installed.packages)) {
    const locked = lock.packages[path];
    if (locked === undefined) differences.push(`${path} is installed and not in the lock file`);
    else if (locked.version !== version) differences.push(`${path} is ${version ?? 'without a version'}, locked is ${locked.version ?? 'none'}`);
    else if (locked.integrity !== integrity) differences.push(`${path} has another integrity hash than the lock file`);
  }
  for (const [path, locked] of Object.entries(lock.packages)) {
    if (path !== '' && locked.optional !== true && locked.dev !== true && locked.devOptional !== true && installed.packages[path] === undefined) differences.push(`${path} is locked and not installed`);
  }
  return differences;
}

const countOf = (components: readonly Component[], part: Component['part']): number => components.filter((component) => component.part === part).length;

/**
 * `clerestory verify build`: compares the installed packages with the lock file and the bill of materials with both, and prints a
 * hash of the sources that anybody who has the same version can compute. Gives the exit code: 0 all agree, 1 something differs, 2 nothing to check.
 */
export async function verifyBuild({ expect, root = ROOT }: { expect?: string; root?: string }, print: (line: string) => void): Promise<number> {
  const read = async (...path: string[]): Promise<string | null> =>
    readFile(join(root, ...path), 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw error;
    });
  const [lockText, installedText, bill] = [await read('package-lock.json'), await read('node_modules', '.package-lock.json'), await read(BILL_OF_MATERIALS)];
  if (lockText === null || installedText === null) {
    print('There is no package-lock.json or nothing is installed: run npm ci --ignore-scripts first.');
    return 2;
  }
  const lock = JSON.parse(lockText) as LockFile;
  const imports = await findPageImports(root);
  const components = listComponents(lock, imports);
  const { hash, files } = await hashSources(root);
  const faults = compareInstalled(lock, JSON.parse(installedText) as LockFile);
  if (bill !== writeBillOfMaterials(lock, imports)) faults.push(`${BILL_OF_MATERIALS} is not the bill of materials of this lock file`);
  if (components.some(({ locked }) => locked.integrity === undefined)) faults.push('a package of the lock file has no integrity hash');
  if (expect !== undefined && expect !== hash) faults.push(`the sources hash to ${hash}, not to ${expect}`);

  print(`sources   ${hash} (${String(files)} files)`);
  print(`packages  ${String(countOf(components, 'server'))} in the server, ${String(countOf(components, 'pages'))} in the pages, ${String(countOf(components, 'platform'))} for single platforms, ${String(countOf(components, 'tools'))} for building and testing`);
  print('');
  print(faults.length === 0 ? 'What is installed is what is listed.' : `It does NOT agree: ${faults[0] as string}.`);
  for (const fault of faults.slice(1, 50)) print(`  also: ${fault}`);
  print('');
  print('Proved:');
  if (faults.length === 0) {
    print('  - npm recorded the very packages of the lock file as installed: names, versions and hashes, and no other');
    print(`  - ${BILL_OF_MATERIALS} lists them all (CycloneDX 1.6)`);
    if (expect !== undefined) print('  - the sources are those whose hash you brought');
  } else print('  - nothing');
  print('');
  print('Not proved:');
  print('  - that nobody changed the files of a package after it was installed: npm ci --ignore-scripts installs them again and checks each hash');
  if (expect === undefined) print('  - that these are the published sources: compare the hash above with one from elsewhere (--expect HASH)');
  print('  - that the packages do what they say; that the built pages are made from these sources (npm test builds them again)');
  return faults.length === 0 ? 0 : 1;
}
