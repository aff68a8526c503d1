import { once } from 'node:events';
import { Agent, request as call, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { createHttpServer } from '../../src/http/http-server.ts';
import { Stopping } from '../../src/http/stopping.ts';

const LANES = 3;

interface Tally {
  answered: number;
  refused: number;
  /** Resets of connections that the client kept, and of ones that it had just made. */
  reset: { kept: number; fresh: number };
  other: string[];
}

const newTally = (): Tally => ({ answered: 0, refused: 0, reset: { kept: 0, fresh: 0 }, other: [] });

/** Requests one after another, until nobody listens any more. */
async function lane(port: number, keepAlive: boolean, tally: Tally): Promise<void> {
  const agent = new Agent({ keepAlive, maxSockets: 1 });
  const ask = () =>
    new Promise<boolean>((resolve) => {
      const outward = call({ port, host: '127.0.0.1', agent }, (answer) => {
        answer.resume().once('end', () => {
          tally.answered += 1;
          resolve(true);
        });
      });
      outward.once('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'ECONNREFUSED') {
          tally.refused += 1;
          resolve(false);
          return;
        }
        if (error.code === 'ECONNRESET') tally.reset[outward.reusedSocket ? 'kept' : 'fresh'] += 1;
        else tally.other.push(error.code ?? error.message);
        resolve(true);
      });
      outward.end();
    });
  while (await ask());
  agent.destroy();
}

async function startServer(answerAfterMs: () => number): Promise<{ server: Server; port: number }> {
  const server = createHttpServer((_request, response) => {
    setTimeout(() => response.end('ok'), answerAfterMs());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, port: (server.address() as AddressInfo).port };
}

it('stopped under load, it resets nobody who keeps a connection, and hardly ever one who has just come', async () => {
  const [keepers, comers] = [newTally(), newTally()];
  const rounds = 40;
  for (let round = 0; round < rounds; round += 1) {
    const { server, port } = await startServer(() => Math.random() * 3);
    const stopping = new Stopping(server);
    const lanes = [
      ...Array.from({ length: LANES }, () => lane(port, true, keepers)),
      ...Array.from({ length: LANES }, () => lane(port, false, comers)),
    ];
    await sleep(20 + Math.random() * 10);
    const startedAt = performance.now();
    await stopping.finish(8000);
    expect(performance.now() - startedAt).toBeLessThan(8000);
    await Promise.all(lanes);
  }
  expect(keepers).toMatchObject({ refused: rounds * LANES, reset: { kept: 0, fresh: 0 }, other: [] });
  expect(keepers.answered).toBeGreaterThan(rounds * LANES);
  expect(comers).toMatchObject({ refused: rounds * LANES, reset: { kept: 0 }, other: [] });
  // Closed at any moment, every second round would have some.
  expect(comers.reset.fresh).toBeLessThan(rounds / 5);
});

it('a request that runs is answered, asked to leave, and a silent connection closed within the time', async () => {
  const { server, port } = await startServer(() => 300);
  const stopping = new Stopping(server);
  const silent = connect(port, '127.0.0.1');
  const silentEnded = new Promise((resolve) => silent.resume().once('close', resolve));
  const came = once(server, 'request');
  const answer = fetch(`http://127.0.0.1:${port}/`);
  await came;
  await stopping.finish(5000);
  const { status, headers } = await answer;
  expect([status, headers.get('connection')]).toEqual([200, 'close']);
  await silentEnded;
});

it('what takes longer than it has is cut off', async () => {
  const { server, port } = await startServer(() => 5000);
  const stopping = new Stopping(server);
  const came = once(server, 'request');
  const answer = fetch(`http://127.0.0.1:${port}/`);
  await came;
  const startedAt = performance.now();
  await Promise.all([stopping.finish(300), expect(answer).rejects.toThrow()]);
  expect(performance.now() - startedAt).toBeLessThan(2000);
});
