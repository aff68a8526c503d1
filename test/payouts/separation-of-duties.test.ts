import { randomUUID } from 'node:crypto';
import type { Sql } from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Answer, Caller } from '../support/caller.ts';
import { expectOk, startCast, Stories, type Cast, type Story } from '../support/stories.ts';

let cast: Cast;
let stories: Stories;
beforeAll(async () => {
  cast = await startCast({ funded: 100 });
  stories = new Stories(cast);
});
afterAll(() => cast.service.stop());

const at = ({ payoutId }: Story, action: string) => `/api/payouts/${payoutId}/${action}`;
const read = async ({ payoutId }: Story) => expectOk(await cast.viewer.get(`/api/payouts/${payoutId}`)).body;
const dates = () => ({ sentDate: stories.today, expectedArrivalDate: stories.today });

/** Refused with the rule and with who could act instead. */
function expectBarred(answer: Answer, rule: RegExp, instead: RegExp): void {
  expect([answer.status, answer.body.error?.code]).toEqual([403, 'SEPARATION_OF_DUTIES']);
  expect(answer.body.error.message).toMatch(rule);
  expect(answer.body.error.message).toMatch(instead);
}

const STAFF_INSTEAD = /Another admin or finance_manager can\./;

describe('whoever initiated a payout', () => {
  it('never approves it', async () => {
    const story = await stories.initiated();
    expectBarred(
      await cast.admin.post(at(story, 'approve')),
      /whoever initiated a payout never approves it/,
      STAFF_INSTEAD,
    );
    expect((await read(story)).approvalWorkflow).toEqual([]);
  });

  it('may reject it', async () => {
    const story = await stories.initiated();
    const answer = expectOk(await cast.admin.post(at(story, 'reject'), { reason: 'My mistake.' }));
    expect(answer.body.status).toBe('rejected');
  });
});

describe('the same person', () => {
  it('never approves twice in a round', async () => {
    const story = await stories.initiated();
    expectOk(await cast.admin2.post(at(story, 'approve')));
    expectBarred(
      await cast.admin2.post(at(story, 'approve')),
      /the same person never decides twice/,
      STAFF_INSTEAD,
    );
    expect(await read(story)).toMatchObject({ status: 'pending_approval' });
  });

  it('never rejects after approving in the same round', async () => {
    const story = await stories.initiated();
    expectOk(await cast.admin2.post(at(story, 'approve')));
    expectBarred(
      await cast.admin2.post(at(story, 'reject'), { reason: 'After all, no.' }),
      /the same person never decides twice/,
      STAFF_INSTEAD,
    );
    expect(await read(story)).toMatchObject({ status: 'pending_approval' });
  });
});

describe('whoever generated instructions', () => {
  it('never marks them sent; another does', async () => {
    const story = await stories.ready();
    expectBarred(
      await cast.finance.post(at(story, 'mark-sent'), dates()),
      /whoever generated them never marks them sent/,
      STAFF_INSTEAD,
    );
    expect((await read(story)).status).toBe('ready_for_payment');
    expectOk(await cast.finance2.post(at(story, 'mark-sent'), dates()));
  });
});

describe('whoever recorded a failure', () => {
  const failedBy = async (person: Caller) => {
    const story = await stories.sent();
    expectOk(await person.post(at(story, 'fail'), { reason: 'Came back.', returnCode: 'R01' }));
    return story;
  };

  it('does not generate the next instructions', async () => {
    const story = await failedBy(cast.finance);
    expectBarred(
      await cast.finance.post(at(story, 'generate-instructions')),
      /recorded the failure: whoever did neither generates nor sends/,
      STAFF_INSTEAD,
    );
    expect((await read(story)).status).toBe('payment_failed');
    expectOk(await cast.admin2.post(at(story, 'generate-instructions')));
  });

  it('does not send the next payment, even after instructions in between were void', async () => {
    const story = await failedBy(cast.finance);
    expectOk(await cast.admin2.post(at(story, 'generate-instructions')));
    expectBarred(
      await cast.finance.post(at(story, 'mark-sent'), dates()),
      /recorded the failure: whoever did neither generates nor sends/,
      STAFF_INSTEAD,
    );
    expectOk(await cast.admin2.post(at(story, 'hold'), { reason: 'Wait.' }));
    expectOk(await cast.admin2.post(at(story, 'resume'), { note: 'Go on.' }));
    expectBarred(
      await cast.finance.post(at(story, 'generate-instructions')),
      /recorded the failure/,
      STAFF_INSTEAD,
    );
    expectOk(await cast.admin2.post(at(story, 'generate-instructions')));
    expectBarred(
      await cast.finance.post(at(story, 'mark-sent'), dates()),
      /recorded the failure/,
      STAFF_INSTEAD,
    );
    expectOk(await cast.finance2.post(at(story, 'mark-sent'), dates()));
  });
});

describe('whoever is the payee and staff too', () => {
  const makeStaff = (member: Caller, role = 'admin') =>
    cast.service.sql`INSERT INTO admin_users (user_id, role) VALUES (${member.userId}, ${role})`;
  const PAYEE = /Nobody acts on a payout of which they are the payee\./;

  it.each([
    ['approve', 'initiated', {}, STAFF_INSTEAD],
    ['reject', 'initiated', { reason: 'Me.' }, STAFF_INSTEAD],
    ['hold', 'initiated', { reason: 'Me.' }, STAFF_INSTEAD],
    ['cancel', 'initiated', { reason: 'Me.' }, /Another admin can\./],
    ['notes', 'initiated', { note: 'Me.' }, STAFF_INSTEAD],
    ['generate-instructions', 'payable', {}, STAFF_INSTEAD],
    ['mark-sent', 'ready', { sentDate: '2026-11-20', expectedArrivalDate: '2026-11-20' }, STAFF_INSTEAD],
    ['fail', 'ready', { reason: 'Me.' }, STAFF_INSTEAD],
    ['confirm', 'sent', { completedDate: '2026-11-20' }, STAFF_INSTEAD],
  ] as const)('does not %s', async (action, stage, body, instead) => {
    const story = await stories[stage]();
    await makeStaff(story.member);
    const before = await read(story);
    expectBarred(await story.member.post(at(story, action), body), PAYEE, instead);
    expect(await read(story)).toEqual(before);
    const own = expectOk(await story.member.get(`/api/payouts/${story.payoutId}`)).body.allowedActions;
    expect(own.find((entry: { action: string }) => entry.action === action)).toMatchObject({
      allowed: false,
      reason: expect.stringMatching(PAYEE),
    });
  });

  it('does not resume', async () => {
    const story = await stories.initiated();
    expectOk(await cast.finance.post(at(story, 'hold'), { reason: 'Wait.' }));
    await makeStaff(story.member);
    expectBarred(await story.member.post(at(story, 'resume'), { note: 'Me.' }), PAYEE, STAFF_INSTEAD);
  });

  it('neither downloads the instructions nor has the account number shown', async () => {
    const story = await stories.ready();
    await makeStaff(story.member, 'finance_manager');
    expectBarred(await story.member.get(at(story, 'instructions')), PAYEE, STAFF_INSTEAD);
    expectBarred(
      await story.member.post(at(story, 'bank-info/reveal'), { reason: 'Me.' }),
      PAYEE,
      /Another finance_manager can\./,
    );
  });

  it('does not initiate a payout to themselves, however their id is written', async () => {
    const member = await cast.service.newMember();
    await makeStaff(member);
    for (const userId of [member.userId, member.userId.toUpperCase()]) {
      expectBarred(
        await member.post('/api/payouts/initiate', { userIds: [userId], overrideReason: 'Me.' }),
        /Nobody initiates a payout to themselves\./,
        /Another admin can\./,
      );
    }
  });

  it('reviews no W-9 of their own', async () => {
    const story = await stories.withBank();
    const { member, name } = story;
    const { formId } = expectOk(
      await member.post(`/api/members/${member.userId}/tax-info`, stories.w9(name)),
    ).body;
    await makeStaff(member, 'finance_manager');
    for (const [verb, body] of [
      ['approve', {}],
      ['reject', { reason: 'Me.' }],
    ] as const) {
      expectBarred(
        await member.post(`/api/tax-forms/${formId}/${verb}`, body),
        /Nobody reviews their own W-9/,
        STAFF_INSTEAD,
      );
    }
  });

  it('still gives their own bank details and W-9', async () => {
    const story = await stories.approved();
    const { member, name } = story;
    await makeStaff(member, 'viewer');
    const bank = await member.post(`/api/members/${member.userId}/bank-info`, stories.bankInfo(name));
    expect([bank.status, bank.body.status]).toEqual([200, 'pending_tax_info']);
    const w9 = await member.post(`/api/members/${member.userId}/tax-info`, stories.w9(name));
    expect(w9.status).toBe(201);
  });
});

describe('a member’s own data', () => {
  it('is submitted by the member alone, not by staff of any role', async () => {
    const story = await stories.approved();
    const { member, name } = story;
    for (const person of [cast.admin, cast.finance, cast.viewer]) {
      for (const [route, body] of [
        ['bank-info', stories.bankInfo(name)],
        ['tax-info', stories.w9(name)],
      ] as const) {
        expectBarred(
          await person.post(`/api/members/${member.userId}/${route}`, body),
          /Nobody but the member submits that member’s data/,
          /The member can/,
        );
      }
    }
    expect(await read(story)).toMatchObject({ status: 'pending_bank_info', bankDetails: null });
  });

  it('is not submitted by another member either', async () => {
    const { member, name } = await stories.approved();
    const other = await cast.service.newMember();
    const answer = await other.post(`/api/members/${member.userId}/bank-info`, stories.bankInfo(name));
    expect([answer.status, answer.body.error.code]).toEqual([403, 'FORBIDDEN']);
  });
});

it('keeps every refusal in the audit log', async () => {
  const story = await stories.initiated();
  await cast.admin.post(at(story, 'approve'));
  const rows = await cast.service.sql`SELECT admin_id, success, error_message FROM user_audit_logs
    WHERE entity_id = ${story.payoutId} AND NOT success`;
  expect(rows).toMatchObject([{ admin_id: cast.admin.adminId }]);
  expect(rows[0]?.['error_message']).toMatch(/never approves/);
});

describe('plain SQL as the service’s own role', () => {
  /** What the database says to a statement: the constraint or rule that refuses it, `denied`, or `done`. */
  async function attempt(
    statements: (sql: Sql) => Promise<unknown>,
    role = 'payout_service',
  ): Promise<string> {
    const rollback = new Error('rolled back');
    try {
      await cast.service.sql.begin(async (tx) => {
        await tx.unsafe(`SET LOCAL ROLE ${role}`);
        await statements(tx as unknown as Sql);
        throw rollback;
      });
    } catch (error) {
      if (error === rollback) return 'done';
      const {
        code,
        constraint_name: constraint,
        message,
      } = error as {
        code: string;
        constraint_name?: string;
        message: string;
      };
      if (code === '42501') return 'denied';
      return constraint ?? `${code} ${message}`;
    }
    throw new Error('The transaction was committed.');
  }

  const decide = (sql: Sql, { payoutId }: Story, adminId: number, decision = 'approved', round = 1) =>
    sql`INSERT INTO payout_approvals (payout_id, round, admin_id, decision, reason, decided_at, approved_hash)
        VALUES (${payoutId}, ${round}, ${adminId}, ${decision}, 'SQL', now(), 'none')`;
  const moveTo = (sql: Sql, { payoutId }: Story, status: string) =>
    sql`UPDATE payout_management SET status = ${status}, version = version + 1 WHERE payout_id = ${payoutId}`;

  describe('decides', () => {
    let story: Story;
    beforeAll(async () => {
      story = await stories.initiated();
    });

    it('for two people, so that what follows is refused for its own reason', async () => {
      expect(
        await attempt(async (sql) => {
          await decide(sql, story, cast.admin2.adminId);
          await decide(sql, story, cast.finance.adminId);
        }),
      ).toBe('done');
    });

    it('not for a third', async () => {
      expect(
        await attempt(async (sql) => {
          await decide(sql, story, cast.admin2.adminId);
          await decide(sql, story, cast.finance.adminId);
          await decide(sql, story, cast.finance2.adminId);
        }),
      ).toBe('approvals_complete');
    });

    it.each(['approved', 'rejected'])('not %s by the same person again', async (decision) => {
      expect(
        await attempt(async (sql) => {
          await decide(sql, story, cast.admin2.adminId);
          await decide(sql, story, cast.admin2.adminId, decision);
        }),
      ).toBe('payout_approvals_one_decision_per_person');
    });

    it('not for the initiator', async () => {
      expect(await attempt((sql) => decide(sql, story, cast.admin.adminId))).toBe('initiator_never_approves');
    });

    it('not for the payee', async () => {
      const own = await stories.initiated();
      const [staff] = await cast.service.sql<{ id: number }[]>`
        INSERT INTO admin_users (user_id, role) VALUES (${own.member.userId}, 'admin') RETURNING id`;
      for (const decision of ['approved', 'rejected'])
        expect(await attempt((sql) => decide(sql, own, staff?.id ?? 0, decision))).toBe('payee_never_acts');
    });

    it('not in another round, nor on a payout that is past it', async () => {
      expect(await attempt((sql) => decide(sql, story, cast.admin2.adminId, 'approved', 2))).toBe(
        'approval_not_pending',
      );
      const past = await stories.approved();
      expect(await attempt((sql) => decide(sql, past, cast.finance2.adminId))).toBe('approval_not_pending');
    });

    it('once and for all', async () => {
      const decided = await stories.approved();
      const update = (sql: Sql) =>
        sql`UPDATE payout_approvals SET reason = 'other' WHERE payout_id = ${decided.payoutId}`;
      const remove = (sql: Sql) => sql`DELETE FROM payout_approvals WHERE payout_id = ${decided.payoutId}`;
      const truncate = (sql: Sql) => sql`TRUNCATE payout_approvals`;
      for (const statement of [update, remove, truncate]) expect(await attempt(statement)).toBe('denied');
      // Whoever owns the tables is refused too.
      expect(await attempt(update, 'none')).toBe('approval_immutable');
      expect(await attempt(remove, 'none')).toBe('approval_immutable');
      expect(await attempt(truncate, 'none')).toBe('audit_append_only');
    });
  });

  describe('moves a payout', () => {
    it('not to approved without its approvals', async () => {
      const story = await stories.initiated();
      expect(await attempt((sql) => moveTo(sql, story, 'approved'))).toBe('approvals_missing');
      expect(
        await attempt(async (sql) => {
          await decide(sql, story, cast.admin2.adminId);
          await moveTo(sql, story, 'approved');
        }),
      ).toBe('approvals_missing');
    });

    it.each([
      'pending_bank_info',
      'pending_tax_info',
      'ready_for_payment',
      'payment_sent',
      'completed',
      'payment_failed',
    ])('not from pending_approval to %s', async (status) => {
      const story = await stories.initiated();
      expect(await attempt((sql) => moveTo(sql, story, status))).toBe('payout_move');
    });

    it('not without instructions, nor with a sending that has none', async () => {
      const story = await stories.payable();
      expect(await attempt((sql) => moveTo(sql, story, 'ready_for_payment'))).toBe('attempt_missing');
      const ready = await stories.ready();
      expect(await attempt((sql) => moveTo(sql, ready, 'payment_sent'))).toBe('attempt_missing');
      expect(await attempt((sql) => moveTo(sql, ready, 'completed'))).toBe('payout_move');
    });

    it('not out of its end', async () => {
      const story = await stories.initiated();
      expectOk(await cast.admin.post(at(story, 'cancel'), { reason: 'No.' }));
      expect(await attempt((sql) => moveTo(sql, story, 'pending_approval'))).toBe('payout_move');
    });

    it('not past its approval by way of manual review', async () => {
      const story = await stories.initiated();
      expectOk(await cast.finance.post(at(story, 'hold'), { reason: 'Wait.' }));
      const resume = (sql: Sql) => sql`UPDATE payout_management
        SET status = 'approved', held_from = NULL, version = version + 1 WHERE payout_id = ${story.payoutId}`;
      expect(await attempt(resume)).toBe('resume_where_held');
    });

    it('not without counting its version up', async () => {
      const story = await stories.initiated();
      const silent = (sql: Sql) =>
        sql`UPDATE payout_management SET internal_notes = '[1]' WHERE payout_id = ${story.payoutId}`;
      expect(await attempt(silent)).toBe('payout_version');
    });
  });

  describe('keeps a payout', () => {
    let story: Story;
    beforeAll(async () => {
      story = await stories.initiated();
    });

    it.each([
      ['user_id', () => `'${cast.admin.userId}'`],
      ['amount', () => 'amount + 1'],
      ['retention_fee', () => '0'],
      ['currency', () => `'EUR'`],
      ['initiated_by', () => String(cast.admin2.adminId)],
      ['funding_tranche', () => 'funding_tranche + 50'],
      ['tenure_number', () => 'tenure_number + 1'],
      ['required_approvals', () => '1'],
      ['queue_position', () => '1000'],
      ['eligibility_check', () => `'{}'`],
      ['created_at', () => `created_at - interval '1 day'`],
      ['payout_id', () => `'PO-2026-AAAAAAAA'`],
    ])('with the %s of its initiation', async (column, value) => {
      expect(
        await attempt((sql) =>
          sql.unsafe(
            `UPDATE payout_management SET ${column} = ${value()}, version = version + 1 WHERE payout_id = $1`,
            [story.payoutId],
          ),
        ),
      ).toBe('payout_frozen');
    });

    it('with amounts that add up and are paid', async () => {
      const set = (net: string, withheld: string) => (sql: Sql) => sql`UPDATE payout_management
        SET net_amount = ${net}, withheld_amount = ${withheld}, version = version + 1
        WHERE payout_id = ${story.payoutId}`;
      expect(await attempt(set('75700.00', '24000.00'))).toBe('done');
      expect(await attempt(set('99700.01', '0.00'))).toBe('payout_management_amounts_add_up');
      expect(await attempt(set('99700.00', '24000.00'))).toBe('payout_management_amounts_add_up');
      expect(await attempt(set('100700.00', '-1000.00'))).toBe('payout_management_amounts_positive');
    });

    it('for ever', async () => {
      const remove = (sql: Sql) => sql`DELETE FROM payout_management WHERE payout_id = ${story.payoutId}`;
      expect(await attempt(remove)).toBe('denied');
      expect(await attempt(remove, 'none')).toBe('payout_kept');
      expect(await attempt((sql) => sql`TRUNCATE payout_management CASCADE`)).toBe('denied');
    });

    /** A payout as the selector would insert it, with one thing changed. */
    let other: Caller;
    beforeAll(async () => {
      other = await cast.service.newMember();
    });
    const copied = (changes: Record<string, unknown>) => (sql: Sql) =>
      sql`INSERT INTO payout_management SELECT (jsonb_populate_record(p, ${sql.json({
        id: randomUUID(),
        payout_id: 'PO-2026-AAAAAAAA',
        funding_tranche: 9999,
        user_id: other.userId,
        ...changes,
      } as never)})).* FROM payout_management p WHERE payout_id = ${story.payoutId}`;

    it('that starts as one: waiting for approval, with two approvals needed, of nobody who initiates it', async () => {
      expect(await attempt(copied({}))).toBe('done');
      expect(await attempt(copied({ status: 'approved' }))).toBe('payout_starts_pending');
      expect(await attempt(copied({ required_approvals: 1 }))).toBe('payout_management_two_approvals');
      expect(await attempt(copied({ user_id: cast.admin.userId }))).toBe('payee_never_acts');
    });

    it('alone on its tranche and in its tenure', async () => {
      const [row] = await cast.service.sql`SELECT funding_tranche, user_id FROM payout_management
        WHERE payout_id = ${story.payoutId}`;
      expect(await attempt(copied({ funding_tranche: row?.['funding_tranche'] }))).toBe(
        'payout_management_one_payout_per_tranche',
      );
      expect(await attempt(copied({ user_id: row?.['user_id'] }))).toBe(
        'payout_management_one_win_per_tenure',
      );
    });
  });

  describe('keeps a payment attempt', () => {
    const send = (sql: Sql, { payoutId }: Story, adminId: number) => sql`UPDATE payment_attempts
      SET status = 'sent', sent_by = ${adminId}, sent_at = now(), sent_date = '2026-11-20'
      WHERE payout_id = ${payoutId} AND status = 'ready'`;
    /** The next attempt, as the freezer would insert it. */
    const next = (sql: Sql, { payoutId }: Story, adminId: number) => sql`
      INSERT INTO payment_attempts (payout_id, number, status, payment_method, net_amount, withheld_amount,
        instructions_hash, payee_name, bank_details_version, bank_fingerprint, w9_form_id, generated_by, generated_at)
      SELECT payout_id, number + 1, 'ready', 'ach', 99700, 0, 'hash', 'Somebody', bank_details_version, bank_fingerprint,
             w9_form_id, ${adminId}, now()
        FROM payment_attempts WHERE payout_id = ${payoutId} ORDER BY number DESC LIMIT 1`;

    it('from being sent by its generator or its payee', async () => {
      const story = await stories.ready();
      expect(await attempt((sql) => send(sql, story, cast.finance2.adminId))).toBe('done');
      expect(await attempt((sql) => send(sql, story, cast.finance.adminId))).toBe(
        'payment_attempts_generator_never_sends',
      );
      const [staff] = await cast.service.sql<{ id: number }[]>`
        INSERT INTO admin_users (user_id, role) VALUES (${story.member.userId}, 'admin') RETURNING id`;
      expect(await attempt((sql) => send(sql, story, staff?.id ?? 0))).toBe('payee_never_acts');
    });

    it('from being made or sent by whoever recorded the failure before', async () => {
      const story = await stories.sent();
      expectOk(await cast.finance.post(at(story, 'fail'), { reason: 'Back.', returnCode: 'R01' }));
      expect(await attempt((sql) => next(sql, story, cast.finance.adminId))).toBe(
        'payment_attempts_failure_recorder_never_generates',
      );
      expect(
        await attempt(async (sql) => {
          await next(sql, story, cast.admin2.adminId);
          await send(sql, story, cast.finance.adminId);
        }),
      ).toBe('payment_attempts_failure_recorder_never_sends');
    });

    it('alone while it is live', async () => {
      const story = await stories.ready();
      expect(await attempt((sql) => next(sql, story, cast.admin2.adminId))).toBe('attempt_not_due');
    });

    it('as it was frozen, and for ever', async () => {
      const story = await stories.ready();
      const change = (sql: Sql) =>
        sql`UPDATE payment_attempts SET net_amount = 1 WHERE payout_id = ${story.payoutId}`;
      expect(await attempt(change)).toBe('attempt_frozen');
      const remove = (sql: Sql) => sql`DELETE FROM payment_attempts WHERE payout_id = ${story.payoutId}`;
      expect(await attempt(remove)).toBe('denied');
      expect(await attempt(remove, 'none')).toBe('attempt_kept');
    });

    it('from failing without evidence once it was sent', async () => {
      const story = await stories.sent();
      const fail = (sql: Sql) => sql`UPDATE payment_attempts
        SET status = 'failed', failed_by = ${cast.admin.adminId} WHERE payout_id = ${story.payoutId}`;
      expect(await attempt(fail)).toBe('attempt_evidence');
    });
  });

  it('only adds to the audit log', async () => {
    const update = (sql: Sql) => sql`UPDATE user_audit_logs SET action = 'nothing'`;
    const remove = (sql: Sql) => sql`DELETE FROM user_audit_logs`;
    const truncate = (sql: Sql) => sql`TRUNCATE user_audit_logs`;
    for (const statement of [update, remove, truncate]) {
      expect(await attempt(statement)).toBe('denied');
      expect(await attempt(statement, 'none')).toBe('audit_append_only');
    }
  });

  it('makes nobody staff and changes no payment, identity check or table of moves', async () => {
    for (const statement of [
      `INSERT INTO admin_users (user_id, role) VALUES ('${cast.viewer.userId}', 'admin')`,
      `UPDATE admin_users SET role = 'admin'`,
      `UPDATE user_payments SET status = 'succeeded'`,
      `UPDATE kyc_verification SET status = 'verified'`,
      `INSERT INTO payout_moves VALUES ('pending_approval', 'payment_sent')`,
      `ALTER TABLE payout_management DISABLE TRIGGER payout_guard`,
      `DROP TRIGGER audit_guard ON user_audit_logs`,
    ]) {
      const outcome = await attempt((sql) => sql.unsafe(statement));
      expect([statement, outcome]).toEqual([statement, 'denied']);
    }
  });
});
