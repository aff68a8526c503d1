import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Answer, Caller } from '../support/caller.ts';
import { expectOk, startCast, Stories, type Cast, type Story } from '../support/stories.ts';

let cast: Cast;
let stories: Stories;
beforeAll(async () => {
  cast = await startCast({ funded: 60 });
  stories = new Stories(cast);
});
afterAll(() => cast.service.stop());

const at = ({ payoutId }: Story, action: string) => `/api/payouts/${payoutId}/${action}`;
const refusal = ({ status, body }: Answer) => [status, body.error?.code];
const read = async ({ payoutId }: Story) => expectOk(await cast.viewer.get(`/api/payouts/${payoutId}`)).body;

interface Row {
  admin_id: number;
  decision: string;
  reason: string | null;
  round: number;
  decided_at: Date;
  approved_hash: string;
}
const rowsOf = ({ payoutId }: Story) => cast.service.sql<Row[]>`SELECT * FROM payout_approvals
  WHERE payout_id = ${payoutId} ORDER BY round, decided_at, admin_id`;
const fromRow = (row: Row) => ({
  adminId: row.admin_id,
  decision: row.decision,
  ...(row.reason === null ? {} : { reason: row.reason }),
  timestamp: row.decided_at.toISOString(),
  round: row.round,
});
const byPerson = (a: { adminId: number }, b: { adminId: number }) => a.adminId - b.adminId;

describe('a payout of $100,000', () => {
  it('needs two approvals, the second of which moves it on', async () => {
    const story = await stories.initiated();
    const first = expectOk(await cast.admin2.post(at(story, 'approve'), { reason: 'Checked.' })).body;
    expect(first).toMatchObject({ status: 'pending_approval', requiredApprovals: 2 });
    expect(first.approvalWorkflow).toHaveLength(1);
    const second = expectOk(await cast.finance.post(at(story, 'approve'))).body;
    expect(second).toMatchObject({ status: 'pending_bank_info' });
    expect(second.approvalWorkflow).toEqual([
      {
        adminId: cast.admin2.adminId,
        decision: 'approved',
        reason: 'Checked.',
        timestamp: '2026-11-20T12:00:00.000Z',
        round: 1,
      },
      {
        adminId: cast.finance.adminId,
        decision: 'approved',
        timestamp: '2026-11-20T12:00:00.000Z',
        round: 1,
      },
    ]);
  });

  it('tells the member that they have won when the second has approved, and not before', async () => {
    const story = await stories.initiated();
    const mails = async () =>
      (
        await cast.service.sql`SELECT 1 FROM notifications
          WHERE user_id = ${story.member.userId} AND template = 'winner'`
      ).length;
    expectOk(await cast.admin2.post(at(story, 'approve')));
    expect(await mails()).toBe(0);
    expectOk(await cast.finance.post(at(story, 'approve')));
    expect(await mails()).toBe(1);
  });

  it('takes no third', async () => {
    const story = await stories.approved();
    expect(refusal(await cast.finance2.post(at(story, 'approve')))).toEqual([409, 'INVALID_STATE']);
    expect(await rowsOf(story)).toHaveLength(2);
  });

  it('writes each decision to the audit log', async () => {
    const story = await stories.approved();
    const rows = await cast.service.sql`SELECT admin_id, new_values FROM user_audit_logs
      WHERE entity_type = 'approval' AND entity_id = ${story.payoutId} AND success ORDER BY chain_index`;
    expect(rows).toMatchObject([
      { admin_id: cast.admin2.adminId, new_values: { decision: 'approved', approvals: '1 of 2' } },
      { admin_id: cast.finance.adminId, new_values: { decision: 'approved', approvals: '2 of 2' } },
    ]);
  });
});

describe('a payout below $100,000', () => {
  let small: Cast;
  beforeAll(async () => {
    small = await startCast({ env: { REWARD_PER_WINNER: '50000' } });
  });
  afterAll(() => small.service.stop());

  it('needs one approval', async () => {
    const story = await new Stories(small).initiated();
    const waiting = await small.viewer.get(`/api/payouts/${story.payoutId}`);
    expect(waiting.body).toMatchObject({ amount: 50000, netAmount: 49700, requiredApprovals: 1 });
    expect(refusal(await small.admin.post(at(story, 'approve')))).toEqual([403, 'SEPARATION_OF_DUTIES']);
    const { body } = expectOk(await small.finance.post(at(story, 'approve')));
    expect(body).toMatchObject({ status: 'pending_bank_info' });
    expect(refusal(await small.finance2.post(at(story, 'approve')))).toEqual([409, 'INVALID_STATE']);
  });
});

describe('the version that an approver saw', () => {
  it('must be the current one', async () => {
    const story = await stories.initiated();
    const { version } = await read(story);
    expectOk(await cast.finance2.post(at(story, 'notes'), { note: 'Look at the address.' }));
    const stale = await cast.admin2.post(at(story, 'approve'), { version });
    expect(refusal(stale)).toEqual([409, 'STALE_VERSION']);
    expect(stale.body.error.details).toMatchObject({ currentVersion: version + 1 });
    expect(await rowsOf(story)).toHaveLength(0);
    expectOk(await cast.admin2.post(at(story, 'approve'), { version: version + 1 }));
    expect(await rowsOf(story)).toHaveLength(1);
  });

  it('tells a stale one even where the status has moved on', async () => {
    const story = await stories.initiated();
    const { version } = await read(story);
    expectOk(await cast.finance.post(at(story, 'reject'), { reason: 'No.' }));
    expect(refusal(await cast.admin2.post(at(story, 'approve'), { version }))).toEqual([
      409,
      'STALE_VERSION',
    ]);
  });

  it.each([0, -1, 1.5, '1', null])('is a whole number from 1, not %j', async (version) => {
    const story = await stories.initiated();
    const answer = await cast.admin2.post(at(story, 'approve'), { version });
    expect(refusal(answer)).toEqual([400, 'VALIDATION_ERROR']);
  });
});

describe('one rejection', () => {
  it('ends the payout and frees its member and its tranche', async () => {
    const story = await stories.initiated();
    expectOk(await cast.admin2.post(at(story, 'approve')));
    const slots = async () =>
      expectOk(await cast.viewer.get('/api/payouts/eligibility')).body.availableSlots as number;
    const before = await slots();
    const { body } = expectOk(await cast.finance.post(at(story, 'reject'), { reason: 'Wrong person.' }));
    expect(body.status).toBe('rejected');
    expect(body.approvalWorkflow.at(-1)).toMatchObject({
      adminId: cast.finance.adminId,
      decision: 'rejected',
      reason: 'Wrong person.',
    });
    expect(await slots()).toBe(before + 1);
    const again = await cast.admin.post('/api/payouts/initiate', {
      userIds: [story.member.userId],
      overrideReason: 'The right person after all.',
    });
    expect(again.status).toBe(201);
    expect(again.body.data[0].eligibilityCheck.fundingTranche).toBe(body.eligibilityCheck.fundingTranche);
  });

  it.each([{}, { reason: '' }, { reason: '   ' }])('needs a reason: %j is none', async (body) => {
    const story = await stories.initiated();
    expect(refusal(await cast.finance.post(at(story, 'reject'), body))).toEqual([400, 'VALIDATION_ERROR']);
    expect(await stories.statusOf(story.payoutId)).toBe('pending_approval');
  });
});

describe('approvals at the same moment', () => {
  it('by the same person count once', async () => {
    const story = await stories.initiated();
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => cast.admin2.post(at(story, 'approve'))),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(
      new Set(answers.filter(({ status }) => status !== 200).map(({ body }) => body.error.code)),
    ).toEqual(new Set(['SEPARATION_OF_DUTIES']));
    expect(await rowsOf(story)).toHaveLength(1);
    const { status, approvalWorkflow } = await read(story);
    expect([status, approvalWorkflow.length]).toEqual(['pending_approval', 1]);
  });

  it('by many people are two', async () => {
    const story = await stories.initiated();
    const people = [
      cast.admin2,
      cast.finance,
      cast.finance2,
      ...(await Promise.all([cast.service.newStaff('admin'), cast.service.newStaff('finance_manager')])),
    ];
    const answers = await Promise.all(people.map((person) => person.post(at(story, 'approve'))));
    expect(answers.map(({ status }) => status).sort((a, b) => a - b)).toEqual([200, 200, 409, 409, 409]);
    expect(await rowsOf(story)).toHaveLength(2);
    expect(await read(story)).toMatchObject({ status: 'pending_bank_info' });
    const won = await cast.service.sql`SELECT 1 FROM notifications
      WHERE user_id = ${story.member.userId} AND template = 'winner'`;
    expect(won).toHaveLength(1);
  });

  it('and a rejection leave one outcome, which every record agrees on', async () => {
    for (let round = 0; round < 6; round += 1) {
      const story = await stories.initiated();
      expectOk(await cast.admin2.post(at(story, 'approve')));
      const approve = () => cast.finance.post(at(story, 'approve'));
      const reject = () => cast.finance2.post(at(story, 'reject'), { reason: 'No.' });
      const answers = await Promise.all(round % 2 === 0 ? [approve(), reject()] : [reject(), approve()]);
      expect(answers.map(({ status }) => status).sort((a, b) => a - b)).toEqual([200, 409]);
      const rows = await rowsOf(story);
      const { status, approvalWorkflow } = await read(story);
      expect(rows).toHaveLength(2);
      expect(rows.some(({ decision }) => decision === 'rejected')).toBe(status === 'rejected');
      expect(['rejected', 'pending_bank_info']).toContain(status);
      expect([...approvalWorkflow].sort(byPerson)).toEqual(rows.map(fromRow).sort(byPerson));
    }
  });
});

describe('the record of a decision', () => {
  it('is the same in its row and in approval_workflow, over rounds too', async () => {
    const story = await stories.initiated();
    const decide = async (person: Caller, action: string, body = {}) => {
      cast.service.time.advanceDays(1 / 24);
      expectOk(await person.post(at(story, action), body));
    };
    await decide(cast.finance, 'approve', { reason: 'First.' });
    await decide(cast.finance, 'hold', { reason: 'Wait.' });
    await decide(cast.finance, 'resume', { note: 'Go on.' });
    await decide(cast.finance, 'approve');
    await decide(cast.admin, 'reject', { reason: 'My mistake.' });
    const { approvalWorkflow, status } = await read(story);
    expect(status).toBe('rejected');
    expect(approvalWorkflow.map(({ round }: { round: number }) => round)).toEqual([1, 2, 2]);
    expect(approvalWorkflow).toEqual((await rowsOf(story)).map(fromRow));
  });

  it('holds a hash of payout, payee, gross, currency and snapshot, the same for both approvers', async () => {
    const story = await stories.approved();
    const hashes = (await rowsOf(story)).map((row) => row.approved_hash);
    const { payoutId, userId, amount, currency, eligibilityCheck } = await read(story);
    const sorted = (value: unknown): unknown =>
      Array.isArray(value)
        ? value.map(sorted)
        : value !== null && typeof value === 'object'
          ? Object.fromEntries(
              Object.entries(value)
                .sort(([a], [b]) => (a < b ? -1 : 1))
                .map(([key, item]) => [key, sorted(item)]),
            )
          : value;
    const approved = JSON.stringify(sorted([payoutId, userId, amount, currency, eligibilityCheck]));
    const expected = createHash('sha256').update(approved).digest('hex');
    expect(hashes).toEqual([expected, expected]);
  });

  it('differs between payouts', async () => {
    const [one, two] = [await stories.approved(), await stories.approved()];
    const hashes = [...(await rowsOf(one)), ...(await rowsOf(two))].map((row) => row.approved_hash);
    expect(new Set(hashes).size).toBe(2);
  });
});

describe('who is asked', () => {
  it('is everybody who may decide but the initiator and the payee, again in a new round', async () => {
    const story = await stories.initiated();
    const asked = async () =>
      (
        await cast.service.sql<{ user_id: string }[]>`SELECT user_id FROM notifications
          WHERE template = 'approval-wanted' AND payout_id = ${story.payoutId}`
      ).map((row) => row.user_id);
    const first = await asked();
    expect(first).toEqual(
      expect.arrayContaining([cast.admin2.userId, cast.finance.userId, cast.finance2.userId]),
    );
    expect(first).not.toContain(cast.admin.userId);
    expect(first).not.toContain(cast.viewer.userId);
    await cast.service.sql`INSERT INTO admin_users (user_id, role) VALUES (${story.member.userId}, 'admin')`;
    expectOk(await cast.finance.post(at(story, 'hold'), { reason: 'Wait.' }));
    expectOk(await cast.finance.post(at(story, 'resume'), { note: 'Go on.' }));
    const both = await asked();
    expect(both).toHaveLength(first.length * 2);
    expect(both).not.toContain(story.member.userId);
  });
});
