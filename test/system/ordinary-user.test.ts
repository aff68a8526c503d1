import { chownSync, readFileSync } from 'node:fs';
import { lchown, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT, freePort, run, succeed, type Account } from './programs.ts';
import { ServiceProcess, leftIn, makeFolder, processesIn, removeFolder } from './service-process.ts';

/** Other tests run beside it: how long a start takes, fresh-clone.test.ts measures. */
const LIMIT_SECONDS = 100;

// Only root can make one. Who is not root is one, and has seen it in fresh-clone.test.ts.
describe.runIf(process.getuid?.() === 0)('an ordinary user who has just cloned it', () => {
  const name = `payout-test-${process.pid}`;
  let home: string;
  let account: Account;

  beforeAll(async () => {
    home = await makeFolder();
    await succeed('useradd', ['--no-create-home', '--home-dir', home, '--shell', '/bin/sh', name]);
    const numbers = await Promise.all([succeed('id', ['-u', name]), succeed('id', ['-g', name])]);
    account = { uid: Number(numbers[0]), gid: Number(numbers[1]) };
    // Files of its own: they are given away.
    await succeed('git', ['clone', '--quiet', '--no-hardlinks', ROOT, join(home, 'clone')]);
    await giveAway(home, account);
  });

  afterAll(async () => {
    await removeFolder(home);
    await run('userdel', [name]);
  });

  it('installs, starts and stops it', { timeout: 3 * LIMIT_SECONDS * 1000 }, async () => {
    const options = {
      folder: join(home, 'clone'),
      port: await freePort(),
      account,
      env: { HOME: home, USER: name, LOGNAME: name, npm_config_registry: await registry() },
    };
    const first = new ServiceProcess(options);
    await first.ready(LIMIT_SECONDS);
    expect(processesIn(home).every(({ pid }) => ownerOf(pid) === account.uid)).toBe(true);
    await first.terminate();
    expect(await leftIn(home)).toEqual([]);
    const second = new ServiceProcess(options);
    await second.ready(LIMIT_SECONDS);
    await second.pressCtrlC();
    expect(await leftIn(home)).toEqual([]);
  });
});

/** The registry that this machine's npm is set to use. */
async function registry(): Promise<string> {
  return (await succeed('npm', ['config', 'get', 'registry'])).trim();
}

async function giveAway(path: string, { uid, gid }: Account): Promise<void> {
  for (const entry of await readdir(path, { recursive: true })) await lchown(join(path, entry), uid, gid);
  chownSync(path, uid, gid);
}

function ownerOf(pid: number): number | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(/^Uid:\s+(\d+)/m.exec(status)?.[1]);
  } catch {
    return undefined;
  }
}
