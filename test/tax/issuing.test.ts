import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { IssuingActor } from '../../src/db/schema/index.ts';
import { TaxYears } from '../../src/tax/tax-years-rules.ts';
import { YearEndIssuing } from '../../src/tax/year-end-issuing.ts';
import {
  insertPayouts,
  insertPeople,
  markReturned,
  removePayouts,
  withoutTriggers,
} from '../support/paid-years.ts';
import { expectOk, startCast, type Cast } from '../support/stories.ts';
import { startTestService } from '../support/test-service.ts';

let cast: Cast;
let people: string[];
let actor: IssuingActor;
beforeAll(async () => {
  cast = await startCast();
  cast.service.time.setTo('2027-01-20T12:00:00Z');
  people = await insertPeople(cast.service.sql, 1050);
  const { adminId, userId, email } = cast.finance;
  actor = { kind: 'staff', adminId, userId, email, role: 'finance_manager' };
});
afterAll(() => cast.service.stop());
afterEach(async () => {
  await removePayouts(cast.service.sql);
  await withoutTriggers(cast.service.sql, async (tx) => {
    await tx`DELETE FROM notifications`;
  });
});

const pay = (userIds: readonly string[], from = 1) =>
  insertPayouts(
    cast.service.sql,
    userIds.map((userId) => ({
      userId,
      grossCents: 10_000_000,
      attempts: [{ sentDate: '2026-03-01', withheldCents: 0, status: 'completed' as const }],
    })),
    from,
  );

const issuing = () => cast.service.services.taxRoom.issuing;

/** Forms, entries and messages there are, by person: one of each, or something was done twice or left out. */
async function expectOneEach(count: number) {
  const { sql } = cast.service;
  const [forms] = await sql`SELECT count(*)::integer AS forms, count(DISTINCT user_id)::integer AS people
    FROM tax_forms WHERE form_type = '1099-MISC'`;
  expect(forms).toEqual({ forms: count, people: count });
  const [entries] =
    await sql`SELECT count(*)::integer AS entries, count(DISTINCT f.user_id)::integer AS people
    FROM user_audit_logs l JOIN tax_forms f ON f.form_id = l.entity_id WHERE l.action = 'issued' AND l.admin_id = ${actor.adminId}`;
  expect(entries).toEqual({ entries: count, people: count });
  const [mails] = await sql`SELECT count(*)::integer AS mails, count(DISTINCT user_id)::integer AS people
    FROM notifications WHERE template = 'form-1099-ready'`;
  expect(mails).toEqual({ mails: count, people: count });
}

describe('the issuing of a year', () => {
  it('that is not done in the request goes on as a job, with its progress, and makes no second copy', async () => {
    await pay(people);
    let left = 0;
    const { onLeftOver } = issuing();
    issuing().onLeftOver = () => void (left += 1);
    try {
      // No time at all: only the list is made, as if the process had died after it.
      const begun = await issuing().issue(actor, 2026, -1);
      expect(begun).toEqual({ taxYear: 2026, status: 'running', payees: 1050, issued: 0 });
      expect(left).toBe(1);
      const report = expectOk(await cast.viewer.get('/api/reports/tax-forms/2026')).body;
      expect(report.issuing).toEqual({ status: 'running', payees: 1050, issued: 0 });
    } finally {
      issuing().onLeftOver = onLeftOver;
    }
    // A step, and then it is stopped, as when an instance goes.
    const told: number[] = [];
    let steps = 0;
    expect(
      await issuing().goOn(
        () => (steps += 1) > 1,
        ({ issued }) => told.push(issued),
      ),
    ).toEqual({
      runs: 1,
      issued: 500,
      left: 550,
    });
    expect(told).toEqual([500]);
    // The report has both kinds in one order, whatever the pages; the file has the same.
    const seen: { userId: string; status: string }[] = [];
    for (let cursor = ''; ;) {
      const path = `/api/reports/tax-forms/2026?limit=190${cursor}`;
      const page = expectOk(await cast.viewer.get(path)).body;
      expect(page.totals).toMatchObject({ forms: 1050, box3OtherIncome: 105_000_000 });
      seen.push(...page.data);
      if (page.nextCursor === null) break;
      cursor = `&cursor=${page.nextCursor}`;
    }
    expect(seen.map(({ userId }) => userId)).toEqual(people.toSorted());
    expect(seen.filter(({ status }) => status === 'issued')).toHaveLength(500);
    expect(seen.filter(({ status }) => status === 'draft')).toHaveLength(550);
    const csv = expectOk(await cast.viewer.get('/api/reports/tax-forms/2026?format=csv')).body as string;
    const lines = csv.trimEnd().split('\r\n').slice(1);
    expect(lines.map((line) => line.slice(line.lastIndexOf(',') + 1))).toEqual(people.toSorted());
    for (const query of ['format=csv&limit=5', 'cursor=WyJ4Il0', 'limit=201'])
      expect((await cast.viewer.get(`/api/reports/tax-forms/2026?${query}`)).status).toBe(400);
    const { body: run } = await cast.admin.post('/api/jobs/tax-form-issuing/run');
    expect(run).toMatchObject({ status: 'succeeded', result: { runs: 1, issued: 550, left: 0 } });
    await expectOneEach(1050);
    const again = expectOk(await cast.finance.post('/api/reports/tax-forms/2026')).body;
    expect(again.issuing).toEqual({ status: 'done', payees: 0, issued: 0 });
    expect([again.data.length, again.totals.forms]).toEqual([50, 1050]);
    expect(again.nextCursor).not.toBeNull();
    await expectOneEach(1050);
  });

  it('by several instances and requests at once makes one form for each', async () => {
    await pay(people);
    const beside = await startTestService({ beside: cast.service });
    try {
      // In small steps, so that they meet often.
      const [here, there] = [cast.service, beside].map(
        ({ database, time }) => new YearEndIssuing(database, time, new TaxYears(), { step: 25 }),
      );
      await issuing().issue(actor, 2026, -1);
      await Promise.all([
        here?.goOn(() => false, () => {}), // prettier-ignore
        there?.goOn(() => false, () => {}), // prettier-ignore
        cast.finance.post('/api/reports/tax-forms/2026'),
        there?.issue(actor, 2026, 60_000),
      ]);
    } finally {
      await beside.stop();
    }
    await expectOneEach(1050);
  });

  it('whose step fails is as before that step, and goes on when the cause has gone', async () => {
    await pay(people.slice(0, 100));
    await issuing().issue(actor, 2026, -1);
    await cast.service.sql`ALTER TABLE notifications RENAME TO notifications_away`;
    await expect(issuing().goOn(() => false, () => {})).rejects.toThrow(); // prettier-ignore
    await cast.service.sql`ALTER TABLE notifications_away RENAME TO notifications`;
    await expectOneEach(0);
    await issuing().goOn(() => false, () => {}); // prettier-ignore
    await expectOneEach(100);
  });

  it('leaves out who needs none any more, and takes who came to need one the next time', async () => {
    const [first = '', second = '', third = ''] = people;
    const [firstPayout = ''] = await pay([first, second]);
    await issuing().issue(actor, 2026, -1);
    await markReturned(cast.service.sql, [firstPayout]);
    await pay([third], 10);
    expect(await issuing().goOn(() => false, () => {})).toEqual({ runs: 1, issued: 1, left: 0 }); // prettier-ignore
    expect(await issuing().issue(actor, 2026, 60_000)).toMatchObject({
      status: 'done',
      payees: 1,
      issued: 1,
    });
    const rows = await cast.service.sql`SELECT user_id FROM tax_forms WHERE form_type = '1099-MISC'`;
    expect(rows.map((row) => row['user_id']).toSorted()).toEqual([second, third].toSorted());
  });

  it('and a return at the same moment: the form is without the payment, or marked for correction', async () => {
    const some = people.slice(0, 40);
    const payoutIds = await pay(some);
    await issuing().issue(actor, 2026, -1);
    const { compliance } = cast.service.services.taxRoom;
    const comeBack = async (index: number) => {
      await markReturned(cast.service.sql, [payoutIds[index] ?? '']);
      await cast.service.database.transaction((tx) =>
        compliance.noteReturned(tx, {
          payoutId: payoutIds[index] ?? '',
          userId: some[index] ?? '',
          attempt: 1,
          sentDate: '2026-03-01',
        }),
      );
    };
    await Promise.all([
      issuing().goOn(() => false, () => {}), // prettier-ignore
      ...some.map((_, index) => comeBack(index)),
    ]);
    const wrong = await cast.service.sql`
      SELECT form_id FROM tax_forms WHERE form_type = '1099-MISC' AND needs_correction IS NULL`;
    expect([...wrong]).toEqual([]);
  });
});
