import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestService, type TestService } from '../support/test-service.ts';
import { Caller } from '../support/caller.ts';
import { startCast, Stories, type Cast } from '../support/stories.ts';

let cast: Cast;
let stories: Stories;
let second: TestService;
beforeAll(async () => {
  cast = await startCast();
  stories = new Stories(cast);
  second = await startTestService({ beside: cast.service });
});
afterAll(async () => {
  await second.stop();
  await cast.service.stop();
});

const keyed = (key: string) => ({ 'idempotency-key': key });
const bytes = async (caller: Caller, path: string, body: unknown, key: string) => {
  const answer = await caller.raw(
    'POST',
    path,
    { 'content-type': 'application/json', ...keyed(key) },
    JSON.stringify(body),
  );
  return {
    status: answer.status,
    text: JSON.stringify(answer.body),
    replayed: answer.headers.get('idempotency-replayed'),
  };
};
const payoutsOf = async (userId: string) =>
  (await cast.service.sql`SELECT 1 FROM payout_management WHERE user_id = ${userId}`).length;

describe('Idempotency-Key', () => {
  it('replays the first answer byte for byte and does nothing again', async () => {
    const member = await cast.service.newMember();
    const body = { userIds: [member.userId], overrideReason: 'Once.' };
    const first = await bytes(cast.admin, '/api/payouts/initiate', body, 'init-1');
    const again = await bytes(cast.admin, '/api/payouts/initiate', body, 'init-1');
    expect(first.status).toBe(201);
    expect(again).toEqual({ ...first, replayed: 'true' });
    expect(await payoutsOf(member.userId)).toBe(1);
  });

  it('refuses another body under the same key', async () => {
    const { payoutId } = await stories.initiated();
    expect(
      (await cast.finance.post(`/api/payouts/${payoutId}/notes`, { note: 'one' }, keyed('note-1'))).status,
    ).toBe(200);
    const other = await cast.finance.post(`/api/payouts/${payoutId}/notes`, { note: 'two' }, keyed('note-1'));
    expect([other.status, other.body.error.code]).toEqual([422, 'IDEMPOTENCY_KEY_REUSED']);
  });

  it('is the caller’s own, and the route’s', async () => {
    const [a, b] = [await stories.initiated(), await stories.initiated()];
    const note = { note: 'same words' };
    expect(
      (await cast.finance.post(`/api/payouts/${a.payoutId}/notes`, note, keyed('mine'))).body.payoutId,
    ).toBe(a.payoutId);
    const byAnother = await cast.admin.post(`/api/payouts/${a.payoutId}/notes`, note, keyed('mine'));
    expect([byAnother.headers.get('idempotency-replayed'), byAnother.body.internalNotes.length]).toEqual([
      null,
      2,
    ]);
    expect(
      (await cast.finance.post(`/api/payouts/${b.payoutId}/notes`, note, keyed('mine'))).body.payoutId,
    ).toBe(b.payoutId);
  });

  it('lets one of many at once through, over two instances', async () => {
    const { payoutId } = await stories.initiated();
    const beside = new Caller(second.url, { token: cast.finance.token });
    const callers = [cast.finance, beside];
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        callers[index % 2]!.post(`/api/payouts/${payoutId}/notes`, { note: 'raced' }, keyed('race-1')),
      ),
    );
    expect(answers.every(({ status }) => status === 200 || status === 409)).toBe(true);
    expect(
      answers.filter(({ status, headers }) => status === 200 && headers.get('idempotency-replayed') === null),
    ).toHaveLength(1);
    const { body } = await cast.viewer.get(`/api/payouts/${payoutId}`);
    expect(body.internalNotes).toHaveLength(1);
  });

  it('does not keep a refusal that changed nothing: the cause may go', async () => {
    const { payoutId, member, name } = await stories.approved();
    const path = `/api/payouts/${payoutId}/generate-instructions`;
    expect((await cast.finance.post(path, {}, keyed('gen-1'))).body.error.code).toBe('BANK_INFO_MISSING');
    await member.post(`/api/members/${member.userId}/bank-info`, stories.bankInfo(name));
    await stories.giveW9({ payoutId, member, name });
    expect((await cast.finance.post(path, {}, keyed('gen-1'))).status).toBe(200);
  });

  it('keeps a refusal that itself moved the payout', async () => {
    const { payoutId, member } = await stories.payable();
    await cast.service.sql`UPDATE kyc_verification SET status = 'expired' WHERE user_id = ${member.userId}`;
    const path = `/api/payouts/${payoutId}/generate-instructions`;
    const first = await bytes(cast.finance, path, {}, 'kyc-1');
    const again = await bytes(cast.finance, path, {}, 'kyc-1');
    expect(first.status).toBe(422);
    expect(first.text).toContain('KYC_NOT_VERIFIED');
    expect(again).toEqual({ ...first, replayed: 'true' });
    expect(await stories.statusOf(payoutId)).toBe('requires_manual_review');
  });

  it('is authorised again before a replay', async () => {
    const { payoutId } = await stories.initiated();
    const person = await cast.service.newStaff('finance_manager', 'demoted');
    const path = `/api/payouts/${payoutId}/notes`;
    expect((await person.post(path, { note: 'x' }, keyed('auth-1'))).status).toBe(200);
    await cast.service.sql`UPDATE admin_users SET role = 'viewer' WHERE id = ${person.adminId}`;
    expect((await person.post(path, { note: 'x' }, keyed('auth-1'))).status).toBe(403);
  });

  it('never stores an answer that reveals a number, nor a request', async () => {
    const { payoutId, member, name } = await stories.approved();
    await member.post(
      `/api/members/${member.userId}/bank-info`,
      stories.bankInfo(name, '55501234987'),
      keyed('bank-1'),
    );
    const path = `/api/payouts/${payoutId}/bank-info/reveal`;
    const revealed = await cast.finance.post(path, { reason: 'The bank asks.' }, keyed('reveal-1'));
    expect(revealed.body.accountNumber).toBe('55501234987');
    const rows = await cast.service.sql<{ row: string }[]>`
      SELECT k.key || ' ' || k.request_hmac || ' ' || convert_from(coalesce(k.body, ''), 'UTF8') AS row FROM idempotency_keys k`;
    const stored = rows.map(({ row }) => row).join('\n');
    expect(stored).toContain('bank-1');
    expect(stored).not.toContain('reveal-1');
    expect(stored).not.toContain('55501234987');
  });

  it('records a job’s run and replays it', async () => {
    const first = await bytes(cast.admin, '/api/jobs/delay-checks/run', {}, 'job-1');
    const again = await bytes(cast.admin, '/api/jobs/delay-checks/run', {}, 'job-1');
    expect(first.status).toBe(200);
    expect(again).toEqual({ ...first, replayed: 'true' });
  });

  it('keeps initiate, approve, mark-sent and confirm for ever, the rest two days', async () => {
    const { payoutId } = await stories.initiated();
    await cast.admin2.post(`/api/payouts/${payoutId}/approve`, {}, keyed('keep-1'));
    await cast.admin2.post(`/api/payouts/${payoutId}/notes`, { note: 'x' }, keyed('drop-1'));
    cast.service.time.advanceDays(1);
    const forgetOld = () => cast.service.services.idempotency.forgetOld();
    await forgetOld();
    const keys = async () =>
      (
        await cast.service.sql<
          { key: string }[]
        >`SELECT key FROM idempotency_keys WHERE key IN ('keep-1', 'drop-1') ORDER BY key`
      ).map(({ key }) => key);
    expect(await keys()).toEqual(['drop-1', 'keep-1']);
    cast.service.time.advanceDays(2);
    await forgetOld();
    expect(await keys()).toEqual(['keep-1']);
  });

  it('refuses a malformed key', async () => {
    const { payoutId } = await stories.initiated();
    const answer = await cast.admin.post(
      `/api/payouts/${payoutId}/notes`,
      { note: 'x' },
      keyed('k'.repeat(256)),
    );
    expect([answer.status, answer.body.error.code]).toEqual([400, 'VALIDATION_ERROR']);
  });
});
