/** Sources: design document, Audit (7 years); IRS, Publication 15, Recordkeeping (4 years at least). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withoutTriggers } from '../support/paid-years.ts';
import { expectOk, startCast, Stories, type Cast, type Story } from '../support/stories.ts';

let cast: Cast;
let stories: Stories;
beforeAll(async () => {
  cast = await startCast();
  stories = new Stories(cast);
});
afterAll(() => cast.service.stop());

/** Years of the database's own clock, which decides: the first of January `years` ago. */
const yearsAgo = (years: number) => `${new Date().getUTCFullYear() - years}-01-01T00:00:00Z`;
const before = (instant: string) => new Date(Date.parse(instant) - 1000).toISOString();

const age = (story: Story, instant: string) =>
  withoutTriggers(cast.service.sql, async (tx) => {
    await tx`UPDATE payout_management SET updated_at = ${instant} WHERE payout_id = ${story.payoutId}`;
    await tx`UPDATE tax_forms SET updated_at = ${instant} WHERE user_id = ${story.member.userId}`;
  });
const versionsOf = async ({ payoutId }: Story) =>
  (await cast.service.sql`SELECT 1 FROM bank_details WHERE payout_id = ${payoutId}`).length;
const w9sOf = async ({ member }: Story) =>
  (
    await cast.service.sql<{ status: string }[]>`
    SELECT status FROM tax_forms WHERE user_id = ${member.userId} AND form_type = 'W-9' ORDER BY status`
  ).map(({ status }) => status);
const run = async () => expectOk(await cast.admin.post('/api/jobs/retention/run')).body;

describe('after seven whole calendar years', () => {
  it('account numbers and W-9s that no longer count are deleted, and nothing else is', async () => {
    const [old, young, open] = [
      await stories.completed(),
      await stories.completed(),
      await stories.withBank(),
    ];
    for (const story of [old, young, open]) {
      await stories.giveW9(story);
      await stories.giveW9(story);
    }
    await age(old, before(yearsAgo(7)));
    await age(young, yearsAgo(7));
    await age(open, before(yearsAgo(20)));
    expect(await cast.service.services.retention.due()).toEqual({ bank_details: 1, w9: 2 + 1 });
    const report = await run();
    expect(report).toMatchObject({
      status: 'succeeded',
      result: { deletedBankDetails: 1, deletedW9s: 3, kept: { payouts: 2 } },
    });
    expect([await versionsOf(old), await versionsOf(young), await versionsOf(open)]).toEqual([0, 1, 1]);
    // The one in force stays, however old.
    expect(await w9sOf(old)).toEqual(['approved']);
    expect(await w9sOf(young)).toEqual(['approved', 'superseded', 'superseded']);
    expect(await w9sOf(open)).toEqual(['approved']);
    const entries = await cast.service.sql`
      SELECT action, entity_id FROM user_audit_logs WHERE action IN ('bank_info_deleted', 'w9_deleted')`;
    expect(entries).toHaveLength(4);
    expect(entries.filter((row) => row['entity_id'] === old.payoutId)).toHaveLength(1);
    expect((await run()).result).toMatchObject({ deletedBankDetails: 0, deletedW9s: 0 });
  });

  it('a W-9 stays while the 1099 that was made from it is kept', async () => {
    const story = await stories.completed();
    const { sql } = cast.service;
    const [w9] = await sql`SELECT form_id FROM tax_forms WHERE user_id = ${story.member.userId}`;
    await stories.giveW9(story);
    const form = (id: string, year: number) => withoutTriggers(sql, async (tx) => {
      await tx`INSERT INTO tax_forms (form_id, user_id, form_type, tax_year, status, w9_form_id, created_at, updated_at)
        VALUES (${id}, ${story.member.userId}, '1099-MISC', ${year}, 'issued', ${w9?.['form_id']}, now(), now())`;
    }); // prettier-ignore
    const lastKept = new Date().getUTCFullYear() - 7 - 1;
    await age(story, before(yearsAgo(7)));
    await form('1099-2019-AAAAAAAA', lastKept);
    await run();
    expect(await w9sOf(story)).toEqual(['approved', 'superseded']);
    await withoutTriggers(sql, async (tx) => {
      await tx`UPDATE tax_forms SET tax_year = ${lastKept - 1} WHERE form_id = '1099-2019-AAAAAAAA'`;
    });
    await run();
    expect(await w9sOf(story)).toEqual(['approved']);
  });
});

describe('the database', () => {
  it('refuses to delete anything else, whoever asks', async () => {
    const story = await stories.completed();
    const { sql } = cast.service;
    await expect(sql`DELETE FROM bank_details WHERE payout_id = ${story.payoutId}`).rejects.toThrow(
      'seven years',
    );
    await expect(sql`DELETE FROM tax_forms WHERE user_id = ${story.member.userId}`).rejects.toThrow(
      'seven years',
    );
    for (const table of ['bank_details', 'tax_forms'])
      await expect(cast.service.database.sql.unsafe(`DELETE FROM ${table}`)).rejects.toThrow(
        'permission denied',
      );
    await cast.service.database.sql`SELECT payout_retention_delete(1000)`;
    expect([await versionsOf(story), await w9sOf(story)]).toEqual([1, ['approved']]);
  });

  it('refuses a change of what a form says, and a liability that is none', async () => {
    const story = await stories.completed();
    const { sql } = cast.service;
    const id = story.member.userId;
    for (const change of [
      sql`UPDATE tax_forms SET w9 = jsonb_set(w9, '{legalName}', '"Other"') WHERE user_id = ${id}`,
      sql`UPDATE tax_forms SET tin_last4 = '0000' WHERE user_id = ${id}`,
      sql`UPDATE tax_forms SET envelope = 'x' WHERE user_id = ${id}`,
      sql`UPDATE tax_forms SET status = 'submitted' WHERE user_id = ${id}`,
      sql`UPDATE tax_forms SET reviewed_by = NULL WHERE user_id = ${id}`,
      sql`INSERT INTO withholding_liabilities (payout_id, attempt, liability_date, amount, created_at)
        VALUES (${story.payoutId}, 1, '2026-11-20', 24000, now())`,
    ])
      await expect(change).rejects.toThrow(/never changes|cannot go|withheld from/);
  });
});
