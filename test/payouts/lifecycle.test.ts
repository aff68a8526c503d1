import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PAYOUT_MOVES, PAYOUT_STATUSES, type PayoutStatus } from '../../src/kernel/payout-lifecycle.ts';
import type { Answer, Caller } from '../support/caller.ts';
import { expectOk, startCast, Stories, type Cast, type Story } from '../support/stories.ts';

/** Section 3 of the specification, written out: what each action makes of a payout in each status; the rest is 409. */
const OUTCOMES = {
  pending_approval: {
    approve: 'pending_approval',
    reject: 'rejected',
    hold: 'requires_manual_review',
    cancel: 'cancelled',
    notes: 'pending_approval',
  },
  pending_bank_info: {
    'generate-instructions': 'ready_for_payment',
    hold: 'requires_manual_review',
    cancel: 'cancelled',
    notes: 'pending_bank_info',
    'bank-info': 'pending_tax_info',
    'tax-info': 'pending_bank_info',
  },
  pending_tax_info: {
    'generate-instructions': 'ready_for_payment',
    hold: 'requires_manual_review',
    cancel: 'cancelled',
    notes: 'pending_tax_info',
    'bank-info': 'pending_tax_info',
    'tax-info': 'pending_tax_info',
  },
  approved: {
    'generate-instructions': 'ready_for_payment',
    hold: 'requires_manual_review',
    cancel: 'cancelled',
    notes: 'approved',
    'bank-info': 'approved',
    'tax-info': 'approved',
  },
  ready_for_payment: {
    'mark-sent': 'payment_sent',
    fail: 'payment_failed',
    hold: 'requires_manual_review',
    cancel: 'cancelled',
    notes: 'ready_for_payment',
    'bank-info': 'approved',
    'tax-info': 'ready_for_payment',
  },
  payment_sent: {
    confirm: 'completed',
    fail: 'payment_failed',
    notes: 'payment_sent',
    'tax-info': 'payment_sent',
  },
  completed: { fail: 'payment_failed', notes: 'completed', 'tax-info': 'completed' },
  payment_failed: {
    'generate-instructions': 'ready_for_payment',
    hold: 'requires_manual_review',
    cancel: 'cancelled',
    notes: 'payment_failed',
    'bank-info': 'payment_failed',
    'tax-info': 'payment_failed',
  },
  rejected: { notes: 'rejected' },
  cancelled: { notes: 'cancelled', 'tax-info': 'cancelled' },
  requires_manual_review: {
    resume: 'approved',
    cancel: 'cancelled',
    notes: 'requires_manual_review',
    'tax-info': 'requires_manual_review',
  },
} as const satisfies Record<PayoutStatus, Partial<Record<Action, PayoutStatus>>>;

const STAFF_ACTIONS = [
  'approve',
  'reject',
  'generate-instructions',
  'mark-sent',
  'confirm',
  'fail',
  'hold',
  'resume',
  'cancel',
  'notes',
] as const;
const ACTIONS = [...STAFF_ACTIONS, 'bank-info', 'tax-info'] as const;
type Action = (typeof ACTIONS)[number];

const outcomesOf = (status: PayoutStatus): Partial<Record<Action, PayoutStatus>> => OUTCOMES[status];

let cast: Cast;
let stories: Stories;
/** Has no hand in anything, so that no rule but the status can be in the way. */
let outsider: Caller;
beforeAll(async () => {
  cast = await startCast({ funded: 200 });
  stories = new Stories(cast);
  outsider = await cast.service.newStaff('admin', 'outsider');
});
afterAll(() => cast.service.stop());

const at = ({ payoutId }: Story, action: string) => `/api/payouts/${payoutId}/${action}`;

/** A payout in each status. Visible to its member wherever one in that status can be. */
const build: Record<PayoutStatus, () => Promise<Story>> = {
  pending_approval: () => stories.initiated(),
  pending_bank_info: () => stories.approved(),
  pending_tax_info: () => stories.withBank(),
  approved: () => stories.payable(),
  ready_for_payment: () => stories.ready(),
  payment_sent: () => stories.sent(),
  completed: () => stories.completed(),
  payment_failed: async () => {
    const story = await stories.sent();
    expectOk(await cast.admin2.post(at(story, 'fail'), { reason: 'Came back.', returnCode: 'R01' }));
    return story;
  },
  rejected: async () => {
    const story = await stories.initiated();
    expectOk(await cast.finance.post(at(story, 'reject'), { reason: 'No.' }));
    return story;
  },
  cancelled: async () => {
    const story = await stories.approved();
    expectOk(await cast.admin.post(at(story, 'cancel'), { reason: 'Declined.' }));
    return story;
  },
  requires_manual_review: async () => {
    const story = await stories.payable();
    expectOk(await cast.finance.post(at(story, 'hold'), { reason: 'Look again.' }));
    return story;
  },
};

/** What makes instructions possible from each status from which they can be generated. */
const generation: Partial<Record<PayoutStatus, Record<string, unknown>>> = {
  pending_bank_info: { paymentMethod: 'check', applyBackupWithholding: true, reason: 'No W-9.' },
  pending_tax_info: { applyBackupWithholding: true, reason: 'No W-9.' },
};

function perform(action: Action, story: Story, status: PayoutStatus): Promise<Answer> {
  const { member, name } = story;
  const { today } = stories;
  switch (action) {
    case 'approve':
      return outsider.post(at(story, action), {});
    case 'generate-instructions':
      return outsider.post(at(story, action), generation[status] ?? {});
    case 'mark-sent':
      return outsider.post(at(story, action), { sentDate: today, expectedArrivalDate: today });
    case 'confirm':
      return outsider.post(at(story, action), { completedDate: today });
    case 'fail':
      return outsider.post(at(story, action), { reason: 'Came back.', returnCode: 'R01' });
    case 'reject':
    case 'hold':
    case 'cancel':
      return outsider.post(at(story, action), { reason: 'A test.' });
    case 'resume':
    case 'notes':
      return outsider.post(at(story, action), { note: 'A test.' });
    case 'bank-info':
      return member.post(`/api/members/${member.userId}/bank-info`, stories.bankInfo(name, '55667788'));
    case 'tax-info':
      return member.post(`/api/members/${member.userId}/tax-info`, stories.w9(name));
  }
}

const read = async ({ payoutId }: Story) => expectOk(await outsider.get(`/api/payouts/${payoutId}`)).body;
const code = ({ status, body }: Answer) => [status, body.error?.code];

describe('the table of legal moves', () => {
  it('is the same in code and in the database', async () => {
    const rows = await cast.service.sql<{ from_status: string; to_status: string }[]>`
      SELECT from_status, to_status FROM payout_moves`;
    const stored = rows.map((row) => `${row.from_status} > ${row.to_status}`).sort();
    const coded = PAYOUT_STATUSES.flatMap((from) => PAYOUT_MOVES[from].map((to) => `${from} > ${to}`)).sort();
    expect(stored).toEqual(coded);
  });

  it('holds every move that an action makes', () => {
    const moves = PAYOUT_STATUSES.flatMap((from) =>
      Object.values(outcomesOf(from)).map((to) => [from, to] as const),
    ).filter(([from, to]) => from !== to);
    expect(moves.filter(([from, to]) => !PAYOUT_MOVES[from].includes(to))).toEqual([]);
  });
});

describe.each(PAYOUT_STATUSES)('a payout that is %s', (status) => {
  const outcomes = outcomesOf(status);
  const moving = ACTIONS.filter((action) => outcomes[action] !== undefined && outcomes[action] !== status);
  let story: Story;
  beforeAll(async () => {
    story = await build[status]();
  });

  it('refuses every other action with INVALID_STATE and stays as it is', async () => {
    const before = await read(story);
    expect(before.status).toBe(status);
    // A member sees nothing of a payout that never was approved: there is none to give details for.
    const hidden = ['pending_approval', 'rejected'].includes(status);
    for (const action of ACTIONS.filter((name) => outcomes[name] === undefined)) {
      const expected = hidden && action.endsWith('-info') ? [404, 'NOT_FOUND'] : [409, 'INVALID_STATE'];
      expect([action, ...code(await perform(action, story, status))]).toEqual([action, ...expected]);
    }
    expect(await read(story)).toEqual(before);
    expect(
      before.allowedActions
        .filter((entry: { allowed: boolean }) => entry.allowed)
        .map((entry: { action: string }) => entry.action)
        .filter((action: string) => action !== 'instructions')
        .sort(),
    ).toEqual(STAFF_ACTIONS.filter((name) => outcomes[name] !== undefined).sort());
  });

  it.each(moving)('goes on by %s', async (action) => {
    const other = await build[status]();
    const answer = await perform(action, other, status);
    expect([answer.status, answer.body]).toMatchObject([200, { status: outcomes[action] }]);
    expect(await stories.statusOf(other.payoutId)).toBe(outcomes[action]);
  });

  it('stays by what does not move it, and counts its version up', async () => {
    const staying = ACTIONS.filter((action) => outcomes[action] === status);
    for (const action of staying) {
      const before = await read(story);
      expectOk(await perform(action, story, status));
      const after = await read(story);
      expect([action, after.status]).toEqual([action, status]);
      // A W-9 is a record of its own and changes the payout only once it is approved.
      expect([action, after.version]).toEqual([action, before.version + (action === 'tax-info' ? 0 : 1)]);
    }
  });
});

describe('what an approved payout waits for', () => {
  const giveBank = async ({ member, name }: Story) =>
    expectOk(await member.post(`/api/members/${member.userId}/bank-info`, stories.bankInfo(name))).body;

  it('is bank details first, then the W-9, then nothing', async () => {
    const story = await stories.approved();
    expect(await stories.statusOf(story.payoutId)).toBe('pending_bank_info');
    expect((await giveBank(story)).status).toBe('pending_tax_info');
    expect(await stories.statusOf(story.payoutId)).toBe('pending_tax_info');
    await stories.giveW9(story);
    expect(await stories.statusOf(story.payoutId)).toBe('approved');
  });

  it('is nothing any more when bank details come after an approved W-9', async () => {
    const story = await stories.approved();
    await stories.giveW9(story);
    expect(await stories.statusOf(story.payoutId)).toBe('pending_bank_info');
    expect((await giveBank(story)).status).toBe('approved');
  });

  it('is still the W-9 while it is only submitted, or rejected', async () => {
    const story = await stories.withBank();
    const { member, name, payoutId } = story;
    const submit = () => member.post(`/api/members/${member.userId}/tax-info`, stories.w9(name));
    const { formId } = expectOk(await submit()).body;
    expect(await stories.statusOf(payoutId)).toBe('pending_tax_info');
    expectOk(await cast.finance.post(`/api/tax-forms/${formId}/reject`, { reason: 'Not legible.' }));
    expect(await stories.statusOf(payoutId)).toBe('pending_tax_info');
  });

  it('is an address for a check, and never bank details', async () => {
    const without = await stories.approved({ paymentMethod: 'check' }, { address: false });
    expect(await stories.statusOf(without.payoutId)).toBe('pending_bank_info');
    const withAddress = await stories.approved({ paymentMethod: 'check' });
    expect(await stories.statusOf(withAddress.payoutId)).toBe('pending_tax_info');
    await stories.giveW9(withAddress);
    expect(await stories.statusOf(withAddress.payoutId)).toBe('approved');
  });

  it('is the address again where it went while the W-9 was reviewed, and says so', async () => {
    const story = await stories.approved({ paymentMethod: 'check' });
    const { member, payoutId } = story;
    await cast.service.sql`DELETE FROM user_addresses WHERE user_id = ${member.userId}`;
    await stories.giveW9(story);
    expect(await stories.statusOf(payoutId)).toBe('pending_bank_info');
    const [mail] = await cast.service.sql`
      SELECT template FROM notifications WHERE user_id = ${member.userId} AND template = 'address-wanted'`;
    expect(mail).toBeDefined();
  });

  it('asks the member by mail for each of the two, once', async () => {
    const story = await stories.payable();
    const rows = await cast.service.sql<{ template: string }[]>`
      SELECT template FROM notifications WHERE user_id = ${story.member.userId} AND template LIKE '%-wanted'`;
    expect(rows.map(({ template }) => template).sort()).toEqual(['bank-info-wanted', 'tax-info-wanted']);
  });
});

describe('hold and resume', () => {
  const hold = async (story: Story) =>
    expectOk(await cast.finance.post(at(story, 'hold'), { reason: 'A stolen phone.' })).body;
  const resume = async (story: Story) =>
    expectOk(await cast.finance2.post(at(story, 'resume'), { note: 'All is well.' })).body;

  it.each(['pending_bank_info', 'pending_tax_info', 'approved', 'payment_failed'] as const)(
    'lead back to %s',
    async (status) => {
      const story = await build[status]();
      expect(await hold(story)).toMatchObject({
        status: 'requires_manual_review',
        heldFrom: status,
        holdReason: 'A stolen phone.',
      });
      const resumed = await resume(story);
      expect(resumed).toMatchObject({ status, heldFrom: null, holdReason: null });
      expect(resumed.internalNotes).toMatchObject([{ adminId: cast.finance2.adminId, note: 'All is well.' }]);
    },
  );

  it('of a payout that waits for approval start a new round, in which earlier approvals do not count', async () => {
    const story = await stories.initiated();
    expectOk(await cast.finance.post(at(story, 'approve')));
    await hold(story);
    expect((await resume(story)).status).toBe('pending_approval');
    // The one of the first round may decide again, and is the first of two.
    expect(expectOk(await cast.finance.post(at(story, 'approve'))).body.status).toBe('pending_approval');
    const last = expectOk(await cast.admin2.post(at(story, 'approve'))).body;
    expect(last.status).toBe('pending_bank_info');
    expect(last.approvalWorkflow.map((entry: { round: number }) => entry.round)).toEqual([1, 2, 2]);
  });

  it('of a payout that was ready make its instructions void, withheld tax and all', async () => {
    const story = await stories.withBank();
    expectOk(
      await cast.finance.post(at(story, 'generate-instructions'), {
        applyBackupWithholding: true,
        reason: 'No W-9.',
      }),
    );
    expect(await read(story)).toMatchObject({ netAmount: 75700 });
    expect(await hold(story)).toMatchObject({ netAmount: 99700, taxWithholding: null });
    const [attempt] = await cast.service.sql`
      SELECT status, void_reason FROM payment_attempts WHERE payout_id = ${story.payoutId}`;
    expect(attempt).toMatchObject({ status: 'voided', void_reason: 'held: A stolen phone.' });
    expect(await resume(story)).toMatchObject({ status: 'pending_tax_info', netAmount: 99700 });
    expect((await cast.finance.pdf(at(story, 'instructions'))).status).toBe(404);
  });

  it('look again at what is missing: a W-9 approved meanwhile counts', async () => {
    const story = await stories.withBank();
    await hold(story);
    await stories.giveW9(story);
    expect((await resume(story)).status).toBe('approved');
  });

  it('need a reason and a note', async () => {
    const story = await stories.initiated();
    expect(code(await cast.finance.post(at(story, 'hold')))).toEqual([400, 'VALIDATION_ERROR']);
    expect(code(await cast.finance.post(at(story, 'hold'), { reason: '  ' }))).toEqual([
      400,
      'VALIDATION_ERROR',
    ]);
    await hold(story);
    expect(code(await cast.finance.post(at(story, 'resume')))).toEqual([400, 'VALIDATION_ERROR']);
    expect(await stories.statusOf(story.payoutId)).toBe('requires_manual_review');
  });

  it('tell the staff once, and close the alert', async () => {
    const story = await stories.initiated();
    await hold(story);
    const open = async () =>
      (
        await cast.service.sql`SELECT id FROM admin_alerts
          WHERE occurrence_key = ${`manual_review:${story.payoutId}`} AND closed_at IS NULL`
      ).length;
    expect(await open()).toBe(1);
    await resume(story);
    expect(await open()).toBe(0);
  });
});

describe('cancelling', () => {
  it('needs a reason, and makes instructions void', async () => {
    const story = await stories.ready();
    expect(code(await cast.admin.post(at(story, 'cancel')))).toEqual([400, 'VALIDATION_ERROR']);
    expectOk(await cast.admin.post(at(story, 'cancel'), { reason: 'Declined.' }));
    const [attempt] = await cast.service.sql`
      SELECT status FROM payment_attempts WHERE payout_id = ${story.payoutId}`;
    expect(attempt?.['status']).toBe('voided');
    expect((await cast.finance.pdf(at(story, 'instructions'))).status).toBe(404);
  });

  it('is for admins alone', async () => {
    const story = await stories.initiated();
    const refused = await cast.finance.post(at(story, 'cancel'), { reason: 'No.' });
    expect(code(refused)).toEqual([403, 'FORBIDDEN']);
  });
});

describe('one move', () => {
  it('leaves its entry in the trail and in the audit log, with the version that it made', async () => {
    const story = await stories.initiated();
    const { version } = expectOk(await cast.admin.post(at(story, 'cancel'), { reason: 'Declined.' })).body;
    const { auditTrail } = await read(story);
    expect(auditTrail.at(-1)).toMatchObject({
      action: 'cancelled',
      actor: `staff:${cast.admin.adminId}`,
      details: { reason: 'Declined.', status: 'cancelled' },
    });
    const [entry] = await cast.service.sql`SELECT * FROM user_audit_logs
      WHERE entity_id = ${story.payoutId} AND action = 'cancelled'`;
    expect(entry).toMatchObject({
      admin_id: cast.admin.adminId,
      success: true,
      old_values: { status: 'pending_approval', version: version - 1 },
      new_values: { status: 'cancelled', version, reason: 'Declined.' },
    });
  });

  it('of 10 people cancelling at once happens once', async () => {
    const story = await stories.approved();
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => outsider.post(at(story, 'cancel'), { reason: 'Declined.' })),
    );
    expect(answers.map(({ status }) => status).sort((a, b) => a - b)).toEqual([
      200,
      ...Array<number>(9).fill(409),
    ]);
    const entries = await cast.service.sql`SELECT 1 FROM user_audit_logs
      WHERE entity_id = ${story.payoutId} AND action = 'cancelled' AND success`;
    expect(entries).toHaveLength(1);
  });
});
