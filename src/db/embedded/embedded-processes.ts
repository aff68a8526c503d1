/**
 * Which processes share an embedded server, and one lock between them. Everything is told by the names of empty
 * files, so nothing can be read half written, and every name belongs to one process only, so a name left by a
 * killed process can be cleared by anybody without a race.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, readFileSync, statSync } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const HAS_PROC = existsSync('/proc/self/stat');

/** Names a process as `<pid>-<start>`: pids are used again, starts are not. Undefined when it does not live. */
export function processMark(pid: number = process.pid): string | undefined {
  const start = HAS_PROC
    ? startFromProc(pid)
    : process.platform === 'win32'
      ? startUnknown(pid)
      : startFromPs(pid);
  return start === undefined ? undefined : `${pid}-${start}`;
}

export function isAlive(mark: string): boolean {
  return processMark(Number.parseInt(mark, 10)) === mark;
}

let bootId: string | undefined;

function startFromProc(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command's name, in parentheses, may hold spaces: count the fields after it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
    bootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').slice(0, 8);
    return `${bootId}x${fields[19]}`;
  } catch {
    return undefined;
  }
}

function startFromPs(pid: number): string | undefined {
  try {
    const env = { ...process.env, LC_ALL: 'C', TZ: 'UTC' };
    const said = execFileSync('ps', ['-o', 'stat=', '-o', 'lstart=', '-p', String(pid)], {
      env,
      encoding: 'utf8',
    });
    const [state, ...start] = said.trim().split(/\s+/);
    return !state || state.startsWith('Z') ? undefined : start.join('').replaceAll(':', '');
  } catch {
    return undefined;
  }
}

function startUnknown(pid: number): string | undefined {
  try {
    process.kill(pid, 0);
    return '0';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? '0' : undefined;
  }
}

/** The command line of a live process, '' when it is not ours to read or there is none. */
export function commandLineOf(pid: number): string {
  try {
    if (HAS_PROC) return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
    const [command, args] =
      process.platform === 'win32'
        ? (['tasklist', ['/FI', `PID eq ${pid}`, '/NH']] as const)
        : (['ps', ['-ww', '-o', 'command=', '-p', String(pid)]] as const);
    return execFileSync(command, args, { encoding: 'utf8' });
  } catch {
    return '';
  }
}

/** Enters this process in the folder's list; the answer takes it out again. */
export async function register(folder: string): Promise<() => Promise<void>> {
  await makeFolder(folder);
  const entry = join(folder, ownName());
  await writeFile(entry, '');
  return () => rm(entry, { force: true });
}

/** How many registrations of live processes the folder holds; those of dead ones are cleared. */
export async function countRegistered(folder: string): Promise<number> {
  return (await liveEntries(folder, '')).length;
}

/**
 * Runs the work while no other holder of the same folder runs theirs, in this process or another. Lamport's bakery:
 * each takes a ticket and waits for the lower ones. A killed holder's ticket counts no more, so nothing is left to
 * take over, which is where lock files race.
 */
export async function withLock<T>(folder: string, waitMs: number, work: () => Promise<T>): Promise<T> {
  await makeFolder(folder);
  const name = ownName();
  const choosing = join(folder, `choosing.${name}`);
  let ticket: string | undefined;
  try {
    await writeFile(choosing, '');
    const last = (await liveEntries(folder, 'ticket.')).sort().at(-1);
    const number = Number(last?.split('.')[1] ?? 0) + 1;
    ticket = `ticket.${String(number).padStart(9, '0')}.${name}`;
    await writeFile(join(folder, ticket), '');
    await rm(choosing);
    const mine = ticket;
    const deadline = performance.now() + waitMs;
    // Two waits, in this order: whoever has finished choosing is then certain to be seen with a ticket.
    await until(deadline, folder, async () => (await liveEntries(folder, 'choosing.')).length === 0);
    await until(deadline, folder, async () =>
      (await liveEntries(folder, 'ticket.')).every((other) => other >= mine),
    );
    return await work();
  } finally {
    await rm(choosing, { force: true });
    if (ticket) await rm(join(folder, ticket), { force: true });
  }
}

async function until(deadline: number, folder: string, isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) {
    if (performance.now() > deadline) {
      throw new Error(
        `Another process has been starting or stopping the embedded PostgreSQL too long: see ${folder}`,
      );
    }
    await sleep(20);
  }
}

function ownName(): string {
  return `${processMark() ?? `${process.pid}-0`}.${randomBytes(6).toString('hex')}`;
}

/** The folder, owned like the one that holds it, so that root leaves nothing a clone's owner cannot use. */
async function makeFolder(folder: string): Promise<void> {
  const made = await mkdir(folder, { recursive: true });
  if (made === undefined || process.getuid?.() !== 0) return;
  const { uid, gid } = statSync(dirname(folder));
  chownSync(folder, uid, gid);
}

async function liveEntries(folder: string, prefix: string): Promise<string[]> {
  const names = (await readdir(folder)).filter((name) => name.startsWith(prefix));
  const live = names.filter((name) => isAlive(name.split('.').at(-2) ?? ''));
  const dead = names.filter((name) => !live.includes(name));
  await Promise.all(dead.map((name) => rm(join(folder, name), { force: true })));
  return live;
}
