/**
 * PostgreSQL refuses to run as root. Started by root, it therefore runs as an unprivileged account that is there
 * already, and its data goes where that account can reach it. For everybody else none of this applies.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  lchownSync,
  lstatSync,
  readFileSync,
  readdirSync,
  realpathSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

export interface Account {
  readonly uid: number;
  readonly gid: number;
}

export interface Place {
  readonly dataDirectory: string;
  /** Who runs the server; undefined for ourselves. */
  readonly account: Account | undefined;
}

const CANDIDATES = ['postgres', '_postgres', 'nobody'];
const EXECUTE = 0o1;
const READ = 0o4;

/** Where the data lies or will lie, and who is to run the server on it. */
export async function placeData(wanted: string, note: (line: string) => void): Promise<Place> {
  const place = findData(wanted) ?? (await newPlace(wanted));
  if (place.dataDirectory !== wanted) {
    note(
      `Started as root, PostgreSQL runs as a user who may not enter this folder: data in ${place.dataDirectory}`,
    );
  }
  return place;
}

/** Where the data lies, if there is any. */
export function findData(wanted: string): Place | undefined {
  const isThere = existsSync(join(wanted, 'PG_VERSION'));
  if (process.getuid?.() !== 0) {
    refuseForeign(wanted);
    return isThere ? { dataDirectory: wanted, account: undefined } : undefined;
  }
  if (isThere) return placeExisting(wanted);
  const moved = readPointer(wanted);
  return moved === undefined
    ? undefined
    : { dataDirectory: moved, account: ownerOf(moved) ?? unprivilegedAccount() };
}

async function newPlace(wanted: string): Promise<Place> {
  if (process.getuid?.() !== 0) return { dataDirectory: wanted, account: undefined };
  const account = unprivilegedAccount();
  if (canEnter(dirname(wanted), account)) return { dataDirectory: wanted, account };
  const folder = await mkdtemp(join(sharedRoot(), `${movedName(wanted)}-`));
  chmodSync(folder, 0o755);
  const dataDirectory = join(folder, 'postgres');
  writePointer(wanted, dataDirectory);
  return { dataDirectory, account };
}

/** Data that is there stays with its owner, so that the same clone works for root and for its owner. */
function placeExisting(wanted: string): Place {
  const account = ownerOf(wanted) ?? unprivilegedAccount();
  if (!canEnter(dirname(wanted), account)) {
    throw new Error(
      `The user who is to run PostgreSQL (uid ${account.uid}) may not enter the folder of ${wanted}: ` +
        'move or delete that folder, or set DATABASE_URL to a server of your own.',
    );
  }
  return { dataDirectory: wanted, account };
}

function refuseForeign(wanted: string): void {
  const uid = process.getuid?.();
  if (uid === undefined || !existsSync(wanted) || statSync(wanted).uid === uid) return;
  throw new Error(
    `${wanted} belongs to another user (it was first started by root?): ` +
      'start as that user, move or delete that folder, or set DATABASE_URL to a server of your own.',
  );
}

/** The folder where the data went instead, if an earlier start wrote one down and it is still there. */
function readPointer(wanted: string): string | undefined {
  if (!existsSync(pointerOf(wanted))) return undefined;
  const dataDirectory = readFileSync(pointerOf(wanted), 'utf8').trimEnd().split('\n').at(-1) ?? '';
  const folder = dirname(dataDirectory);
  // The name is made from the path, so a copied clone does not take its original's data.
  const isItsOwn = basename(folder).startsWith(`${movedName(wanted)}-`) && dirname(folder) === sharedRoot();
  return isItsOwn && isSafelyRoots(folder) ? dataDirectory : undefined;
}

export function pointerOf(wanted: string): string {
  return `${wanted}.location.txt`;
}

function writePointer(wanted: string, dataDirectory: string): void {
  const why =
    'PostgreSQL was started by root, runs as another user, and that user may not enter this folder.';
  writeFileSync(
    pointerOf(wanted),
    `${why}\nIts data is here, until you delete this file:\n${dataDirectory}\n`,
  );
}

function movedName(wanted: string): string {
  return `payout-service-${createHash('sha256').update(wanted).digest('hex').slice(0, 12)}`;
}

/** /var/tmp, since it outlives a restart of the machine. */
export function sharedRoot(): string {
  return realpathSync(existsSync('/var/tmp') ? '/var/tmp' : '/tmp');
}

/** A real folder of root's that nobody else can write in: what root may trust in a folder open to all. */
export function isSafelyRoots(folder: string): boolean {
  const stat = lstatSync(folder, { throwIfNoEntry: false });
  return stat !== undefined && stat.isDirectory() && stat.uid === 0 && (stat.mode & 0o022) === 0;
}

function ownerOf(path: string): Account | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat && stat.uid !== 0 ? { uid: stat.uid, gid: stat.gid } : undefined;
}

function unprivilegedAccount(): Account {
  for (const name of CANDIDATES) {
    const account = { uid: idOf('-u', name), gid: idOf('-g', name) };
    if (account.uid > 0 && account.gid >= 0) return account;
  }
  throw new Error(
    'PostgreSQL does not run as root, and there is neither a user "postgres" nor "nobody" to run it: ' +
      'start as an ordinary user, or set DATABASE_URL to a server of your own.',
  );
}

function idOf(option: string, name: string): number {
  try {
    return Number(
      execFileSync('id', [option, name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
    );
  } catch {
    return -1;
  }
}

/** Whether the account can go into the folder, through every folder above it. */
export function canEnter(folder: string, account: Account): boolean {
  for (let path = realpathSync(folder); ; path = dirname(path)) {
    if (!isAllowed(path, account, EXECUTE)) return false;
    if (dirname(path) === path) return true;
  }
}

export function canRead(path: string, account: Account): boolean {
  const stat = lstatSync(path);
  if (stat.isSymbolicLink()) return true;
  const isProgram = (stat.mode & 0o111) !== 0;
  return isAllowed(path, account, stat.isDirectory() || isProgram ? READ | EXECUTE : READ);
}

function isAllowed(path: string, account: Account, wanted: number): boolean {
  const { uid, gid, mode } = statSync(path);
  const shift = uid === account.uid ? 6 : gid === account.gid ? 3 : 0;
  return ((mode >> shift) & wanted) === wanted;
}

/** Gives the path to the account, with all it holds. Without an account nothing is to be done. */
export function giveTo(account: Account | undefined, path: string): void {
  if (!account) return;
  lchownSync(path, account.uid, account.gid);
  if (!lstatSync(path).isDirectory()) return;
  for (const name of readdirSync(path)) giveTo(account, join(path, name));
}
