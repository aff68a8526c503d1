/**
 * `npm run cluster -- 3`: so many instances of the service on one database, behind a balancer that takes turns. With the
 * embedded database and demo data unless the environment says otherwise. Ctrl-C stops all.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { config as readDotenv } from 'dotenv';
import { RoundRobin } from './cluster/round-robin.ts';

const MOST_INSTANCES = 20;
const ADDRESS = /Payout Service {2}(http:\S+)/;

readDotenv({ quiet: true });
const wanted = Number(process.argv[2] ?? '3');
const port = Number(process.env['PORT'] ?? '3002');
const publicUrl = `http://localhost:${port}`;

/** Its log goes to ours, with its number before each line. */
function startInstance(number: number): { child: ChildProcess; url: Promise<string> } {
  const child = spawn(process.execPath, ['--import', 'tsx', 'src/main.ts'], {
    env: {
      ...process.env,
      PORT: '0',
      TRUST_PROXY: '1',
      BETTER_AUTH_URL: process.env['BETTER_AUTH_URL'] ?? publicUrl,
    },
    // Away from the terminal's Ctrl-C, which comes through us.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  const url = new Promise<string>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`Instance ${number} ended with ${code}:\n${said}`)));
    child.stdout?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      const address = ADDRESS.exec(said)?.[1];
      if (address) resolve(address.replace('localhost', '127.0.0.1'));
    });
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-5000);
    for (const line of chunk.toString().split('\n').filter(Boolean))
      process.stderr.write(`${number} ${line}\n`);
  });
  return { child, url };
}

async function main(): Promise<void> {
  if (!Number.isInteger(wanted) || wanted < 1 || wanted > MOST_INSTANCES)
    throw new Error(`Say how many instances, 1 to ${MOST_INSTANCES}: npm run cluster -- 3`);
  const balancer = new RoundRobin();
  await balancer.listen(port);
  const instances: ChildProcess[] = [];
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> =>
    (stopping ??= (async () => {
      const ended = instances
        .filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null)
        .map((child) => {
          child.kill('SIGTERM');
          return once(child, 'exit');
        });
      await Promise.all(ended);
      process.stdout.write(`\nRequests answered by each instance: ${balancer.shares.join(', ')}\n`);
      await balancer.close();
    })());
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop());
  try {
    for (let number = 1; number <= wanted && !stopping; number += 1) {
      const { child, url } = startInstance(number);
      instances.push(child);
      await balancer.add(await url);
    }
  } catch (error) {
    await stop();
    throw error;
  }
  if (stopping) return;
  process.stdout.write(
    `${wanted} instances behind ${publicUrl}; documentation at ${publicUrl}/docs. Ctrl-C stops all.\n`,
  );
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
