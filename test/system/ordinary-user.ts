/** Somebody at a terminal who is not root. */
import { chownSync } from 'node:fs';
import { lchown, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { run, succeed, type Account } from './programs.ts';

export interface OrdinaryUser {
  /** Nothing where we are an ordinary user ourselves: then programs run as we do. */
  account?: Account;
  env: Record<string, string>;
  remove: () => Promise<void>;
}

/** Gives the folder and all in it to a user made for it, as only root can; that user's programs have it as their home. */
export async function ordinaryUserOf(home: string): Promise<OrdinaryUser> {
  if (process.getuid?.() !== 0) return { env: {}, remove: () => Promise.resolve() };
  const name = `payout-test-${process.pid}`;
  // What this machine's npm is set to use, and another user's may not be.
  const registry = (await succeed('npm', ['config', 'get', 'registry'])).trim();
  await succeed('useradd', ['--no-create-home', '--home-dir', home, '--shell', '/bin/sh', name]);
  const [uid, gid] = await Promise.all([succeed('id', ['-u', name]), succeed('id', ['-g', name])]);
  const account = { uid: Number(uid), gid: Number(gid) };
  for (const entry of await readdir(home, { recursive: true }))
    await lchown(join(home, entry), account.uid, account.gid);
  chownSync(home, account.uid, account.gid);
  return {
    account,
    env: { HOME: home, USER: name, LOGNAME: name, npm_config_registry: registry },
    remove: async () => void (await run('userdel', [name])),
  };
}
