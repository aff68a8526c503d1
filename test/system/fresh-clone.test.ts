import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEMO_PASSWORD } from '../../src/demo/people.ts';
import { ordinaryUserOf, type OrdinaryUser } from './ordinary-user.ts';
import { ROOT, freePort, run, succeed, type Outcome } from './programs.ts';
import {
  ServiceProcess,
  leftIn,
  makeFolder,
  postmasterOf,
  processesIn,
  removeFolder,
} from './service-process.ts';

const FRESH_LIMIT_SECONDS = 60;
const WARM_LIMIT_SECONDS = 5;
/** A warm start is only slow when every one is: this machine does other things too. */
const warmStarts: number[] = [];

let folder: string;
let clone: string;
/** Not root, who installs and starts it in the rest of CI. */
let user: OrdinaryUser | undefined;

beforeAll(async () => {
  folder = await makeFolder();
  clone = join(folder, 'payout-service');
  // Files of its own: they are given away.
  await succeed('git', ['clone', '--quiet', '--no-hardlinks', ROOT, clone]);
  user = await ordinaryUserOf(folder);
});

afterAll(async () => {
  await removeFolder(folder);
  await user?.remove();
});

describe('somebody who has just cloned it', () => {
  let port: number;
  let service: ServiceProcess;

  const start = async (options: { port?: number } = {}): Promise<ServiceProcess> => {
    const started = new ServiceProcess({ folder: clone, port: options.port ?? port, ...user });
    warmStarts.push(await started.ready(30));
    return started;
  };

  beforeAll(async () => {
    port = await freePort();
  });

  it('types npm start, and it serves, with nothing installed before', async () => {
    expect(existsSync(join(clone, 'node_modules'))).toBe(false);
    service = new ServiceProcess({ folder: clone, port, ...user });
    expect(await service.ready(FRESH_LIMIT_SECONDS)).toBeLessThan(FRESH_LIMIT_SECONDS);
    if (user?.account)
      expect(new Set(processesIn(clone).map(({ uid }) => uid))).toEqual(new Set([user.account.uid]));
    for (const said of [
      `http://localhost:${port}`,
      '/docs',
      'admin@example.com',
      DEMO_PASSWORD,
      'npm run demo',
    ])
      await expect.poll(() => service.output, { timeout: 5000 }).toContain(said);
  });

  it('types npm run demo, and two payouts end in receipts', async () => {
    const said = await succeed('npm', ['run', 'demo'], {
      folder: clone,
      account: user?.account,
      env: { ...user?.env, PORT: String(port) },
    });
    const paid = [...said.matchAll(/^(PO-\S+): (.+) was paid (\S+) /gm)];
    expect(paid.map(([, , , amount]) => amount)).toEqual(['$99,700.00', '$75,700.00']);
    for (const [, payoutId = '', payee = '', net = ''] of paid) {
      const instructions = await textOf(`${payoutId}-instructions.pdf`);
      expect(instructions).toContain(payoutId);
      expect(instructions).toContain(payee);
      expect(instructions).toContain(net);
      // Digits that a break or a space runs through would be typed wrong into the bank's form.
      expect(instructions).toMatch(/(?<!\d)000123456789(?!\d)/);
      expect(instructions).toMatch(/(?<!\d)021000021(?!\d)/);
      const receipt = await textOf(`${payoutId}-receipt.pdf`);
      for (const part of [payoutId, payee, '$100,000.00', '$300.00', net]) expect(receipt).toContain(part);
      expect(receipt).not.toContain('000123456789');
    }
    const [first, second] = paid.map(([, id]) => id);
    expect(await textOf(`${first}-receipt.pdf`)).not.toContain('$24,000.00');
    expect(await textOf(`${second}-receipt.pdf`)).toContain('$24,000.00');
    // The demo data have names with letters that PDF's own fonts lack, and the second of the queue has one.
    expect(paid.map(([, , payee]) => payee).join()).toContain('Łukasz Nuñez-Öztürk');
  });

  it('stops service and database with SIGTERM', async () => {
    expect(processesIn(clone).some(({ command }) => command.includes('postgres'))).toBe(true);
    await service.terminate();
    expect(await leftIn(clone)).toEqual([]);
  });

  it('finds the payouts again after the next start, and nothing is installed anew', async () => {
    service = await start();
    expect(service.output).not.toContain('npm ci');
    expect(await completedPayouts(service.url)).toBeGreaterThanOrEqual(2);
  });

  it('stops service and database with Ctrl-C', async () => {
    await service.pressCtrlC();
    expect(await leftIn(clone)).toEqual([]);
  });

  it('starts again after the service was killed', async () => {
    service = await start();
    await service.kill();
    expect(
      processesIn(clone)
        .map(({ command }) => command)
        .join('\n'),
    ).toContain('postgres');
    service = await start();
    expect(await completedPayouts(service.url)).toBeGreaterThanOrEqual(2);
  });

  it('starts again after the database was killed', async () => {
    process.kill(postmasterOf(join(clone, '.data')), 'SIGKILL');
    await service.terminate();
    service = await start();
    expect(await completedPayouts(service.url)).toBeGreaterThanOrEqual(2);
  });

  it('runs a second instance beside the first, which stays when the first stops', async () => {
    const second = await start({ port: await freePort() });
    await service.terminate();
    expect(await completedPayouts(second.url)).toBeGreaterThanOrEqual(2);
    expect(await second.isReady()).toBe(true);
    await second.terminate();
    expect(await leftIn(clone)).toEqual([]);
  });

  it('leaves no database running when it is stopped while it starts', async () => {
    const early = new ServiceProcess({ folder: clone, port: await freePort(), ...user });
    while (!processesIn(clone).some(({ command }) => command.includes('-D '))) await sleep(20);
    await early.terminate();
    expect(await leftIn(clone)).toEqual([]);
  });

  it('waits less than five seconds for a warm start', () => {
    expect(Math.min(...warmStarts)).toBeLessThan(WARM_LIMIT_SECONDS);
  });

  async function textOf(name: string): Promise<string> {
    return succeed('pdftotext', ['-layout', join(clone, 'demo-output', name), '-']);
  }
});

describe('what cannot work is told in one line', () => {
  const start = (env: Record<string, string>): Promise<Outcome> =>
    run(process.execPath, ['scripts/start.mjs'], {
      folder: clone,
      account: user?.account,
      env: { ...user?.env, ...env },
    });

  const linesOf = ({ stderr }: Outcome): string[] => stderr.split('\n').filter((line) => line !== '');

  it('a taken port', async () => {
    const holder = createServer();
    await new Promise<void>((done) => holder.listen(0, '127.0.0.1', done));
    const { port } = holder.address() as AddressInfo;
    const outcome = await start({ PORT: String(port) });
    await new Promise((done) => holder.close(done));
    expect(linesOf(outcome)).toEqual([expect.stringContaining(`Port ${port} is taken`)]);
    expect(outcome.code).toBe(1);
  });

  it('a database that does not answer', async () => {
    const outcome = await start({
      PORT: '0',
      DATABASE_URL: `postgres://nobody:secret-of-nobody@127.0.0.1:${await freePort()}/nothing`,
    });
    expect(linesOf(outcome)).toEqual([expect.stringContaining('DATABASE_URL cannot be reached')]);
    expect(outcome.stderr).not.toContain('secret-of-nobody');
    expect(outcome.code).toBe(1);
  });

  it('data of another PostgreSQL', async () => {
    const file = join(clone, '.data', 'postgres', 'PG_VERSION');
    const version = readFileSync(file, 'utf8');
    writeFileSync(file, '12\n');
    const outcome = await start({ PORT: '0' });
    writeFileSync(file, version);
    expect(linesOf(outcome)).toEqual([expect.stringMatching(/PostgreSQL 12.*move or delete/)]);
    expect(outcome.code).toBe(1);
  });

  it('production without settings, with every fault a line', async () => {
    const outcome = await start({ NODE_ENV: 'production' });
    const [, ...faults] = linesOf(outcome);
    for (const name of [
      'DATABASE_URL',
      'JWT_SECRET',
      'BETTER_AUTH_SECRET',
      'BETTER_AUTH_URL',
      'ENCRYPTION_KEY',
      'BUSINESS_LAUNCH_DATE',
      'PAYER_NAME',
      'PAYER_TIN',
      'PAYER_ADDRESS',
      'SUBSCRIPTION_SERVICE_URL',
      'EMAIL_PROVIDER',
    ])
      expect(faults.filter((fault) => fault.includes(`- ${name} `))).toHaveLength(1);
    expect(outcome.code).toBe(1);
  });

  it('leaves no process behind', async () => {
    expect(await leftIn(clone)).toEqual([]);
  });
});

async function completedPayouts(url: string): Promise<number> {
  const signedIn = await fetch(`${url}/api/auth/sign-in/email`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: 'admin@example.com', password: DEMO_PASSWORD }),
  });
  const token = signedIn.headers.get('set-auth-token');
  const answer = await fetch(`${url}/api/payouts?status=completed`, {
    headers: { authorization: `Bearer ${token}` },
  });
  const { data } = (await answer.json()) as { data: { processing?: { confirmationNumber?: string } }[] };
  return data.filter(({ processing }) => processing?.confirmationNumber === 'DEMO-OK').length;
}
