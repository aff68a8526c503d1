/** What each caller sees of a payout, and whether what they are told they may do is what they can do. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PAYOUT_STATUSES, type PayoutStatus } from '../../src/kernel/payout-lifecycle.ts';
import type { Answer, Caller } from '../support/caller.ts';
import {
  ACCOUNT_NUMBER,
  expectOk,
  ROUTING_NUMBER,
  startCast,
  Stories,
  TIN,
  type Cast,
  type Story,
} from '../support/stories.ts';
import { fieldsOf, MEMBER_SEES, sorted, STAFF_SEES, VIEWER_SEES } from './fields-by-role.ts';

const STAFF_ACTIONS = [
  'approve',
  'reject',
  'generate-instructions',
  'instructions',
  'mark-sent',
  'confirm',
  'fail',
  'hold',
  'resume',
  'cancel',
  'notes',
] as const;
type StaffAction = (typeof STAFF_ACTIONS)[number];

interface AllowedAction {
  action: string;
  allowed: boolean;
  reason?: string;
}

let cast: Cast;
let stories: Stories;
/** One payout in each status. */
let inStatus: Record<PayoutStatus, Story>;
/** Held before it was approved, so that the member has never seen it. */
let heldEarly: Story;

/** What acting on a payout changes, and the audit log not: that one is only ever added to. */
const CHANGED = [
  'payout_management',
  'payout_approvals',
  'payment_attempts',
  'bank_details',
  'membership_removals',
  'notifications',
  'tax_forms',
];

beforeAll(async () => {
  cast = await startCast();
  stories = new Stories(cast);
  const { admin, admin2, finance, finance2 } = cast;
  const then = async (
    story: Story,
    by: Caller,
    action: string,
    body: Record<string, unknown>,
  ): Promise<Story> => {
    expectOk(await by.post(`/api/payouts/${story.payoutId}/${action}`, body));
    return story;
  };
  const reason = { reason: 'A secret remark of staff.' };
  inStatus = {
    pending_approval: await stories.initiated(),
    pending_bank_info: await stories.approved(),
    pending_tax_info: await stories.withBank(),
    approved: await stories.payable(),
    ready_for_payment: await stories.ready(),
    payment_sent: await stories.sent(),
    completed: await stories.completed(),
    payment_failed: await then(await stories.sent(), admin2, 'fail', { ...reason, returnCode: 'R01' }),
    rejected: await then(await stories.initiated(), finance2, 'reject', reason),
    cancelled: await then(await stories.payable(), admin, 'cancel', reason),
    requires_manual_review: await then(await stories.payable(), finance, 'hold', reason),
  };
  heldEarly = await then(await stories.initiated(), finance, 'hold', reason);
  await then(inStatus.pending_approval, finance2, 'approve', {});
  for (const story of [...Object.values(inStatus), heldEarly])
    await then(story, finance, 'notes', { note: 'A secret remark of staff.' });
  const { sql } = cast.service;
  await sql`CREATE SCHEMA kept`;
  for (const table of CHANGED) await sql`CREATE TABLE kept.${sql(table)} AS TABLE public.${sql(table)}`;
});
afterAll(() => cast.service.stop());

/** Puts the payouts back as they were, behind the triggers' backs. */
async function restore(): Promise<void> {
  await cast.service.sql.begin(async (sql) => {
    await sql`SET LOCAL session_replication_role = replica`;
    for (const table of CHANGED) {
      await sql`DELETE FROM public.${sql(table)}`;
      await sql`INSERT INTO public.${sql(table)} SELECT * FROM kept.${sql(table)}`;
    }
  });
}

function tryIt(caller: Caller, action: StaffAction, payoutId: string): Promise<Answer> {
  const path = `/api/payouts/${payoutId}/${action}`;
  const { today } = stories;
  const bodies: Record<Exclude<StaffAction, 'instructions'>, unknown> = {
    approve: {},
    reject: { reason: 'No.' },
    'generate-instructions': {},
    'mark-sent': { sentDate: today, expectedArrivalDate: today },
    confirm: { completedDate: today },
    fail: { reason: 'Returned.', returnCode: 'R01' },
    hold: { reason: 'Wait.' },
    resume: { note: 'All is well.' },
    cancel: { reason: 'Declined.' },
    notes: { note: 'Seen.' },
  };
  return action === 'instructions' ? caller.get(path) : caller.post(path, bodies[action]);
}

const payoutAs = async (caller: Caller, payoutId: string) =>
  expectOk(await caller.get(`/api/payouts/${payoutId}`)).body;

const STAFF = ['admin', 'admin2', 'finance', 'finance2', 'viewer'] as const;

/** What is allowed but cannot be done yet, because of something that is missing rather than of who asks, or when. */
const MISSING: Partial<Record<PayoutStatus, string>> = {
  pending_bank_info: 'BANK_INFO_MISSING',
  pending_tax_info: 'W9_MISSING',
};

/** Says what is wrong with one entry of allowedActions, by doing it. */
async function faultOf(
  caller: Caller,
  status: PayoutStatus,
  { action, allowed, reason }: AllowedAction,
): Promise<string | undefined> {
  const { payoutId } = inStatus[status];
  const answer = await tryIt(caller, action as StaffAction, payoutId);
  const code = answer.body?.error?.code;
  const found = `${action} in ${status}: allowed ${allowed}, but ${answer.status} ${code ?? ''} ${answer.body?.error?.message ?? ''}`;
  if (allowed) {
    await restore();
    if (action === 'generate-instructions' && MISSING[status] !== undefined)
      return code === MISSING[status] ? undefined : found;
    return answer.status === 200 ? undefined : found;
  }
  if (answer.status < 400) {
    await restore();
    return found;
  }
  if (reason === undefined) return `${action} in ${status} is refused without a reason`;
  // A PDF that is not there is 404, as the receipt is.
  if (action === 'instructions' && code === 'NOT_FOUND') return undefined;
  if (!['FORBIDDEN', 'SEPARATION_OF_DUTIES', 'INVALID_STATE'].includes(code)) return found;
  return answer.body.error.message === reason ? undefined : `${found}; told before: ${reason}`;
}

describe.each(STAFF)('what %s is told about', (name) => {
  it.each(PAYOUT_STATUSES)('a payout that is %s is what happens', async (status) => {
    const caller = cast[name];
    const { allowedActions } = (await payoutAs(caller, inStatus[status].payoutId)) as {
      allowedActions: AllowedAction[];
    };
    expect(allowedActions.map(({ action }) => action).toSorted()).toEqual([...STAFF_ACTIONS].toSorted());
    const faults: (string | undefined)[] = [];
    for (const entry of allowedActions) faults.push(await faultOf(caller, status, entry));
    expect(faults.filter((fault) => fault !== undefined)).toEqual([]);
  });
});

describe('allowedActions', () => {
  const allowedFor = async (caller: Caller, status: PayoutStatus): Promise<string[]> =>
    (await payoutAs(caller, inStatus[status].payoutId)).allowedActions
      .filter(({ allowed }: AllowedAction) => allowed)
      .map(({ action }: AllowedAction) => action)
      .toSorted();

  /** By hand from sections 2 and 3: admin initiated all, finance generated, finance2 sent, admin2 recorded a failure. */
  it.each([
    ['pending_approval', 'admin', ['cancel', 'hold', 'notes', 'reject']],
    ['pending_approval', 'admin2', ['approve', 'cancel', 'hold', 'notes', 'reject']],
    ['pending_approval', 'finance', ['approve', 'hold', 'notes', 'reject']],
    ['pending_approval', 'finance2', ['hold', 'notes']],
    ['approved', 'finance', ['generate-instructions', 'hold', 'notes']],
    ['approved', 'admin', ['cancel', 'generate-instructions', 'hold', 'notes']],
    ['ready_for_payment', 'finance', ['fail', 'hold', 'instructions', 'notes']],
    ['ready_for_payment', 'finance2', ['fail', 'hold', 'instructions', 'mark-sent', 'notes']],
    ['payment_sent', 'finance2', ['confirm', 'fail', 'instructions', 'notes']],
    ['completed', 'admin', ['fail', 'notes']],
    ['payment_failed', 'admin2', ['cancel', 'hold', 'notes']],
    ['payment_failed', 'finance', ['generate-instructions', 'hold', 'notes']],
    ['rejected', 'admin', ['notes']],
    ['cancelled', 'admin', ['notes']],
    ['requires_manual_review', 'admin', ['cancel', 'notes', 'resume']],
    ['requires_manual_review', 'finance', ['notes', 'resume']],
  ] as const)('of a payout that is %s, for %s', async (status, name, expected) => {
    expect(await allowedFor(cast[name], status)).toEqual(expected);
  });

  it.each(PAYOUT_STATUSES)('leave the viewer nothing when it is %s', async (status) => {
    expect(await allowedFor(cast.viewer, status)).toEqual([]);
  });

  it('are the same in the list', async () => {
    const { data } = expectOk(await cast.finance.get('/api/payouts?limit=200')).body;
    for (const { payoutId } of Object.values(inStatus)) {
      const listed = data.find((payout: { payoutId: string }) => payout.payoutId === payoutId);
      expect(listed.allowedActions).toEqual((await payoutAs(cast.finance, payoutId)).allowedActions);
    }
  });

  it('keep a member of staff who is the payee from acting on it, whatever the status', async () => {
    for (const status of PAYOUT_STATUSES) {
      const { member, payoutId } = inStatus[status];
      const [row] = await cast.service.sql<{ id: number }[]>`
        INSERT INTO admin_users (user_id, role) VALUES (${member.userId}, 'admin') RETURNING id`;
      try {
        const entries = (await payoutAs(member, payoutId)).allowedActions as AllowedAction[];
        const own = ['bank-info', 'tax-info'];
        expect(entries.filter(({ action, allowed }) => allowed && !own.includes(action))).toEqual([]);
        for (const entry of entries.filter(({ action }) => !own.includes(action)))
          expect(await faultOf(member, status, entry)).toBeUndefined();
      } finally {
        await cast.service.sql`DELETE FROM admin_users WHERE id = ${row?.id ?? 0}`;
      }
    }
  });
});

describe('what a member may do about their own payout', () => {
  const visible = PAYOUT_STATUSES.filter((status) => status !== 'pending_approval' && status !== 'rejected');

  it.each(visible)('is what they are told when it is %s', async (status) => {
    const { member, payoutId, name } = inStatus[status];
    const path = `/api/members/${member.userId}`;
    for (const view of [
      await payoutAs(member, payoutId),
      expectOk(await member.get(`${path}/payout`)).body,
    ]) {
      const entries = view.allowedActions as AllowedAction[];
      expect(entries.map(({ action }) => action).toSorted()).toEqual(['bank-info', 'tax-info']);
      const bodies: Record<string, unknown> = {
        'bank-info': stories.bankInfo(name, '000987654321'),
        'tax-info': stories.w9(name),
      };
      for (const { action, allowed, reason } of entries) {
        const answer = await member.post(`${path}/${action}`, bodies[action]);
        await restore();
        if (allowed) expect(answer.status, `${action}: ${JSON.stringify(answer.body)}`).toBeLessThan(300);
        else {
          expect([answer.status, answer.body.error.code], action).toEqual([409, 'INVALID_STATE']);
          expect(reason).toMatch(/\S/);
        }
      }
    }
  });

  it.each([
    ['approved', true],
    ['pending_bank_info', true],
    ['pending_tax_info', true],
    ['ready_for_payment', true],
    ['payment_failed', true],
    ['payment_sent', false],
    ['completed', false],
    ['cancelled', false],
    ['requires_manual_review', false],
  ] as const)('takes bank details when it is %s: %s', async (status, allowed) => {
    const { member, payoutId } = inStatus[status];
    const entries = (await payoutAs(member, payoutId)).allowedActions as AllowedAction[];
    expect(entries.find(({ action }) => action === 'bank-info')?.allowed).toBe(allowed);
  });
});

/** Every name and every text in a JSON value. */
function wordsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (value === null || typeof value !== 'object') return [];
  return Object.entries(value).flatMap(([key, item]) => [key, ...wordsIn(item)]);
}

describe('what a member sees', () => {
  const HIDDEN = [
    'internalNotes',
    'auditTrail',
    'approvalWorkflow',
    'eligibilityCheck',
    'adminId',
    'initiatedBy',
    'requiredApprovals',
    'approvedBy',
    'heldFrom',
    'holdReason',
    'generatedBy',
    'sentBy',
  ];
  const visible = PAYOUT_STATUSES.filter((status) => status !== 'pending_approval' && status !== 'rejected');

  it.each(visible)('of a payout that is %s is nothing of who decided what', async (status) => {
    const { member, payoutId } = inStatus[status];
    const views = [
      await payoutAs(member, payoutId),
      expectOk(await member.get(`/api/members/${member.userId}/payout`)).body,
      expectOk(await member.get(`/api/members/${member.userId}/membership`)).body,
    ];
    for (const view of views) {
      const words = wordsIn(view);
      expect(words.filter((word) => HIDDEN.includes(word))).toEqual([]);
      expect(JSON.stringify(view)).not.toMatch(/secret remark|staff:|adminId/i);
    }
    expect(views[0]).toMatchObject({
      payoutId,
      status,
      amount: 100_000,
      currency: 'USD',
      userId: member.userId,
    });
    expect(views[1]).toMatchObject({
      payoutId,
      status,
      nextSteps: [{ message: expect.stringMatching(/\S/) }],
    });
    const staffView = await payoutAs(cast.viewer, payoutId);
    for (const name of ['internalNotes', 'auditTrail', 'approvalWorkflow', 'eligibilityCheck', 'initiatedBy'])
      expect(staffView).toHaveProperty(name);
    expect(JSON.stringify(staffView)).toMatch(/secret remark/);
    const { netAmount, version } = staffView;
    expect(views[0]).toMatchObject({ netAmount, version });
  });

  it('is told to them as member also when they answer for what they gave', async () => {
    const { member, name } = inStatus.pending_bank_info;
    const { body } = expectOk(
      await member.post(`/api/members/${member.userId}/bank-info`, stories.bankInfo(name)),
    );
    await restore();
    expect(Object.keys(body).toSorted()).toEqual(['bankDetails', 'payoutId', 'status']);
    expect(body.status).toBe('pending_tax_info');
    expect(body.bankDetails).toMatchObject({ accountNumber: '****6789', routingNumber: '****0021' });
  });

  it('is nothing until it is approved, nor of one rejected or held before that', async () => {
    for (const { member, payoutId } of [inStatus.pending_approval, inStatus.rejected, heldEarly]) {
      const answers = [
        await member.get(`/api/payouts/${payoutId}`),
        await member.get(`/api/payouts/${payoutId}/receipt`),
        await member.get(`/api/members/${member.userId}/payout`),
        await member.post(`/api/members/${member.userId}/bank-info`, stories.bankInfo('Grace Hopper')),
      ];
      expect(answers.map(({ status }) => status)).toEqual([404, 404, 404, 404]);
      for (const { body } of answers)
        expect(JSON.stringify(body)).not.toMatch(/pending_approval|rejected|manual/);
    }
  });

  it.each([
    ['pending_bank_info', 'submit_bank_info'],
    ['pending_tax_info', 'submit_tax_info'],
    ['payment_sent', 'wait'],
    ['completed', 'none'],
  ] as const)('says what is asked of them when it is %s: %s', async (status, action) => {
    const { member } = inStatus[status];
    const { body } = expectOk(await member.get(`/api/members/${member.userId}/payout`));
    expect(body.nextSteps.map((step: { action: string }) => step.action)).toEqual([action]);
  });
});

describe('field by field', () => {
  /** What the caller is told at such an address about every payout there is; refusals left out. */
  async function told(caller: Caller | undefined, path: string): Promise<object[]> {
    const stories = /:id|:userId/.test(path) ? Object.values(inStatus) : Object.values(inStatus).slice(0, 1);
    const answers: object[] = [];
    for (const { payoutId, member } of stories) {
      const address = path.replace(':id', payoutId).replace(':userId', member.userId);
      const { status, body } = await (caller ?? member).get(address);
      if (status === 200) answers.push(body);
      else expect([403, 404], path).toContain(status);
    }
    return answers;
  }

  it.each([
    ['an admin', 'admin', STAFF_SEES],
    ['a finance manager', 'finance', STAFF_SEES],
    ['a viewer', 'viewer', VIEWER_SEES],
    ['a member', undefined, MEMBER_SEES],
  ] as const)('is all that %s sees', async (_who, name, fields) => {
    const caller = name === undefined ? undefined : cast[name];
    for (const path of Object.keys(STAFF_SEES)) {
      const answers = await told(caller, path);
      const wanted = fields[path];
      if (wanted === undefined) expect(answers, path).toEqual([]);
      else expect(fieldsOf(answers), path).toBe(sorted(wanted));
    }
  });

  it('is the same for all staff in every value, but for what each may do', async () => {
    const values = async (caller: Caller, path: string) =>
      JSON.parse(JSON.stringify(await told(caller, path)), (key, value: unknown) =>
        ['allowedActions', 'nameCheck'].includes(key) ? undefined : value,
      ) as unknown;
    for (const path of Object.keys(STAFF_SEES)) {
      const admins = await values(cast.admin, path);
      for (const other of [cast.finance, cast.viewer])
        expect(await values(other, path), path).toEqual(admins);
    }
  });
});

describe('numbers', () => {
  const FULL = [ACCOUNT_NUMBER, '123456789', ROUTING_NUMBER, TIN, TIN.replaceAll('-', '')];

  const expectMasked = (text: string, what: string): void => {
    for (const number of FULL) expect(text.includes(number), `${number} in ${what}`).toBe(false);
  };

  it('are the last four digits, whoever reads whatever', async () => {
    const paths = [
      '/api/payouts?limit=200',
      '/api/tax-forms?limit=200',
      '/api/notifications?limit=200',
      '/api/reports/audit-log?limit=200',
      '/api/reports/audit-log?entityType=payment',
      '/api/reports/audit-log?format=csv',
      '/api/reports/payouts',
      '/api/reports/tax-forms/2026',
      '/api/payouts/eligible-members',
      '/api/admin-alerts',
      ...Object.values(inStatus).map(({ payoutId }) => `/api/payouts/${payoutId}`),
    ];
    for (const caller of [cast.admin, cast.finance, cast.viewer]) {
      for (const path of paths) {
        const answer = expectOk(await caller.get(path));
        const text = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body);
        expect(text.length).toBeGreaterThan(10);
        expectMasked(text, path);
      }
    }
    const { bankDetails } = await payoutAs(cast.finance, inStatus.approved.payoutId);
    expect(bankDetails).toMatchObject({ accountNumber: '****6789', routingNumber: '****0021' });
    const { data } = expectOk(await cast.finance.get('/api/tax-forms?limit=200')).body;
    expect(new Set(data.map((form: { tinMasked: string }) => form.tinMasked))).toEqual(
      new Set(['XXX-XX-6789']),
    );
  });

  it('are masked in what comes back from generating instructions', async () => {
    const answer = await cast.finance.post(
      `/api/payouts/${inStatus.approved.payoutId}/generate-instructions`,
    );
    await restore();
    expect(answer.body.bankDetails).toMatchObject({ accountNumber: '****6789', routingNumber: '****0021' });
    expectMasked(JSON.stringify(answer.body), 'the instructions');
  });

  it('are not repeated to whoever sent wrong ones', async () => {
    const { member } = inStatus.pending_bank_info;
    const path = `/api/members/${member.userId}`;
    const bank = { ...stories.bankInfo('Grace Hopper'), accountType: 'gold', routingNumber: '021000029' };
    const answers = [
      await member.post(`${path}/bank-info`, bank),
      await member.post(`${path}/tax-info`, stories.w9('Grace Hopper', { tinType: 'none' })),
    ];
    for (const answer of answers) {
      expect(answer.status).toBe(400);
      expectMasked(JSON.stringify(answer.body), 'the refusal');
      expect(JSON.stringify(answer.body)).not.toContain('021000029');
    }
  });

  it('are in no line of the log and in no mail', async () => {
    await cast.service.services.mailDelivery.deliverDue();
    expect(cast.service.mailer.sent.length).toBeGreaterThan(0);
    expectMasked(
      JSON.stringify(cast.service.mailer.sent.map(({ text, html, subject }) => [text, html, subject])),
      'mail',
    );
    expect(cast.service.logLines.length).toBeGreaterThan(0);
    // Times of the log hold digits in a row; a full number never stands between letters or quotes.
    for (const number of [ACCOUNT_NUMBER, TIN]) expect(cast.service.logLines.join('')).not.toContain(number);
  });

  it('are in no table as they are', async () => {
    for (const table of CHANGED) {
      const rows = await cast.service.sql`SELECT to_jsonb(t)::text AS row FROM ${cast.service.sql(table)} t`;
      for (const { row } of rows) {
        for (const number of [ACCOUNT_NUMBER, TIN])
          expect((row as string).includes(number), table).toBe(false);
      }
    }
  });
});
