/**
 * Sees that node_modules holds what package-lock.json asks for, and installs it where it does not. Plain Node
 * without packages, since it runs when there are none yet.
 */
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { mendDriver } from './mend-driver.mjs';

const LEAST_NODE = [20, 19];
const LOCK_POLL_MS = 200;

/** The folder of package.json. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));

const modules = join(root, 'node_modules');
const stamp = join(modules, '.payout-service-installed');
const installed = join(modules, '.package-lock.json');
const locks = join(root, '.data', 'install.lock');

/** Ends the process with one line when it cannot be done. */
export async function ensureInstalled() {
  refuseOldNode();
  if (!isInstalled())
    await withLock(async (holdFor) => {
      // Another start may have installed while this one waited.
      if (!isInstalled()) await install(holdFor);
    });
  try {
    // npm has done it, unless it was told to run no scripts.
    mendDriver();
  } catch (error) {
    fail(`The database's driver could not be mended: ${error.message}`);
  }
}

function refuseOldNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > LEAST_NODE[0] || (major === LEAST_NODE[0] && minor >= LEAST_NODE[1])) return;
  fail(`This service needs Node.js ${LEAST_NODE.join('.')} or newer; this is ${process.versions.node}.`);
}

function isInstalled() {
  const wanted = wantedStamp();
  if (readOr(stamp, '') === wanted && existsSync(installed)) return true;
  if (!holdsLockedVersions()) return false;
  try {
    writeFileSync(stamp, wanted);
  } catch {
    // A read-only node_modules is compared again at every start.
  }
  return true;
}

function wantedStamp() {
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  return `${lock} ${process.platform} ${process.arch}\n`;
}

/** Whether somebody's own "npm ci" or "npm install" has put there what the lock file asks for. */
function holdsLockedVersions() {
  const have = packagesOf(readOr(installed, ''));
  const want = packagesOf(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  if (!have || !want) return false;
  // A production image leaves the tools out, and must not fetch them when it starts.
  const needsTools = !(process.env.NODE_ENV === 'production' && existsSync(join(root, 'dist', 'main.js')));
  return Object.entries(want).every(([path, { version, optional, dev, link }]) => {
    if (path === '' || link) return true;
    const found = have[path];
    if (!found) return optional || (dev && !needsTools);
    return found.version === version && suitsMachine(found) && existsSync(join(root, path, 'package.json'));
  });
}

/** False for the binaries of another machine: node_modules may have been copied or mounted from there. */
function suitsMachine({ os, cpu }) {
  return suits(os, process.platform) && suits(cpu, process.arch);
}

function suits(names, own) {
  if (!names || names.includes('any')) return true;
  if (names.includes(`!${own}`)) return false;
  return names.includes(own) || names.every((name) => name.startsWith('!'));
}

async function install(holdFor) {
  console.error('Installing the packages that are missing (npm ci) ...');
  // First, so that an interrupted install is not taken for a whole one.
  rmSync(stamp, { force: true });
  rmSync(installed, { force: true });
  const [command, ...first] = npmCommand();
  const args = [...first, 'ci', '--include=dev', '--no-audit', '--no-fund'];
  const shell = command === 'npm.cmd';
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 2, 2], shell });
  // npm goes on when we are killed; the next start then waits for it.
  if (child.pid) holdFor(child.pid);
  const forward = (signal) => child.kill(signal);
  process.on('SIGINT', forward).on('SIGTERM', forward);
  const outcome = await new Promise((done) => {
    child.once('error', (error) => done(error.message));
    child.once('exit', (code, signal) => done(signal ?? code));
  });
  process.off('SIGINT', forward).off('SIGTERM', forward);
  if (outcome !== 0) fail(`The packages could not be installed: "npm ci" ended with ${outcome} (see above).`);
  writeFileSync(stamp, wantedStamp());
}

/** The npm that started us, if one did. */
function npmCommand() {
  const ours = process.env.npm_execpath;
  if (ours && basename(ours) === 'npm-cli.js' && existsSync(ours)) return [process.execPath, ours];
  return [process.platform === 'win32' ? 'npm.cmd' : 'npm'];
}

/**
 * One installer at a time, by the way of src/db/embedded/embedded-processes.ts: each takes a ticket and waits for
 * lower ones. Tickets are named for one process, so those of killed ones are cleared without a race.
 */
async function withLock(work) {
  try {
    mkdirSync(locks, { recursive: true });
  } catch (error) {
    fail(`The packages are not installed, and cannot be (${error.message}).`);
  }
  const name = nameFor(process.pid);
  const choosing = join(locks, `choosing.${name}`);
  writeFileSync(choosing, '');
  const last = livingTickets('ticket.').sort().at(-1);
  const number = String(Number(last ? last.split('.')[1] : 0) + 1).padStart(9, '0');
  const ticket = `ticket.${number}.${name}`;
  writeFileSync(join(locks, ticket), '');
  rmSync(choosing);
  const release = () => rmSync(join(locks, ticket), { force: true });
  process.once('exit', release);
  while (livingTickets('choosing.').length > 0) await pause();
  const isNotFirst = () => livingTickets('ticket.').some((other) => other < ticket);
  if (isNotFirst()) console.error('Waiting for another start that is installing the packages ...');
  while (isNotFirst()) await pause();
  await work((pid) => writeFileSync(join(locks, `ticket.${number}.${nameFor(pid)}`), ''));
  process.off('exit', release);
  release();
}

function nameFor(pid) {
  return `${pid}-${startOf(pid)}.${randomBytes(4).toString('hex')}`;
}

function livingTickets(prefix) {
  const names = readdirSync(locks).filter((name) => name.startsWith(prefix));
  return names.filter((name) => {
    const [pid, start] = name.split('.').at(-2).split('-');
    if (startOf(Number(pid)) === start) return true;
    rmSync(join(locks, name), { force: true });
    return false;
  });
}

/** Tells a process from an earlier one of the same pid, where the system lets us see; undefined when it is dead. */
function startOf(pid) {
  try {
    if (process.platform !== 'linux') return process.kill(pid, 0) ? '0' : undefined;
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

function pause() {
  return new Promise((done) => setTimeout(done, LOCK_POLL_MS));
}

function packagesOf(text) {
  try {
    return JSON.parse(text).packages;
  } catch {
    return undefined;
  }
}

function readOr(path, otherwise) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return otherwise;
  }
}

function fail(line) {
  console.error(line);
  process.exit(1);
}
