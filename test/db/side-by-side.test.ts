/** An older version beside a newer one: this version, on the schema that the next one's first step (expand) leaves. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Stories, startCast, type Cast } from '../support/stories.ts';

let cast: Cast;
let stories: Stories;
beforeAll(async () => {
  cast = await startCast();
  stories = new Stories(cast);
});
afterAll(() => cast.service.stop());

const NEXT = Date.parse('2099-01-01T00:00:00Z');

describe('an expanding migration of the next version', () => {
  it('and its way back disturb no instance of this one in the middle of its work', async () => {
    const { sql } = cast.service;
    const tables = await sql<{ name: string }[]>`
      SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY 1`;
    expect(tables.length).toBeGreaterThan(15);
    // Every connection knows its statements by now; a change of their tables must not spoil them.
    const begun = await stories.payable();
    await sql.begin(async (tx) => {
      for (const { name } of tables)
        await tx.unsafe(`ALTER TABLE ${name} ADD COLUMN of_the_next_version text`);
      await tx`INSERT INTO payout_service.migrations (hash, created_at) VALUES ('next', ${NEXT})`;
    });
    expect((await cast.service.stranger.get('/ready')).status).toBe(200);
    const { finance } = cast;
    const { status } = await finance.post(`/api/payouts/${begun.payoutId}/generate-instructions`);
    expect(status).toBe(200);
    const between = await stories.completed();
    await sql.begin(async (tx) => {
      for (const { name } of tables) await tx.unsafe(`ALTER TABLE ${name} DROP COLUMN of_the_next_version`);
      await tx`DELETE FROM payout_service.migrations WHERE created_at = ${NEXT}`;
    });
    const after = await stories.completed();
    expect(await stories.statusOf(between.payoutId)).toBe('completed');
    expect(await stories.statusOf(after.payoutId)).toBe('completed');
    expect((await cast.service.services.audit.verify()).valid).toBe(true);
  });
});

describe('a disk that is full', () => {
  it('is 503 for what writes, undone as a whole, and nothing for what reads', async () => {
    const { sql } = cast.service;
    const { payoutId } = await stories.initiated();
    await sql.unsafe(`
      CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
      CREATE TRIGGER disk_full BEFORE INSERT ON user_audit_logs EXECUTE FUNCTION disk_full()`);
    try {
      const answer = await cast.admin2.post(`/api/payouts/${payoutId}/approve`);
      expect(answer.status).toBe(503);
      expect(answer.body.error.code).toBe('UNAVAILABLE');
      expect(JSON.stringify(answer.body)).not.toContain('extend file');
      expect(await stories.statusOf(payoutId)).toBe('pending_approval');
    } finally {
      await sql.unsafe('DROP TRIGGER disk_full ON user_audit_logs; DROP FUNCTION disk_full()');
    }
    const again = await cast.admin2.post(`/api/payouts/${payoutId}/approve`);
    expect(again.status).toBe(200);
    expect(again.body.approvalWorkflow).toHaveLength(1);
  });
});
