/** package-lock.json, version 3, as far as it is read here. */
export interface LockFile {
  readonly name: string;
  readonly version: string;
  readonly packages: Readonly<Record<string, LockedPackage>>;
}
export interface LockedPackage {
  readonly version?: string;
  readonly integrity?: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly devOptional?: boolean;
  readonly hasInstallScript?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

/** `part` says where a package ends up: in the server, in the pages that are built from it, on some platforms only, or in building and testing. */
export type Part = 'server' | 'pages' | 'platform' | 'tools';
export interface Component {
  readonly path: string;
  readonly name: string;
  readonly locked: LockedPackage & { readonly version: string };
  readonly part: Part;
}

const SCOPES = { server: 'required', pages: 'required', platform: 'optional', tools: 'excluded' } as const;
const nameOf = (path: string): string => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
const order = (a: Component, b: Component): number => (a.path < b.path ? -1 : 1);

/** Every package of the lock file. `pageImports` are the names that the sources of the pages import. */
export function listComponents(lock: LockFile, pageImports: readonly string[]): Component[] {
  const inPages = reach(lock, pageImports);
  return Object.entries(lock.packages)
    .filter((entry): entry is [string, LockedPackage & { version: string }] => entry[0] !== '' && entry[1].version !== undefined)
    .map(([path, locked]): Component => {
      const shipped = locked.optional === true ? 'platform' : 'server';
      return { path, name: nameOf(path), locked, part: locked.dev !== true && locked.devOptional !== true ? shipped : inPages.has(path) ? 'pages' : 'tools' };
    })
    .sort(order);
}

/** What is reached from these packages by their dependencies, resolved as Node does: the nearest node_modules upwards. */
function reach(lock: LockFile, names: readonly string[]): ReadonlySet<string> {
  const found = new Set<string>();
  const waiting = names.map((name) => resolve(lock, '', name));
  for (let path = waiting.pop(); waiting.length > 0 || path !== undefined; path = waiting.pop()) {
    if (path === undefined || found.has(path)) continue;
    found.add(path);
    for (const name of Object.keys(lock.packages[path]?.dependencies ?? {})) waiting.push(resolve(lock, path, name));
  }
  return found;
}

function resolve(lock: LockFile, from: string, name: string): string | undefined {
  for (let at: string | undefined = from; at !== undefined; at = at === '' ? undefined : at.slice(0, Math.max(0, at.lastIndexOf('node_modules/') - 1))) {
    const path = at === '' ? `node_modules/${name}` : `${at}/node_modules/${name}`;
    if (lock.packages[path] !== undefined) return path;
  }
  return undefined;
}

/**
 * The bill of materials in CycloneDX 1.6 (ECMA-424), made from the lock file alone, so that the same lock file gives the same bytes:
 * no serial number, no time.
 */
export function writeBillOfMaterials(lock: LockFile, pageImports: readonly string[]): string {
  const components = listComponents(lock, pageImports).map(({ path, name, locked, part }) => ({
    type: 'library',
    'bom-ref': path,
    ...(name.startsWith('@') ? { group: name.split('/')[0], name: name.split('/')[1] } : { name }),
    version: locked.version,
    scope: SCOPES[part],
    purl: `pkg:npm/${name.replace('@', '%40')}@${locked.version}`,
    ...(locked.license === undefined ? {} : { licenses: [/[ ()]/.test(locked.license) ? { expression: locked.license } : { license: { id: locked.license } }] }),
    ...(locked.integrity === undefined ? {} : { hashes: [{ alg: 'SHA-512', content: Buffer.from(locked.integrity.replace('sha512-', ''), 'base64').toString('hex') }] }),
    properties: [{ name: 'clerestory:part', value: part }],
  }));
  const document = {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: { component: { type: 'application', 'bom-ref': '.', name: lock.name, version: lock.version, licenses: [{ license: { id: 'EUPL-1.2' } }] } },
    components,
  };
  return `${JSON.stringify(document, null, 1)}\n`;
}
