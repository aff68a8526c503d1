import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { DemoError, untilUp } from '../../scripts/demo-client.ts';
import { createHttpServer } from '../../src/http/http-server.ts';
import { answerStarting } from '../../src/http/starting.ts';

const PUBLIC_URL = 'https://payouts.example.com';
const starting = answerStarting(() => PUBLIC_URL);
const server = createHttpServer(starting);
const url = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
afterEach(() => {
  server.close();
  server.closeAllConnections();
});

it('a service that starts says so in the form of all errors, and the demo waits for it', async () => {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const answer = await fetch(`${url()}/api/payouts`, { method: 'POST', body: '{}' });
  expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '2']);
  expect(await answer.json()).toEqual({
    error: {
      code: 'UNAVAILABLE',
      message: 'The service is starting. Try again shortly.',
      details: { docUrl: `${PUBLIC_URL}/docs/errors#UNAVAILABLE` },
      timestamp: expect.stringMatching(/^\d{4}-.*Z$/),
      requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    },
  });
  let isUp = false;
  const waited = untilUp(url()).then(() => (isUp = true));
  await sleep(50);
  expect(isUp).toBe(false);
  server.off('request', starting).on('request', (_request, response) => response.end('{}'));
  await waited;
});

it('the demo says what to do where there is no service', async () => {
  await expect(untilUp('http://127.0.0.1:1')).rejects.toThrow(DemoError);
  await expect(untilUp('http://127.0.0.1:1')).rejects.toThrow('npm start');
});
