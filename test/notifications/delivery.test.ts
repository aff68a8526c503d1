import { SignJWT } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../src/kernel/logger.ts';
import { MailQueueKeeper } from '../../src/notifications/mail-queue-keeper.ts';
import { queueDepth } from '../../src/notifications/mail-queue.ts';
import { MailRefused } from '../../src/notifications/mailer.ts';
import { enqueueFor } from '../../src/notifications/outbox.ts';
import { Caller } from '../support/caller.ts';
import { expectOk, startCast, Stories, type Cast, type Story } from '../support/stories.ts';
import { startTestService } from '../support/test-service.ts';

let cast: Cast;
let stories: Stories;
beforeAll(async () => {
  cast = await startCast();
  stories = new Stories(cast);
});
afterAll(() => cast.service.stop());

const deliver = () => cast.service.services.mailDelivery.deliverDue();

interface Row {
  id: string;
  template: string;
  user_id: string;
  status: string;
  attempts: number;
  last_error: string | null;
  next_attempt_at: Date;
  message_id: string;
}
const rowsOf = (payoutId: string) => cast.service.sql<Row[]>`
  SELECT * FROM notifications WHERE payout_id = ${payoutId} ORDER BY created_at, id`;

/** Who gets what about a payout: `template: person`. */
async function mailsAbout({ payoutId, member }: Story): Promise<string[]> {
  const people = new Map([
    [member.userId, 'member'],
    ...(['admin', 'admin2', 'finance', 'finance2', 'viewer'] as const).map((name): [string, string] => [
      cast[name].userId,
      name,
    ]),
  ]);
  return (await rowsOf(payoutId)).map((row) => `${row.template}: ${people.get(row.user_id)}`).sort();
}

const tokenIn = (text: string): string => {
  const link = /https?:\/\/\S+token=\S+/.exec(text)?.[0] ?? '';
  return new URL(link).searchParams.get('token') ?? '';
};

/** An empty outbox, and a mailer that takes everything. */
async function settle(): Promise<void> {
  cast.service.mailer.failWith = undefined;
  await deliver();
  cast.service.mailer.sent.length = 0;
}

describe('messages in a payout’s life', () => {
  it('go to whom they concern, and to the member never before approval', async () => {
    const story = await stories.initiated();
    const atInitiation = [
      'approval-wanted: admin2',
      'approval-wanted: finance',
      'approval-wanted: finance2',
      'payouts-created: admin',
      'payouts-created: admin2',
    ];
    expect(await mailsAbout(story)).toEqual(atInitiation);
    expectOk(await cast.admin2.post(`/api/payouts/${story.payoutId}/approve`));
    expect(await mailsAbout(story)).toEqual(atInitiation);

    const seen = [...atInitiation];
    const expectNew = async (...more: string[]) => {
      seen.push(...more);
      expect(await mailsAbout(story)).toEqual([...seen].sort());
    };
    const path = `/api/payouts/${story.payoutId}`;
    const mine = `/api/members/${story.member.userId}`;
    expectOk(await cast.finance.post(`${path}/approve`));
    await expectNew('winner: member', 'bank-info-wanted: member');
    expectOk(await story.member.post(`${mine}/bank-info`, stories.bankInfo(story.name)));
    await expectNew('tax-info-wanted: member');
    const { body } = expectOk(await story.member.post(`${mine}/tax-info`, stories.w9(story.name)));
    await expectNew(...['admin', 'admin2', 'finance', 'finance2'].map((name) => `w9-to-review: ${name}`));
    expectOk(await cast.finance.post(`/api/tax-forms/${body.formId}/approve`));
    await expectNew();
    expectOk(await cast.finance.post(`${path}/generate-instructions`));
    await expectNew();
    const dates = { sentDate: stories.today, expectedArrivalDate: stories.today };
    expectOk(await cast.finance2.post(`${path}/mark-sent`, dates));
    await expectNew('payment-sent: member');
    expectOk(await cast.finance.post(`${path}/confirm`, { completedDate: stories.today }));
    await expectNew(
      'payment-confirmed: member',
      ...['admin', 'admin2', 'finance', 'finance2'].map((name) => `staff-notice: ${name}`),
    );
    expectOk(await cast.finance.post(`${path}/fail`, { reason: 'Returned.', returnCode: 'R03' }));
    await expectNew('payment-failed: member');
  });

  it('of a payout that was never approved reach no member', async () => {
    for (const end of ['reject', 'cancel', 'hold'] as const) {
      const story = await stories.initiated();
      const who = end === 'cancel' ? cast.admin : cast.finance;
      expectOk(await who.post(`/api/payouts/${story.payoutId}/${end}`, { reason: 'No.' }));
      expect((await mailsAbout(story)).filter((line) => line.endsWith('member'))).toEqual([]);
    }
  });

  it('tell the member when bank details are changed', async () => {
    const story = await stories.withBank();
    const path = `/api/members/${story.member.userId}/bank-info`;
    expect(await mailsAbout(story)).not.toContain('bank-details-changed: member');
    expectOk(await story.member.post(path, stories.bankInfo(story.name, '98765432')));
    expect(await mailsAbout(story)).toContain('bank-details-changed: member');
    await deliver();
    const texts = cast.service.mailer.sent
      .filter(({ to }) => to.address === story.member.email)
      .map(({ text }) => text);
    expect(texts.filter((text) => text.includes('5432'))).toHaveLength(1);
    expect(texts.filter((text) => text.includes('98765432'))).toEqual([]);
  });

  it('about a hold go to those who can end it', async () => {
    const story = await stories.approved();
    expectOk(await cast.finance.post(`/api/payouts/${story.payoutId}/hold`, { reason: 'A doubt.' }));
    expect((await mailsAbout(story)).filter((line) => line.startsWith('manual-review'))).toEqual([
      'manual-review: admin',
      'manual-review: admin2',
      'manual-review: finance',
      'manual-review: finance2',
    ]);
  });

  it('about what waits too long are sent once', async () => {
    const story = await stories.initiated();
    const sent = await stories.sent();
    cast.service.time.advanceDays(7);
    for (let times = 0; times < 2; times += 1) expectOk(await cast.admin.post('/api/jobs/delay-checks/run'));
    expect((await mailsAbout(story)).filter((line) => line.startsWith('approval-reminder'))).toEqual([
      'approval-reminder: admin2',
      'approval-reminder: finance',
      'approval-reminder: finance2',
    ]);
    expect((await mailsAbout(sent)).filter((line) => line.startsWith('payment-delayed'))).toHaveLength(4);
  });

  it('all have what their templates want', async () => {
    await deliver();
    const rows = await cast.service.sql<{ template: string; status: string }[]>`
      SELECT DISTINCT template, status FROM notifications ORDER BY template`;
    expect(rows.length).toBeGreaterThan(10);
    expect(rows.filter(({ status }) => status !== 'sent')).toEqual([]);
  });
});

describe('a message', () => {
  beforeEach(settle);

  it('is there only if its cause is', async () => {
    const { database } = cast.service;
    const before = await cast.service.sql`SELECT count(*) AS count FROM notifications`;
    const failing = database.transaction(async (tx) => {
      await enqueueFor(tx, cast.viewer.userId, {
        template: 'form-1099-ready',
        data: { taxYear: '2026' },
        at: cast.service.time.now(),
      });
      throw new Error('Changed my mind.');
    });
    await expect(failing).rejects.toThrow('Changed my mind.');
    const member = await cast.service.newMember({ kyc: 'pending' });
    const refused = await cast.admin.post('/api/payouts/initiate', {
      userIds: [member.userId],
      overrideReason: 'x',
    });
    expect(refused.status).toBe(422);
    expect([...(await cast.service.sql`SELECT count(*) AS count FROM notifications`)]).toEqual([...before]);
  });

  it('is delivered once by two workers at once', async () => {
    const beside = await startTestService({ beside: cast.service });
    try {
      for (let times = 0; times < 6; times += 1) await stories.initiated();
      const workers = [cast.service, beside].map(({ services }) => services.mailDelivery);
      const attempts = await Promise.all([...workers, ...workers].map((worker) => worker.deliverDue()));
      const ids = cast.service.mailer.sent.map(({ messageId }) => messageId);
      expect(ids).toHaveLength(30);
      expect(new Set(ids).size).toBe(30);
      expect(attempts.reduce((sum, count) => sum + count, 0)).toBe(30);
    } finally {
      await beside.stop();
    }
  });

  it('whose worker died is taken up by another, as the same message, and a late answer changes nothing', async () => {
    const { mailer, services, sql, database, time } = cast.service;
    const { payoutId } = await stories.initiated();
    let letGo = () => {};
    mailer.heldUpBy = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const first = services.mailDelivery.deliver();
    await expect.poll(() => mailer.heldUp, { timeout: 10_000 }).toBe(4);
    mailer.heldUpBy = undefined;
    expect(await deliver()).toBe(1); // the one that the first had not taken
    await sql`UPDATE payout_queue.job SET started_on = started_on - interval '181 seconds' WHERE state = 'active'`;
    await new MailQueueKeeper(database, silentLogger, { limit: 3, delaySeconds: 300 }).maintain();
    expect(await deliver()).toBe(0);
    time.advanceDays(481 / 86_400);
    expect(await deliver()).toBe(4);
    letGo();
    await first;
    const rows = await rowsOf(payoutId);
    expect(rows.map(({ status, attempts }) => [status, attempts]).sort()).toEqual([
      ['sent', 1],
      ...Array<[string, number]>(4).fill(['sent', 2]),
    ]);
    expect(new Set(mailer.sent.map(({ messageId }) => messageId))).toEqual(
      new Set(rows.map((row) => row.message_id)),
    );
    const entries = await sql<{ action: string }[]>`SELECT action FROM user_audit_logs
       WHERE entity_type = 'notification' AND entity_id = ${rows.find(({ attempts }) => attempts === 2)!.id} ORDER BY sequence`;
    expect(entries.map(({ action }) => action)).toEqual(['interrupted', 'sent', 'sent']);
    expect(await deliver()).toBe(0);
  });

  it('that no queue holds is found and queued', async () => {
    const { services, sql } = cast.service;
    const { payoutId } = await stories.initiated();
    await sql`DELETE FROM payout_queue.job WHERE state = 'created'`;
    expect(await deliver()).toBe(0);
    expect(await services.mailDelivery.adoptUnqueued()).toBe(5);
    expect(await services.mailDelivery.adoptUnqueued()).toBe(0);
    expect(await queueDepth(cast.service.database.reader)).toMatchObject({
      waiting: 5,
      retrying: 0,
      active: 0,
    });
    expect(await deliver()).toBe(5);
    expect(new Set((await rowsOf(payoutId)).map(({ status }) => status))).toEqual(new Set(['sent']));
    expect((await queueDepth(cast.service.database.reader)).waiting).toBe(0);
  });

  it('is tried again after 5 minutes, three times, then given up, and the admins are told', async () => {
    const story = await stories.approved();
    await settle();
    cast.service.time.advanceDays(1 / 1440); // so that the next message is the last one
    const about = `/api/payouts/${story.payoutId}`;
    const { version } = expectOk(await cast.viewer.get(about)).body;
    cast.service.mailer.failWith = ({ to }) =>
      to.address === story.member.email ? new MailRefused('451 Try later.', false) : undefined;
    await cast.service.database.transaction((tx) =>
      enqueueFor(tx, story.member.userId, {
        template: 'bank-info-wanted',
        payoutId: story.payoutId,
        data: {},
        at: cast.service.time.now(),
      }),
    );
    const row = async () =>
      (await rowsOf(story.payoutId)).findLast(({ template }) => template === 'bank-info-wanted')!;
    const minutes = (count: number) => cast.service.time.advanceDays(count / 1440);
    for (const attempt of [1, 2, 3]) {
      expect(await deliver()).toBe(1);
      const at = cast.service.time.now();
      expect(await row()).toMatchObject({
        status: 'queued',
        attempts: attempt,
        last_error: '451 Try later.',
        next_attempt_at: new Date(at.getTime() + 300_000),
      });
      minutes(4.9);
      expect(await deliver()).toBe(0);
      minutes(0.1);
    }
    // The first try and three more.
    expect(await deliver()).toBe(1);
    expect(await deliver()).toBe(2); // what this tells the two admins
    const failed = await row();
    expect(failed).toMatchObject({ status: 'failed', attempts: 4 });
    minutes(60);
    expect(await deliver()).toBe(0);

    const alerts = expectOk(await cast.viewer.get('/api/admin-alerts?category=dead_letter&open=true')).body
      .data;
    expect(alerts).toEqual([
      expect.objectContaining({
        severity: 'warning',
        details: { notificationId: failed.id, payoutId: story.payoutId },
      }),
    ]);
    expect(cast.service.mailer.sent.map(({ to }) => to.address).sort()).toEqual(
      [cast.admin.email, cast.admin2.email].sort(),
    );
    expect(cast.service.mailer.sent[0]?.text).toContain(story.member.email);
    expect(cast.service.mailer.sent[0]?.text).toContain('451 Try later.');

    const trail = expectOk(await cast.viewer.get(about)).body;
    const actions = trail.auditTrail.filter(({ action }: { action: string }) => action === 'message_failed');
    expect(actions.map(({ details }: { details: unknown }) => details)).toEqual(
      [1, 2, 3, 4].map((attempt) => ({ template: 'bank-info-wanted', attempt })),
    );
    expect(trail.version).toBe(version);
    const entries = await cast.service.sql<{ action: string; success: boolean; error_message: string }[]>`
      SELECT action, success, error_message FROM user_audit_logs
       WHERE entity_type = 'notification' AND entity_id = ${failed.id} ORDER BY sequence`;
    expect([...entries]).toEqual(
      Array(4).fill({ action: 'failed', success: false, error_message: '451 Try later.' }),
    );

    cast.service.mailer.failWith = undefined;
    expect((await cast.finance.post(`/api/notifications/${failed.id}/resend`)).status).toBe(403);
    const resent = await cast.admin.post(`/api/notifications/${failed.id}/resend`);
    expect([resent.status, resent.body]).toEqual([
      200,
      expect.objectContaining({
        id: failed.id,
        status: 'queued',
        attempts: 0,
        lastError: null,
        sentAt: null,
      }),
    ]);
    const early = await cast.admin.post(`/api/notifications/${failed.id}/resend`);
    expect([early.status, early.body.error.code]).toEqual([422, 'NOT_RESENDABLE']);
    expect(await deliver()).toBe(1);
    expect(await row()).toMatchObject({ status: 'sent', attempts: 1, message_id: failed.message_id });
    expect(
      expectOk(await cast.viewer.get('/api/admin-alerts?category=dead_letter&open=true')).body.data,
    ).toEqual([]);
  });

  it('whose last worker died is a dead letter', async () => {
    const { services, sql, database, mailer } = cast.service;
    await stories.initiated();
    let letGo = () => {};
    mailer.heldUpBy = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const dying = services.mailDelivery.deliver();
    await expect.poll(() => mailer.heldUp, { timeout: 10_000 }).toBe(4);
    mailer.heldUpBy = undefined;
    await deliver();
    await sql`UPDATE payout_queue.job SET started_on = started_on - interval '181 seconds', retry_count = 3 WHERE state = 'active'`;
    await new MailQueueKeeper(database, silentLogger, { limit: 3, delaySeconds: 300 }).maintain();
    await deliver();
    const alerts = expectOk(await cast.viewer.get('/api/admin-alerts?category=dead_letter&open=true')).body
      .data;
    const failed = await sql<{ id: string; last_error: string }[]>`
      SELECT id, last_error FROM notifications WHERE status = 'failed' AND last_error LIKE 'The service stopped%'`;
    expect(failed).toHaveLength(4);
    for (const { id } of failed) expect(JSON.stringify(alerts)).toContain(id);
    letGo();
    await dying; // and was not dead: it says late that they have gone out
    expect(
      await sql`SELECT 1 FROM notifications WHERE status = 'failed' AND last_error LIKE 'The service stopped%'`,
    ).toHaveLength(0);
    const left = expectOk(await cast.viewer.get('/api/admin-alerts?category=dead_letter&open=true')).body
      .data;
    for (const { id } of failed) expect(JSON.stringify(left)).not.toContain(id);
  });

  it('that will never be taken fails at once', async () => {
    const { payoutId } = await stories.initiated();
    cast.service.mailer.failWith = ({ to }) =>
      to.address === cast.finance.email ? new MailRefused('550 No such mailbox.', true) : undefined;
    await deliver();
    await deliver(); // what the first tells the admins
    const row = (await rowsOf(payoutId)).find(({ user_id }) => user_id === cast.finance.userId);
    expect(row).toMatchObject({ status: 'failed', attempts: 1, last_error: '550 No such mailbox.' });
    const others = (await rowsOf(payoutId)).filter(({ user_id }) => user_id !== cast.finance.userId);
    expect(new Set(others.map(({ status }) => status))).toEqual(new Set(['sent']));
  });

  it('about an undelivered message that cannot be delivered itself brings no more of them', async () => {
    await stories.initiated();
    cast.service.mailer.failWith = () => new MailRefused('550 No.', true);
    await deliver();
    await deliver();
    const [count] = await cast.service.sql<{ count: number }[]>`
      SELECT count(*)::integer AS count FROM notifications WHERE template = 'dead-letter' AND status = 'failed'`;
    expect(count?.count).toBe(10); // two admins, for each of five messages
    expect(await deliver()).toBe(0);
  });

  it('that arrived is sent again under another id, so that it is not taken for a copy', async () => {
    const { payoutId } = await stories.initiated();
    await deliver();
    const [row] = await rowsOf(payoutId);
    const answer = await cast.admin.post(`/api/notifications/${row!.id}/resend`);
    expect(answer.body).toMatchObject({ status: 'queued', sentAt: null });
    await deliver();
    const ids = cast.service.mailer.sent.filter(({ messageId }) => messageId.startsWith(row!.id));
    expect(new Set(ids.map(({ messageId }) => messageId)).size).toBe(2);
    const entries = await cast.service.sql<{ action: string; actor: string }[]>`
      SELECT action, actor FROM user_audit_logs WHERE entity_id = ${row!.id} ORDER BY sequence`;
    expect([...entries]).toEqual([
      { action: 'sent', actor: 'system:notification-service' },
      { action: 'requeued', actor: `staff:${cast.admin.adminId}` },
      { action: 'sent', actor: 'system:notification-service' },
    ]);
  });

  it('is noted in the payout’s trail without making it another version', async () => {
    const { payoutId } = await stories.initiated();
    const before = expectOk(await cast.viewer.get(`/api/payouts/${payoutId}`)).body;
    await deliver();
    const after = expectOk(await cast.viewer.get(`/api/payouts/${payoutId}`)).body;
    expect([after.version, after.updatedAt]).toEqual([before.version, before.updatedAt]);
    const noted = after.auditTrail.slice(before.auditTrail.length);
    expect(noted).toHaveLength(5);
    expect(new Set(noted.map(({ action }: { action: string }) => action))).toEqual(new Set(['message_sent']));
    expectOk(await cast.admin2.post(`/api/payouts/${payoutId}/approve`, { version: before.version }));
  });

  it('never holds more than the last four digits of a number', async () => {
    await stories.completed();
    await deliver();
    expect(cast.service.mailer.sent.length).toBeGreaterThan(5);
    for (const mail of cast.service.mailer.sent)
      expect(JSON.stringify(mail)).not.toMatch(/123456789|021000021|123-45/);
  });
});

describe('the list of messages', () => {
  beforeEach(settle);

  it('is for staff, by status and payout, page by page', async () => {
    const story = await stories.initiated();
    const path = `/api/notifications?payoutId=${story.payoutId}`;
    const { data } = expectOk(await cast.viewer.get(path)).body;
    expect(data.map(({ template }: { template: string }) => template).sort()).toEqual([
      'approval-wanted',
      'approval-wanted',
      'approval-wanted',
      'payouts-created',
      'payouts-created',
    ]);
    expect(expectOk(await cast.viewer.get(`${path}&status=sent`)).body.data).toEqual([]);
    const first = expectOk(await cast.viewer.get(`${path}&limit=3`)).body;
    const second = expectOk(await cast.viewer.get(`${path}&limit=3&cursor=${first.nextCursor}`)).body;
    expect([...first.data, ...second.data]).toEqual(data);
    expect(second.nextCursor).toBeNull();
    expect((await story.member.get(path)).status).toBe(403);
    expect((await cast.viewer.get('/api/notifications?status=lost')).status).toBe(400);
  });

  it('refuses cursors that it never gave', async () => {
    const forged = [['2026-11-20T12:00:00.000Z', 'x'], ['x', 'y'], [1], {}].map((key) =>
      Buffer.from(JSON.stringify(key)).toString('base64url'),
    );
    for (const cursor of forged) {
      const answer = await cast.viewer.get(`/api/notifications?cursor=${cursor}`);
      expect([cursor, answer.status]).toEqual([cursor, 400]);
    }
  });

  it('has no message of an unknown id to send again', async () => {
    const id = '00000000-0000-4000-8000-000000000000';
    expect((await cast.admin.post(`/api/notifications/${id}/resend`)).status).toBe(404);
    expect((await cast.admin.post('/api/notifications/1/resend')).status).toBe(400);
  });
});

describe('the link in a message', () => {
  let story: Story;
  let token: string;
  beforeAll(async () => {
    await settle();
    story = await stories.approved();
    await deliver();
    const mail = cast.service.mailer.sent.find(
      ({ to, text }) => to.address === story.member.email && text.includes('bank'),
    );
    token = tokenIn(mail?.text ?? '');
  });
  const verify = (who: Caller, given: string) => who.post('/api/links/verify', { token: given });

  it('says what it was for to the person to whom it was sent', async () => {
    const answer = await verify(story.member, token);
    expect([answer.status, answer.body]).toEqual([
      200,
      { purpose: expect.any(String), payoutId: story.payoutId },
    ]);
    const purposes = await Promise.all(
      cast.service.mailer.sent
        .filter(({ to }) => to.address === story.member.email)
        .map(async ({ text }) => (await verify(story.member, tokenIn(text))).body.purpose),
    );
    expect(purposes.sort()).toEqual(['bank-info', 'payout']);
  });

  it('says nothing to anybody else, and to nobody who has not signed in', async () => {
    const other = await cast.service.newMember();
    for (const who of [other, cast.admin]) {
      const answer = await verify(who, token);
      expect([answer.status, answer.body.error.code]).toEqual([422, 'LINK_INVALID']);
      expect(JSON.stringify(answer.body)).not.toContain(story.payoutId);
    }
    expect((await verify(cast.service.stranger, token)).status).toBe(401);
  });

  it('gives no rights of its own, and machine tokens are no links', async () => {
    const asBearer = await new Caller(cast.service.url, { token }).get('/api/payouts');
    expect(asBearer.status).toBe(401);
    const secret = new TextEncoder().encode('jwt-secret-for-tests-0123456789abcdef');
    const sign = (audience: string, key: Uint8Array) =>
      new SignJWT({ purpose: 'payout', scope: 'membership:reactivate' })
        .setProtectedHeader({ alg: 'HS256' })
        .setSubject(story.member.userId)
        .setAudience(audience)
        .setIssuedAt()
        .sign(key);
    const forged = [
      await sign('payout-service', secret),
      await sign('payout-link', new TextEncoder().encode('another-secret-0123456789abcdefghijkl')),
      `${token.slice(0, -4)}AAAA`,
      'no-token',
    ];
    for (const wrong of forged) {
      const answer = await verify(story.member, wrong);
      expect([answer.status, answer.body.error.code]).toEqual([422, 'LINK_INVALID']);
    }
    expect((await verify(story.member, '')).status).toBe(400);
  });

  it('leads staff to the dashboard, by a token that is good for the one of them who got it', async () => {
    const mail = cast.service.mailer.sent.find(({ to }) => to.address === cast.finance2.email);
    expect(mail?.text).toContain(`http://localhost:3000/admin/payouts?payout=${story.payoutId}&token=`);
    const theirs = tokenIn(mail?.text ?? '');
    expect((await verify(cast.finance2, theirs)).body).toEqual({
      purpose: 'approval',
      payoutId: story.payoutId,
    });
    for (const who of [cast.finance, story.member]) expect((await verify(who, theirs)).status).toBe(422);
  });

  it('is good for as long as JWT_EXPIRY says', async () => {
    cast.service.time.advanceDays(6.9);
    expect((await verify(story.member, token)).status).toBe(200);
    cast.service.time.advanceDays(0.2);
    const late = await verify(story.member, token);
    expect([late.status, late.body.error.code]).toEqual([422, 'LINK_INVALID']);
    expect(late.body.error.message).toContain('too old');
  });
});
