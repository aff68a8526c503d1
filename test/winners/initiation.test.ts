import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Caller, type Answer } from '../support/caller.ts';
import { TEST_NOW } from '../support/fakes.ts';
import { expectOk } from '../support/stories.ts';
import {
  startTestService,
  type MemberOptions,
  type TestService,
  type TestServiceOptions,
} from '../support/test-service.ts';

/** A service with an admin who initiates and two who decide, revenue for `funded` payouts, and an empty queue. */
class Scene {
  readonly service: TestService;
  readonly admin: Caller;
  readonly finance: Caller;

  constructor(service: TestService, admin: Caller, finance: Caller) {
    this.service = service;
    this.admin = admin;
    this.finance = finance;
  }

  static async open(funded: number, options: TestServiceOptions = {}): Promise<Scene> {
    const service = await startTestService(options);
    if (funded > 0) await service.fund(funded);
    const [admin, finance] = await Promise.all([
      service.newStaff('admin'),
      service.newStaff('finance_manager'),
    ]);
    return new Scene(service, admin, finance);
  }

  initiate(members: readonly (Caller | string)[], more: Record<string, unknown> = {}): Promise<Answer> {
    const userIds = members.map((member) => (typeof member === 'string' ? member : member.userId));
    return this.admin.post('/api/payouts/initiate', { userIds, ...more });
  }

  async members(count: number, options: MemberOptions = {}): Promise<Caller[]> {
    const members: Caller[] = [];
    for (let made = 0; made < count; made += 1) members.push(await this.service.newMember(options));
    return members;
  }

  async countPayouts(): Promise<number> {
    const rows = await this.service.sql`SELECT 1 FROM payout_management`;
    return rows.length;
  }

  async candidates(query = ''): Promise<any> {
    return expectOk(await this.admin.get(`/api/payouts/eligible-members${query}`)).body;
  }

  reject(payoutId: string): Promise<Answer> {
    return this.finance.post(`/api/payouts/${payoutId}/reject`, { reason: 'No.' });
  }
}

const open: Scene[] = [];
const stopAll = async () => {
  for (const { service } of open.splice(0).reverse()) await service.stop();
};
async function scene(funded: number, options: TestServiceOptions = {}): Promise<Scene> {
  const opened = await Scene.open(funded, options);
  open.push(opened);
  return opened;
}

const refusal = ({ status, body }: Answer) => [status, body.error?.code];

describe('the order of the queue', () => {
  let s: Scene;
  let unverified: Caller;
  let queue: Caller[];
  beforeAll(async () => {
    s = await scene(10);
    [unverified] = (await s.members(1, { kyc: 'pending' })) as [Caller];
    queue = await s.members(5);
  });
  afterAll(stopAll);

  it('is not passed over without a reason', async () => {
    const answer = await s.initiate([queue[1]!]);
    expect(refusal(answer)).toEqual([422, 'QUEUE_ORDER_OVERRIDE_REQUIRED']);
    // Whoever cannot win is nobody to be passed over.
    expect(answer.body.error.details.passedOver).toEqual([{ userId: queue[0]!.userId, queuePosition: 2 }]);
    const gap = await s.initiate([queue[0]!, queue[2]!]);
    expect(refusal(gap)).toEqual([422, 'QUEUE_ORDER_OVERRIDE_REQUIRED']);
    expect(gap.body.error.details.passedOver).toEqual([{ userId: queue[1]!.userId, queuePosition: 3 }]);
    expect(await s.countPayouts()).toBe(0);
  });

  it('lets the first who can win be chosen, whoever stands before them and cannot', async () => {
    const answer = await s.initiate([queue[0]!]);
    expect(answer.status).toBe(201);
    expect(answer.body.data).toHaveLength(1);
    expect(answer.body.data[0]).toMatchObject({ userId: queue[0]!.userId, queuePosition: 2 });
    const snapshot = answer.body.data[0].eligibilityCheck;
    expect(snapshot).not.toHaveProperty('overrideReason');
    expect(snapshot).toMatchObject({
      passedOverCount: 1,
      passedOver: [
        {
          userId: unverified.userId,
          queuePosition: 1,
          valid: false,
          reasons: ['The identity check (KYC) is not verified.'],
        },
      ],
    });
  });

  it('does not mind in which order the next ones are named', async () => {
    const answer = await s.initiate([queue[2]!, queue[1]!]);
    expect(answer.status).toBe(201);
    expect(answer.body.data.map((payout: { userId: string }) => payout.userId).sort()).toEqual(
      [queue[1]!.userId, queue[2]!.userId].sort(),
    );
  });

  it('is passed over with a reason, which the snapshot and the audit log keep', async () => {
    const overrideReason = 'The member before asked to wait.';
    const answer = await s.initiate([queue[4]!], { overrideReason });
    expect(answer.status).toBe(201);
    const { payoutId, eligibilityCheck } = answer.body.data[0];
    expect(eligibilityCheck.overrideReason).toBe(overrideReason);
    expect(eligibilityCheck.passedOver).toContainEqual({
      userId: queue[3]!.userId,
      queuePosition: 5,
      valid: true,
      reasons: [],
    });
    const { data } = expectOk(
      await s.admin.get(`/api/reports/audit-log?entityType=payout&entityId=${payoutId}&action=created`),
    ).body;
    expect(data).toHaveLength(1);
    expect(data[0]).toMatchObject({ adminId: s.admin.adminId, newValues: { overrideReason } });
  });

  it('wants a reason of more than blanks', async () => {
    const answer = await s.initiate([queue[3]!], { overrideReason: '   ' });
    expect(refusal(answer)).toEqual([400, 'VALIDATION_ERROR']);
  });
});

describe('a member who cannot win', () => {
  let s: Scene;
  let valid: Caller;
  let winner: Caller;
  beforeAll(async () => {
    s = await scene(10);
    [winner, valid] = (await s.members(2)) as [Caller, Caller];
    expectOk(await s.initiate([winner]));
  });
  afterAll(stopAll);

  /** Chosen together with one who could win: refused with the reasons, and nothing is created. */
  async function expectInvalid(userId: string, validation: Record<string, unknown>): Promise<void> {
    const before = await s.countPayouts();
    const answer = await s.initiate([valid.userId, userId], { overrideReason: 'A test.' });
    expect(refusal(answer)).toEqual([422, 'INVALID_WINNER']);
    expect(answer.body.error.details.winners).toEqual([{ userId, isValid: false, ...validation }]);
    expect(await s.countPayouts()).toBe(before);
  }

  const QUALITIES = { kycVerified: true, hasActiveSubscription: true, meetsTimeRequirement: true };
  const NO_KYC = 'The identity check (KYC) is not verified.';

  it.each<[string, MemberOptions, Record<string, unknown>]>([
    [
      'trialing',
      { subscription: 'trialing' },
      { errors: ['The subscription is trialing; it must be active.'] },
    ],
    ['not checked', { kyc: null }, { kycVerified: false, errors: [NO_KYC] }],
    ['rejected by the identity check', { kyc: 'rejected' }, { kycVerified: false, errors: [NO_KYC] }],
    [
      'here for 11 payments',
      { payments: 11 },
      {
        meetsTimeRequirement: false,
        errors: ['The member has 11 payments in this tenure; 12 are needed.'],
      },
    ],
    [
      'wanting in all ways',
      { payments: 1, kyc: 'pending', subscription: 'trialing' },
      {
        kycVerified: false,
        meetsTimeRequirement: false,
        errors: [
          'The subscription is trialing; it must be active.',
          NO_KYC,
          'The member has 1 payments in this tenure; 12 are needed.',
        ],
      },
    ],
  ])('because they are %s', async (_why, options, wrong) => {
    const member = await s.service.newMember(options);
    await expectInvalid(member.userId, { ...QUALITIES, ...wrong });
  });

  it('because they have won already', async () => {
    await expectInvalid(winner.userId, {
      ...QUALITIES,
      errors: ['The member already has a payout in this tenure.'],
    });
  });

  const NOBODY = {
    kycVerified: false,
    hasActiveSubscription: false,
    meetsTimeRequirement: false,
    errors: ['The member is not in the queue: no active subscription, or no payment.'],
  };

  it.each<[string, MemberOptions]>([
    ['without a subscription', { subscription: null }],
    ['with a cancelled one', { subscription: 'canceled' }],
    ['without a payment', { payments: 0 }],
  ])('because they are not in the queue: %s', async (_why, options) => {
    await expectInvalid((await s.service.newMember(options)).userId, NOBODY);
  });

  it('because nobody knows them', async () => {
    await expectInvalid(randomUUID(), NOBODY);
  });

  it('because refunds took them below 12 payments', async () => {
    const member = await s.service.newMember({ payments: 12 });
    await s.service.sql`UPDATE user_payments SET status = 'refunded' WHERE id =
      (SELECT id FROM user_payments WHERE user_id = ${member.userId} ORDER BY created_at DESC LIMIT 1)`;
    await expectInvalid(member.userId, {
      ...QUALITIES,
      meetsTimeRequirement: false,
      errors: ['The member has 11 payments in this tenure; 12 are needed.'],
    });
  });

  it('is named with every other who cannot', async () => {
    const [one, two] = await s.members(2, { kyc: 'pending' });
    const answer = await s.initiate([one!, valid, two!], { overrideReason: 'A test.' });
    const named = answer.body.error.details.winners.map(({ userId }: { userId: string }) => userId);
    expect(named).toEqual([one!.userId, two!.userId]);
  });

  it.each<[string, (id: string) => unknown]>([
    ['named twice', (id) => ({ userIds: [id, id] })],
    ['named twice, once in capitals', (id) => ({ userIds: [id, id.toUpperCase()] })],
    ['nobody', () => ({ userIds: [] })],
    ['no id', () => ({ userIds: ['me'] })],
    ['left out', () => ({})],
    ['paid in another way', (id) => ({ userIds: [id], paymentMethod: 'cash' })],
    ['given more than is known', (id) => ({ userIds: [id], amount: 1 })],
  ])('is no valid request: %s', async (_fault, body) => {
    const before = await s.countPayouts();
    expect(refusal(await s.admin.post('/api/payouts/initiate', body(valid.userId)))).toEqual([
      400,
      'VALIDATION_ERROR',
    ]);
    expect(await s.countPayouts()).toBe(before);
  });

  it('can once nothing is against it any more, their id in capitals or not', async () => {
    const answer = await s.initiate([valid.userId.toUpperCase()]);
    expect([answer.status, answer.body.data?.[0].userId]).toEqual([201, valid.userId]);
  });
});

describe('the conditions of the company', () => {
  afterEach(stopAll);

  it('keep payouts back while revenue is below the threshold', async () => {
    const s = await scene(2, { env: { PAYOUT_THRESHOLD: '500000' } });
    const [member] = await s.members(1);
    const answer = await s.initiate([member!]);
    expect(refusal(answer)).toEqual([422, 'NOT_ELIGIBLE']);
    expect(answer.body.error.message).toMatch(/Revenue is below the payout threshold/);
    expect(await s.countPayouts()).toBe(0);
  });

  it('keep them back too when so little revenue funds none', async () => {
    const s = await scene(0);
    const [member] = await s.members(1);
    expect(refusal(await s.initiate([member!]))).toEqual([422, 'NOT_ELIGIBLE']);
  });

  it('keep them back in the company’s first 12 months of 30 days', async () => {
    const day = (daysAgo: number) =>
      new Date(Date.UTC(2026, 10, 20) - daysAgo * 86_400_000).toISOString().slice(0, 10);
    const young = await scene(2, { env: { BUSINESS_LAUNCH_DATE: day(359) } });
    const [member] = await young.members(1);
    const answer = await young.initiate([member!]);
    expect(refusal(answer)).toEqual([422, 'NOT_ELIGIBLE']);
    expect(answer.body.error.message).toMatch(/11 months old/);
    young.service.time.advanceDays(1);
    expect((await young.initiate([member!])).status).toBe(201);
  });

  it('keep back what revenue does not fund, all or none', async () => {
    const s = await scene(2);
    const members = await s.members(3);
    const tooMany = await s.initiate(members);
    expect(refusal(tooMany)).toEqual([422, 'NO_FUNDED_SLOT']);
    expect(tooMany.body.error.details).toMatchObject({ availableSlots: 2 });
    expect(await s.countPayouts()).toBe(0);
    expectOk(await s.initiate(members.slice(0, 2)));
    expect(refusal(await s.initiate([members[2]!]))).toEqual([422, 'NO_FUNDED_SLOT']);
    expect(await s.countPayouts()).toBe(2);
  });

  it('do not count refunded, failed or foreign payments as revenue', async () => {
    const s = await scene(2);
    const members = await s.members(2);
    await s.service.sql`UPDATE user_payments SET status = 'refunded' WHERE amount = 200000`;
    expect(refusal(await s.initiate([members[0]!]))).toEqual([422, 'NOT_ELIGIBLE']);
    await s.service.sql`UPDATE user_payments SET status = 'failed' WHERE amount = 200000`;
    expect(refusal(await s.initiate([members[0]!]))).toEqual([422, 'NOT_ELIGIBLE']);
    await s.service
      .sql`UPDATE user_payments SET status = 'succeeded', currency = 'EUR' WHERE amount = 200000`;
    expect(refusal(await s.initiate([members[0]!]))).toEqual([422, 'NOT_ELIGIBLE']);
    await s.service.sql`UPDATE user_payments SET currency = 'USD', amount = 100000 WHERE amount = 200000`;
    expectOk(await s.initiate([members[0]!]));
    expect(refusal(await s.initiate([members[1]!]))).toEqual([422, 'NO_FUNDED_SLOT']);
  });
});

describe('a tranche of revenue', () => {
  let s: Scene;
  let members: Caller[];
  beforeAll(async () => {
    s = await scene(3);
    members = await s.members(4);
  });
  afterAll(stopAll);

  const live = async () =>
    (
      await s.service.sql<{ funding_tranche: number }[]>`SELECT funding_tranche FROM payout_management
        WHERE status NOT IN ('rejected', 'cancelled') ORDER BY 1`
    ).map((row) => row.funding_tranche);
  const trancheOf = (answer: Answer) => answer.body.data[0].eligibilityCheck.fundingTranche;

  it('is numbered, and free again after a rejection or a cancellation', async () => {
    const { data } = expectOk(await s.initiate(members.slice(0, 3))).body;
    expect(await live()).toEqual([1, 2, 3]);
    expectOk(await s.reject(data[1].payoutId));
    expect(await live()).toEqual([1, 3]);
    const again = expectOk(await s.initiate([members[3]!], { overrideReason: 'Member 2 was rejected.' }));
    expect(trancheOf(again)).toBe(2);
    expectOk(await s.admin.post(`/api/payouts/${data[0].payoutId}/cancel`, { reason: 'Declined.' }));
    // Whoever was rejected or cancelled has not won, and can be chosen again.
    const third = expectOk(await s.initiate([members[0]!]));
    expect(trancheOf(third)).toBe(1);
    expect(await live()).toEqual([1, 2, 3]);
    expect(refusal(await s.initiate([members[1]!]))).toEqual([422, 'NO_FUNDED_SLOT']);
  });
});

describe('a new payout', () => {
  let s: Scene;
  let member: Caller;
  beforeAll(async () => {
    s = await scene(3);
    [member] = (await s.members(1, { firstName: 'Grace', lastName: 'Hopper', payments: 13 })) as [Caller];
  });
  afterAll(stopAll);

  it('keeps what was true when it was made', async () => {
    const answer = expectOk(await s.initiate([member], { paymentMethod: 'check' }));
    const payout = answer.body.data[0];
    expect(payout).toMatchObject({
      payoutId: expect.stringMatching(/^PO-2026-[0-9A-HJKMNP-TV-Z]{8}$/),
      userId: member.userId,
      status: 'pending_approval',
      amount: 100000,
      retentionFee: 300,
      netAmount: 99700,
      currency: 'USD',
      paymentMethod: 'check',
      requiredApprovals: 2,
      initiatedBy: s.admin.adminId,
      bankDetails: null,
      taxWithholding: null,
      membershipRemovalDate: null,
      version: 1,
      processing: {
        gross_amount: 100000,
        retention_fee: 300,
        tax_withholding: 0,
        net_amount: 99700,
        breakdown: [
          { description: 'Gross Payout', amount: 100000 },
          { description: 'Retention Fee (Next Year)', amount: -300 },
          { description: 'Net Payout', amount: 99700 },
        ],
      },
    });
    const [paid] = await s.service.sql<{ first: Date }[]>`
      SELECT min(created_at) AS first FROM user_payments WHERE user_id = ${member.userId}`;
    expect(payout.eligibilityCheck).toEqual({
      totalRevenue: 301300,
      companyAgeMonths: 35,
      queuePosition: 1,
      tenureStartDate: paid!.first.toISOString(),
      totalPayments: 13,
      lifetimeTotal: 1300,
      selectionCriteria: expect.stringMatching(/Queue order/),
      timestamp: TEST_NOW.toISOString(),
      subscriptionStatus: 'active',
      potentialWinners: 3,
      awardedPayouts: 0,
      fundingTranche: 1,
      rewardPerWinner: 100000,
      passedOverCount: 0,
      passedOver: [],
    });
  });

  it('is told to the admins, and approval asked of all who may decide but its initiator', async () => {
    const rows = await s.service.sql<{ template: string; user_id: string }[]>`
      SELECT template, user_id FROM notifications ORDER BY template, user_id`;
    expect(rows.map(({ template, user_id: userId }) => [template, userId])).toEqual([
      ['approval-wanted', s.finance.userId],
      ['payouts-created', s.admin.userId],
    ]);
  });

  it('is not made by the check or by looking', async () => {
    await s.members(1);
    const before = await s.countPayouts();
    expectOk(await s.admin.post('/api/payouts/check-eligibility'));
    await s.candidates();
    expect(await s.countPayouts()).toBe(before);
  });
});

describe('the list of candidates', () => {
  let s: Scene;
  let queue: Caller[];
  beforeAll(async () => {
    s = await scene(3);
    queue = await s.members(2);
    queue.push(await s.service.newMember({ kyc: 'pending', payments: 3 }));
    await s.service.newMember({ subscription: 'trialing' });
    await s.service.newMember({ subscription: 'past_due' });
    await s.service.newMember({ payments: 0 });
    queue.push(...(await s.members(2)));
  });
  afterAll(stopAll);

  const ids = (page: { data: { userId: string }[] }) => page.data.map(({ userId }) => userId);
  const idsOf = (members: Caller[]) => members.map(({ userId }) => userId);

  it('holds those with an active subscription, valid or not, in queue order', async () => {
    const page = await s.candidates();
    expect(ids(page)).toEqual(idsOf(queue));
    expect(page).toMatchObject({ nextCursor: null, availableSlots: 3 });
    expect(page.data[2]).toMatchObject({
      totalPayments: 3,
      validation: {
        isValid: false,
        kycVerified: false,
        hasActiveSubscription: true,
        meetsTimeRequirement: false,
        errors: [
          'The identity check (KYC) is not verified.',
          'The member has 3 payments in this tenure; 12 are needed.',
        ],
      },
    });
  });

  it('says of each what the document’s Winner has', async () => {
    const [first] = (await s.candidates('?limit=1')).data;
    const [payments] = await s.service.sql<{ first: Date; last: Date }[]>`
      SELECT min(created_at) AS first, max(created_at) AS last FROM user_payments
       WHERE user_id = ${queue[0]!.userId}`;
    expect(first).toEqual({
      userId: queue[0]!.userId,
      email: queue[0]!.email,
      fullName: 'Ada Albright b',
      queuePosition: 1,
      tenureStartDate: payments!.first.toISOString(),
      lastPaymentDate: payments!.last.toISOString(),
      totalPayments: 12,
      lifetimeTotal: 1200,
      subscriptionStatus: 'active',
      validation: {
        isValid: true,
        kycVerified: true,
        hasActiveSubscription: true,
        meetsTimeRequirement: true,
        errors: [],
      },
    });
  });

  it('comes in pages that make up the whole', async () => {
    const found: string[] = [];
    let cursor = '';
    for (let pages = 0; pages < 3; pages += 1) {
      const page = await s.candidates(`?limit=2${cursor}`);
      found.push(...ids(page));
      if (page.nextCursor === null) break;
      cursor = `&cursor=${page.nextCursor}`;
    }
    expect(found).toEqual(idsOf(queue));
  });

  it('takes only its own cursors', async () => {
    const forged = ['nonsense', ['x'], ['1e999'], [1.5], [1, 2]].map((key) =>
      Buffer.from(JSON.stringify(key)).toString('base64url'),
    );
    for (const cursor of [...forged, '!']) {
      const answer = await s.admin.get(`/api/payouts/eligible-members?cursor=${cursor}`);
      expect([cursor, ...refusal(answer)]).toEqual([cursor, 400, 'VALIDATION_ERROR']);
    }
  });

  it('leaves out who has won, until that payout is rejected', async () => {
    const { data } = expectOk(await s.initiate([queue[0]!])).body;
    expect(await s.candidates()).toMatchObject({ availableSlots: 2 });
    expect(ids(await s.candidates())).toEqual(idsOf(queue.slice(1)));
    expectOk(await s.reject(data[0].payoutId));
    expect(ids(await s.candidates())).toEqual(idsOf(queue));
  });

  it('settles ties by user id', async () => {
    const tied = queue.slice(3);
    await s.service.sql`UPDATE user_payments SET created_at = '2025-12-31T00:00:00Z'
      WHERE user_id IN ${s.service.sql(idsOf(tied))}`;
    expect(ids(await s.candidates()).slice(-2)).toEqual(idsOf(tied).sort());
  });

  it('has one row for a member with two subscriptions, the active one', async () => {
    const [member] = queue;
    await s.service.sql`INSERT INTO user_subscriptions (user_id, status, created_at) VALUES
      (${member!.userId}, 'trialing', now()), (${member!.userId}, 'active', now() - interval '5 years')`;
    const rows = (await s.candidates()).data.filter(
      ({ userId }: { userId: string }) => userId === member!.userId,
    );
    expect(rows).toMatchObject([{ subscriptionStatus: 'active', totalPayments: 12, lifetimeTotal: 1200 }]);
  });
});

describe('another reward', () => {
  afterAll(stopAll);

  it('leaves payouts as they are and counts by what they take', async () => {
    const s = await scene(0);
    const [source, ...members] = await s.members(6);
    await s.service.sql`INSERT INTO user_payments (user_id, amount, status, created_at)
      VALUES (${source!.userId}, 250000, 'succeeded', now())`;
    const old = expectOk(await s.initiate([source!])).body.data[0];
    const service = await startTestService({ beside: s.service, env: { REWARD_PER_WINNER: '50000' } });
    try {
      const admin = new Caller(service.url, { token: s.admin.token });
      const read = async (who: Caller) => expectOk(await who.get('/api/payouts/eligibility')).body;
      expect(await read(admin)).toMatchObject({ potentialWinners: 5, awardedPayouts: 1, availableSlots: 3 });
      const userIds = members.map(({ userId }) => userId);
      const tooMany = await admin.post('/api/payouts/initiate', { userIds: userIds.slice(0, 4) });
      expect(refusal(tooMany)).toEqual([422, 'NO_FUNDED_SLOT']);
      const made = expectOk(await admin.post('/api/payouts/initiate', { userIds: userIds.slice(0, 3) }));
      for (const payout of made.body.data) {
        expect(payout).toMatchObject({ amount: 50000, netAmount: 49700, requiredApprovals: 1 });
      }
      expect(await read(s.admin)).toMatchObject({ awardedPayouts: 4, availableSlots: 0 });
      expect((await s.admin.get(`/api/payouts/${old.payoutId}`)).body).toMatchObject({ amount: 100000 });
    } finally {
      await service.stop();
    }
  });
});

describe('at the same moment over two instances', () => {
  let s: Scene;
  let admins: Caller[];
  let second: TestService;
  beforeAll(async () => {
    s = await scene(1);
    second = await startTestService({ beside: s.service });
    admins = [s.admin, new Caller(second.url, { token: s.admin.token })];
  });
  afterAll(async () => {
    await second.stop();
    await stopAll();
  });

  const race = (members: Caller[]) =>
    Promise.all(
      members.map((member, index) =>
        admins[index % 2]!.post('/api/payouts/initiate', {
          userIds: [member.userId],
          overrideReason: 'A race.',
        }),
      ),
    );

  it('20 initiations for the last slot make one payout', async () => {
    const answers = await race(await s.members(20));
    const won = answers.filter(({ status }) => status === 201);
    expect(won).toHaveLength(1);
    expect(answers.filter(({ status }) => ![201, 409, 422].includes(status))).toEqual([]);
    expect(await s.countPayouts()).toBe(1);
    expect((await s.candidates()).availableSlots).toBe(0);
  });

  it('10 initiations of 10 members for 10 slots make 10 payouts, each on a tranche of its own', async () => {
    await s.service.fund(10);
    const before = await s.countPayouts();
    const answers = await race(await s.members(10));
    expect(answers.map(({ status }) => status)).toEqual(Array<number>(10).fill(201));
    const tranches = answers.map(({ body }) => body.data[0].eligibilityCheck.fundingTranche);
    expect(new Set(tranches).size).toBe(10);
    expect(await s.countPayouts()).toBe(before + 10);
  });

  it('20 initiations of the same member make one payout', async () => {
    await s.service.fund(20);
    const [member] = await s.members(1);
    const before = await s.countPayouts();
    const answers = await race(Array.from({ length: 20 }, () => member!));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(answers.filter(({ status }) => ![201, 409, 422].includes(status))).toEqual([]);
    expect(await s.countPayouts()).toBe(before + 1);
  });
});
