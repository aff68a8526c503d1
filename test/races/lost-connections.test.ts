/** Sessions of the database that end at any moment, under requests that are sent again with their key until they are answered. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Caller } from '../support/caller.ts';
import { on, RaceTrack } from './race-track.ts';

const PAYOUTS = 16;
const NOTES_EACH = 8;
const KILL_EVERY_MS = 10;
const KILL_FOR_MS = 4000;

let track: RaceTrack;
beforeAll(async () => {
  track = await RaceTrack.open(PAYOUTS);
});
afterAll(() => track.close());

/** Sends it until it is answered. */
async function insist(caller: Caller, path: string, body: unknown): Promise<void> {
  const key = randomUUID();
  for (;;) {
    const { status, body: said } = await caller.post(path, body, { 'idempotency-key': key });
    if (status === 200) return;
    // Nothing else may come of a lost connection.
    expect([503, 409], JSON.stringify(said)).toContain(status);
    await sleep(50);
  }
}

it('lose nothing, do nothing twice and nothing by half', async () => {
  const { sql } = track.cast.service;
  const stories = await Promise.all(Array.from({ length: PAYOUTS }, () => track.stories.initiated()));
  let killed = 0;
  const until = performance.now() + KILL_FOR_MS;
  const killing = (async () => {
    while (performance.now() < until) {
      const ended = await sql`
        SELECT pg_terminate_backend(pid) FROM (
          SELECT pid FROM pg_stat_activity
           WHERE datname = current_database() AND application_name = 'payout-service'
             AND state IN ('idle in transaction', 'active')
           ORDER BY random() LIMIT 1) victim`;
      killed += ended.length;
      await sleep(KILL_EVERY_MS);
    }
  })();
  await Promise.all(
    stories.map(async ({ payoutId }, index) => {
      for (let note = 0; note < NOTES_EACH; note += 1)
        await insist(track.via(track.cast.finance, index), on(payoutId, 'notes'), {
          note: `Note ${note}.`,
        });
    }),
  );
  await killing;
  expect(killed).toBeGreaterThan(2);
  const wanted = Array.from({ length: NOTES_EACH }, (_, note) => `Note ${note}.`);
  for (const { payoutId } of stories) {
    const { body } = await track.cast.finance.get(`/api/payouts/${payoutId}`);
    expect(body.internalNotes.map(({ note }: { note: string }) => note)).toEqual(wanted);
    const audited = await sql`
      SELECT 1 FROM user_audit_logs WHERE entity_id = ${payoutId} AND action = 'noted' AND success`;
    expect(audited).toHaveLength(NOTES_EACH);
  }
  expect(await track.faults()).toEqual([]);
  expect((await track.cast.service.services.audit.verify()).valid).toBe(true);
});
