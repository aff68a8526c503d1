import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Vault } from '../../src/crypto/envelope.ts';
import { createMasterKeys } from '../../src/crypto/master-keys.ts';
import { CERTIFICATION_TEXTS } from '../../src/tax/w9-rules.ts';
import type { Caller } from '../support/caller.ts';
import { expectOk, startCast, Stories, type Cast, type Story } from '../support/stories.ts';

/** Not part of any other number in the tests. */
const TIN = '456-78-9123';
const TIN_DIGITS = '456789123';

let cast: Cast;
let stories: Stories;
beforeAll(async () => {
  cast = await startCast();
  stories = new Stories(cast);
});
afterAll(() => cast.service.stop());

const taxInfo = (member: Caller) => `/api/members/${member.userId}/tax-info`;

async function submitted(story: Story, changes: Record<string, unknown> = {}): Promise<string> {
  const answer = expectOk(
    await story.member.post(taxInfo(story.member), stories.w9(story.name, { tin: TIN, ...changes })),
  );
  return answer.body.formId;
}

const formOf = async (formId: string) => {
  const [row] = await cast.service.sql`SELECT * FROM tax_forms WHERE form_id = ${formId}`;
  return row;
};

const mailsTo = (userId: string, template: string) =>
  cast.service.sql<{ data: Record<string, string>; payout_id: string }[]>`
    SELECT data, payout_id FROM notifications WHERE user_id = ${userId} AND template = ${template}`;

const audited = (entityId: string, action: string) =>
  cast.service.sql`SELECT * FROM user_audit_logs WHERE entity_id = ${entityId} AND action = ${action}`;

describe('submitting a W-9', () => {
  it('keeps the form with everything that was certified', async () => {
    const story = await stories.withBank();
    const answer = await story.member.post(
      taxInfo(story.member),
      stories.w9(story.name, { tin: TIN, businessName: 'Hopper Works' }),
      { 'user-agent': 'a browser' },
    );
    expect(answer.status).toBe(201);
    expect(Object.keys(answer.body).sort()).toEqual(['formId', 'status']);
    expect(answer.body).toMatchObject({
      formId: expect.stringMatching(/^W9-2026-[0-9A-HJKMNP-TV-Z]{8}$/),
      status: 'submitted',
    });
    expect(await formOf(answer.body.formId)).toMatchObject({
      user_id: story.member.userId,
      form_type: 'W-9',
      tax_year: 2026,
      tin_last4: '9123',
      w9: {
        legalName: story.name,
        businessName: 'Hopper Works',
        taxClassification: 'individual',
        tinType: 'ssn',
        certification: {
          signedName: story.name,
          signedDate: '2026-11-20',
          notSubjectToBackupWithholding: true,
          ipAddress: '127.0.0.1',
          signedAt: '2026-11-20T12:00:00.000Z',
          textVersion: 'W-9 Rev. March 2024',
        },
      },
    });
    expect(await stories.statusOf(story.payoutId)).toBe('pending_tax_info');
  });

  it('seals the whole form as it was signed, with its TIN and the words of the certification', async () => {
    const story = await stories.withBank();
    const formId = await submitted(story);
    const row = await formOf(formId);
    const vault = new Vault(createMasterKeys({ keys: [Buffer.alloc(32, 7).toString('base64')] }));
    const signed = JSON.parse(
      await vault.open(
        { envelope: row?.['envelope'], keyId: row?.['key_id'] },
        { table: 'tax_forms', column: 'envelope', row: formId, version: 1 },
      ),
    );
    expect(signed).toEqual({
      ...row?.['w9'],
      tin: TIN_DIGITS,
      certificationText: CERTIFICATION_TEXTS['W-9 Rev. March 2024'],
    });
  });

  it('tells everybody who may review it, and not the member', async () => {
    const story = await stories.withBank();
    await submitted(story);
    const rows = await cast.service.sql<{ user_id: string }[]>`
      SELECT user_id FROM notifications WHERE template = 'w9-to-review' AND payout_id = ${story.payoutId}`;
    expect(rows.map((row) => row.user_id).sort()).toEqual(
      [cast.admin, cast.admin2, cast.finance, cast.finance2].map(({ userId }) => userId).sort(),
    );
  });

  it('is possible in any state once the payout is visible, and not before', async () => {
    const story = await stories.initiated();
    const early = await story.member.post(taxInfo(story.member), stories.w9(story.name));
    expect([early.status, early.body.error.code]).toEqual([404, 'NOT_FOUND']);
    const completed = await stories.completed();
    const late = await completed.member.post(taxInfo(completed.member), stories.w9(completed.name));
    expect(late.status).toBe(201);
  });

  it('is the member’s alone', async () => {
    const story = await stories.withBank();
    const other = await stories.withBank();
    const byOther = await other.member.post(taxInfo(story.member), stories.w9(story.name));
    expect([byOther.status, byOther.body.error.code]).toEqual([403, 'FORBIDDEN']);
    for (const staff of [cast.admin, cast.finance, cast.viewer]) {
      const answer = await staff.post(taxInfo(story.member), stories.w9(story.name));
      expect([answer.status, answer.body.error.code]).toEqual([403, 'SEPARATION_OF_DUTIES']);
    }
    const anonymous = await cast.service.stranger.post(taxInfo(story.member), stories.w9(story.name));
    expect(anonymous.status).toBe(401);
  });

  it('twice at once leaves one to review', async () => {
    const story = await stories.withBank();
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => story.member.post(taxInfo(story.member), stories.w9(story.name))),
    );
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 201, 201]);
    const rows = await cast.service.sql<{ status: string }[]>`
      SELECT status FROM tax_forms WHERE user_id = ${story.member.userId} ORDER BY status`;
    expect(rows.map(({ status }) => status)).toEqual([
      'submitted',
      'superseded',
      'superseded',
      'superseded',
      'superseded',
    ]);
  });
});

describe('the rules of the form', () => {
  let story: Story;
  beforeAll(async () => {
    story = await stories.withBank();
  });

  const certification = (changes: Record<string, unknown>) => ({
    certification: {
      signedName: 'Grace',
      signedDate: '2026-11-20',
      notSubjectToBackupWithholding: true,
      ...changes,
    },
  });
  const address = (changes: Record<string, unknown>) => ({
    address: { line1: '1 Main Street', city: 'Springfield', state: 'IL', postalCode: '62701', ...changes },
  });

  // Each with the source of the rule: the lines of Form W-9 (Rev. March 2024), its instructions, or SSA and IRS numbering.
  it.each<[string, Record<string, unknown>, string]>([
    ['line 1: a legal name', { legalName: ' ' }, 'body.legalName'],
    ['line 3a: one of seven classifications', { taxClassification: 'sole' }, 'body.taxClassification'],
    [
      'line 3a: an LLC says C, S or P',
      { taxClassification: 'llc', tinType: 'ein', tin: '12-3456789' },
      'body.llcClassification',
    ],
    ['line 3a: C, S or P is for an LLC only', { llcClassification: 'C' }, 'body.llcClassification'],
    ['line 4: individuals are not exempt', { exemptPayeeCode: '1' }, 'body.exemptPayeeCode'],
    ['line 4: exempt payee codes are 1 to 13', { exemptPayeeCode: '14' }, 'body.exemptPayeeCode'],
    ['line 4: FATCA codes are not for individuals', { fatcaExemptionCode: 'A' }, 'body.fatcaExemptionCode'],
    ['line 4: FATCA codes are A to M', { fatcaExemptionCode: 'N' }, 'body.fatcaExemptionCode'],
    ['line 5: a street', address({ line1: '' }), 'body.address.line1'],
    ['line 6: a state of two letters', address({ state: 'Illinois' }), 'body.address.state'],
    ['line 6: a ZIP code', address({ postalCode: '6270' }), 'body.address.postalCode'],
    ['part I: nine digits', { tin: '123-45-678' }, 'body.tin'],
    ['part I: SSA never gave area 000', { tin: '000-45-6789' }, 'body.tin'],
    ['part I: SSA never gave area 666', { tin: '666-45-6789' }, 'body.tin'],
    ['part I: SSA never gave areas from 900', { tin: '900-45-6789' }, 'body.tin'],
    ['part I: SSA never gave group 00', { tin: '123-00-6789' }, 'body.tin'],
    ['part I: SSA never gave serial 0000', { tin: '123-45-0000' }, 'body.tin'],
    ['part I: an ITIN begins with 9', { tinType: 'itin', tin: '123-70-6789' }, 'body.tin'],
    ['part I: the IRS has not given EIN prefix 07', { tinType: 'ein', tin: '07-1234567' }, 'body.tin'],
    ['part I: a corporation has an EIN', { taxClassification: 'c_corporation' }, 'body.tinType'],
    ['part II: a name', certification({ signedName: '' }), 'body.certification.signedName'],
    [
      'part II: a day of the calendar',
      certification({ signedDate: '2026-02-30' }),
      'body.certification.signedDate',
    ],
    [
      'part II: signed, not to come',
      certification({ signedDate: '2026-11-21' }),
      'body.certification.signedDate',
    ],
    [
      'part II: whether item 2 is crossed out',
      certification({ notSubjectToBackupWithholding: undefined }),
      'body.certification.notSubjectToBackupWithholding',
    ],
    ['nothing that the form does not have', { salary: 1 }, 'body.salary'],
  ])('%s', async (_rule, changes, path) => {
    const answer = await story.member.post(taxInfo(story.member), stories.w9(story.name, changes));
    expect([answer.status, answer.body.error.code]).toEqual([400, 'VALIDATION_ERROR']);
    expect(answer.body.error.details.issues.map((issue: { path: string }) => issue.path)).toContain(path);
    expect(JSON.stringify(answer.body)).not.toContain('6789');
  });

  it.each([
    ['an individual with an ITIN', { tinType: 'itin', tin: '912-70-3456' }],
    ['a sole proprietor with an EIN', { tinType: 'ein', tin: '12-3456789' }],
    ['a partnership', { taxClassification: 'partnership', tinType: 'ein', tin: '123456789' }],
    [
      'an LLC taxed as an S corporation, exempt',
      {
        taxClassification: 'llc',
        llcClassification: 'S',
        tinType: 'ein',
        tin: '12-3456789',
        exemptPayeeCode: '5',
      },
    ],
    [
      'a trust',
      { taxClassification: 'trust_estate', tinType: 'ein', tin: '12-3456789', fatcaExemptionCode: 'A' },
    ],
  ])('takes %s', async (_who, changes) => {
    const answer = await story.member.post(taxInfo(story.member), stories.w9(story.name, changes));
    expect(answer.status).toBe(201);
  });
});

describe('the list of tax forms', () => {
  it('is filtered by status, member and year, newest first and page by page', async () => {
    const story = await stories.withBank();
    const first = await submitted(story);
    cast.service.time.advanceDays(0.001);
    const second = await submitted(story);
    const path = `/api/tax-forms?userId=${story.member.userId}`;
    const ids = async (query: string) =>
      expectOk(await cast.viewer.get(`${path}${query}`)).body.data.map(
        (form: { formId: string }) => form.formId,
      );
    expect(await ids('')).toEqual([second, first]);
    expect(await ids('&status=submitted')).toEqual([second]);
    expect(await ids('&status=superseded&year=2026')).toEqual([first]);
    expect(await ids('&year=2025')).toEqual([]);
    const page = expectOk(await cast.viewer.get(`${path}&limit=1`)).body;
    expect(page.data).toHaveLength(1);
    const next = expectOk(await cast.viewer.get(`${path}&limit=1&cursor=${page.nextCursor}`)).body;
    expect([next.data[0].formId, next.nextCursor]).toEqual([first, null]);
    for (const query of ['&status=lost', '&year=26', '&colour=red', '&limit=201']) {
      expect((await cast.viewer.get(`${path}${query}`)).status).toBe(400);
    }
    expect((await story.member.get('/api/tax-forms')).status).toBe(403);
  });

  it('compares names for those who review, and for nobody else', async () => {
    const story = await stories.withBank();
    await submitted(story, { legalName: 'Somebody Else' });
    const path = `/api/tax-forms?userId=${story.member.userId}`;
    const [forReviewer] = expectOk(await cast.finance.get(path)).body.data;
    expect(forReviewer.w9.nameCheck).toEqual({
      kycName: story.name,
      w9Name: 'Somebody Else',
      accountHolderName: story.name,
      matches: false,
    });
    expect(forReviewer).toMatchObject({ tinMasked: 'XXX-XX-9123', formType: 'W-9', incomeDetails: null });
    const [forViewer] = expectOk(await cast.viewer.get(path)).body.data;
    expect(forViewer.w9.nameCheck).toBeUndefined();
  });
});

describe('the review', () => {
  it('that approves moves the payout on, and is recorded', async () => {
    const story = await stories.withBank();
    const formId = await submitted(story);
    for (const who of [cast.viewer, story.member]) {
      expect((await who.post(`/api/tax-forms/${formId}/approve`)).status).toBe(403);
    }
    const answer = await cast.admin.post(`/api/tax-forms/${formId}/approve`);
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({
      formId,
      status: 'approved',
      reviewedBy: cast.admin.adminId,
      reviewedAt: cast.service.time.now().toISOString(),
    });
    expect(await stories.statusOf(story.payoutId)).toBe('approved');
    const [entry] = await audited(formId, 'approved');
    expect(entry).toMatchObject({
      entity_type: 'tax_form',
      admin_id: cast.admin.adminId,
      old_values: { status: 'submitted' },
      new_values: { status: 'approved' },
    });
    const again = await cast.finance.post(`/api/tax-forms/${formId}/approve`);
    expect([again.status, again.body.error.code]).toEqual([409, 'INVALID_STATE']);
    const reject = await cast.finance.post(`/api/tax-forms/${formId}/reject`, { reason: 'Too late.' });
    expect([reject.status, reject.body.error.code]).toEqual([409, 'INVALID_STATE']);
  });

  it('that rejects wants a reason and tells it to the member, who may submit another', async () => {
    const story = await stories.withBank();
    const formId = await submitted(story);
    expect((await cast.finance.post(`/api/tax-forms/${formId}/reject`)).status).toBe(400);
    expect((await cast.finance.post(`/api/tax-forms/${formId}/reject`, { reason: ' ' })).status).toBe(400);
    const reason = 'The signature is somebody else’s.';
    const answer = await cast.finance.post(`/api/tax-forms/${formId}/reject`, { reason });
    expect(answer.body).toMatchObject({ status: 'rejected', reason, reviewedBy: cast.finance.adminId });
    expect(await stories.statusOf(story.payoutId)).toBe('pending_tax_info');
    expect([...(await mailsTo(story.member.userId, 'tax-form-rejected'))]).toEqual([
      { data: { reason }, payout_id: story.payoutId },
    ]);
    const next = await submitted(story);
    expectOk(await cast.finance.post(`/api/tax-forms/${next}/approve`));
    expect(await stories.statusOf(story.payoutId)).toBe('approved');
  });

  it('decides when a new W-9 takes the place of the old one', async () => {
    const story = await stories.withBank();
    const old = await stories.giveW9(story);
    const next = await submitted(story);
    expect(await formOf(old)).toMatchObject({ status: 'approved' });
    expect(await stories.statusOf(story.payoutId)).toBe('approved');
    expectOk(await cast.finance.post(`/api/tax-forms/${next}/reject`, { reason: 'Unreadable.' }));
    expect(await formOf(old)).toMatchObject({ status: 'approved' });
    const third = await submitted(story);
    expectOk(await cast.finance.post(`/api/tax-forms/${third}/approve`));
    expect(await formOf(old)).toMatchObject({ status: 'superseded' });
    expect(await formOf(third)).toMatchObject({ status: 'approved' });
  });

  it('that approves another W-9 voids instructions made under the old one', async () => {
    const story = await stories.ready();
    const next = await submitted(story);
    expect(await stories.statusOf(story.payoutId)).toBe('ready_for_payment');
    expectOk(await cast.finance.post(`/api/tax-forms/${next}/approve`));
    expect(await stories.statusOf(story.payoutId)).toBe('approved');
    const [attempt] = await cast.service.sql<{ status: string }[]>`
      SELECT status FROM payment_attempts WHERE payout_id = ${story.payoutId}`;
    expect(attempt?.status).toBe('voided');
  });

  it('takes back what instructions withheld for want of a W-9', async () => {
    const story = await stories.withBank();
    expectOk(
      await cast.finance.post(`/api/payouts/${story.payoutId}/generate-instructions`, {
        applyBackupWithholding: true,
        reason: 'None yet.',
      }),
    );
    const formId = await submitted(story);
    expectOk(await cast.finance.post(`/api/tax-forms/${formId}/approve`));
    const { body } = await cast.viewer.get(`/api/payouts/${story.payoutId}`);
    expect(body).toMatchObject({ status: 'approved', netAmount: 99700, taxWithholding: null });
  });

  it('withholds all the same where item 2 is crossed out', async () => {
    const story = await stories.withBank();
    const formId = await submitted(story, {
      certification: {
        signedName: story.name,
        signedDate: stories.today,
        notSubjectToBackupWithholding: false,
      },
    });
    expectOk(await cast.finance.post(`/api/tax-forms/${formId}/approve`));
    const made = expectOk(await cast.finance.post(`/api/payouts/${story.payoutId}/generate-instructions`));
    expect(made.body.amount).toBe(75700);
  });

  it('by several at once happens once', async () => {
    const story = await stories.withBank();
    const formId = await submitted(story);
    const answers = await Promise.all([
      cast.admin.post(`/api/tax-forms/${formId}/approve`),
      cast.finance.post(`/api/tax-forms/${formId}/approve`),
      cast.finance2.post(`/api/tax-forms/${formId}/reject`, { reason: 'No.' }),
    ]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409]);
  });

  it('is never of one’s own form', async () => {
    const story = await stories.withBank();
    await cast.service
      .sql`INSERT INTO admin_users (user_id, role) VALUES (${story.member.userId}, 'finance_manager')`;
    const formId = await submitted(story);
    for (const [action, body] of [
      ['approve', {}],
      ['reject', { reason: 'Mine.' }],
      ['reveal', { reason: 'Mine.' }],
    ] as const) {
      const answer = await story.member.post(`/api/tax-forms/${formId}/${action}`, body);
      expect([action, answer.status, answer.body.error.code]).toEqual([action, 403, 'SEPARATION_OF_DUTIES']);
    }
    expect(await formOf(formId)).toMatchObject({ status: 'submitted' });
    await cast.service.sql`UPDATE admin_users SET is_active = false WHERE user_id = ${story.member.userId}`;
  });

  it('answers 404 to an unknown form and 400 to what is no form id', async () => {
    expect((await cast.finance.post('/api/tax-forms/W9-2026-ZZZZZZZZ/approve')).status).toBe(404);
    expect((await cast.finance.post('/api/tax-forms/W9-2026/approve')).status).toBe(400);
  });
});

describe('a full TIN', () => {
  it('is revealed to finance alone, with a reason, an entry and an alert', async () => {
    const story = await stories.withBank();
    const formId = await submitted(story);
    const path = `/api/tax-forms/${formId}/reveal`;
    for (const who of [cast.admin, cast.viewer, story.member]) {
      const answer = await who.post(path, { reason: 'Curious.' });
      expect(answer.status).toBe(403);
      expect(JSON.stringify(answer.body)).not.toContain(TIN);
    }
    expect((await cast.finance.post(path, {})).status).toBe(400);
    const reason = 'Notice CP2100.';
    const answer = await cast.finance.post(path, { reason });
    expect([answer.status, answer.body]).toEqual([200, { formId, tinType: 'ssn', tin: TIN }]);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    const entries = await audited(formId, 'tin_revealed');
    expect(entries).toHaveLength(1);
    expect(entries[0]).toMatchObject({
      admin_id: cast.finance.adminId,
      new_values: { reason },
      success: true,
    });
    const alerts = expectOk(await cast.viewer.get('/api/admin-alerts?category=secret_revealed')).body.data;
    expect(alerts).toEqual([
      expect.objectContaining({
        severity: 'warning',
        details: { formId, adminId: cast.finance.adminId, reason },
        // It goes out by mail, where nothing belongs that somebody typed beside a full number.
        message: expect.not.stringContaining(reason),
      }),
    ]);
    // The refusals are kept too.
    const refused = await audited(formId, 'reveal');
    expect(refused).toHaveLength(4);
    expect(refused.every(({ success }) => success === false)).toBe(true);
  });

  it('stands in no other answer, no log line, and in the database only encrypted', async () => {
    const story = await stories.withBank();
    const formId = await submitted(story);
    expectOk(await cast.finance.post(`/api/tax-forms/${formId}/approve`));
    expectOk(await cast.finance.post(`/api/tax-forms/${formId}/reveal`, { reason: 'To be sure.' }));
    await cast.service.services.mailDelivery.deliverDue();
    const answers = await Promise.all([
      cast.finance.get('/api/tax-forms'),
      cast.finance.get(`/api/payouts/${story.payoutId}`),
      story.member.get(`/api/members/${story.member.userId}/payout`),
      cast.finance.get('/api/reports/audit-log?limit=200'),
      cast.finance.get('/api/reports/audit-log?format=csv'),
      cast.finance.get('/api/notifications?limit=200'),
      cast.finance.get('/api/admin-alerts?limit=200'),
      cast.finance.get('/api/reports/tax-forms/2026'),
    ]);
    for (const { status, body } of answers) {
      expect(status).toBe(200);
      expect(JSON.stringify(body)).not.toContain(TIN);
      expect(JSON.stringify(body)).not.toContain(TIN_DIGITS);
    }
    const elsewhere = [
      ...cast.service.logLines,
      ...cast.service.mailer.sent.map((mail) => JSON.stringify(mail)),
    ];
    expect(elsewhere.length).toBeGreaterThan(0);
    expect(elsewhere.filter((text) => text.includes(TIN) || text.includes(TIN_DIGITS))).toEqual([]);
    const tables = await cast.service.sql<{ name: string }[]>`
      SELECT table_name AS name FROM information_schema.tables
       WHERE table_schema = 'public' AND table_type = 'BASE TABLE'`;
    expect(tables.map(({ name }) => name)).toContain('tax_forms');
    for (const { name } of tables) {
      const rows = await cast.service.sql`
        SELECT 1 FROM ${cast.service.sql(name)} t
         WHERE t::text LIKE ${`%${TIN_DIGITS}%`} OR t::text LIKE ${`%${TIN}%`}`;
      expect([name, rows.length]).toEqual([name, 0]);
    }
  });

  it('is not given out when its row was tampered with', async () => {
    const story = await stories.withBank();
    const other = await stories.withBank();
    const [formId, otherId] = [await submitted(story), await submitted(other, { tin: '457-78-9123' })];
    // The owner alone can do it, and only with the guard off.
    await cast.service.sql`ALTER TABLE tax_forms DISABLE TRIGGER tax_forms_guard`;
    await cast.service
      .sql`UPDATE tax_forms SET envelope = (SELECT envelope FROM tax_forms WHERE form_id = ${otherId})
      WHERE form_id = ${formId}`;
    await cast.service.sql`ALTER TABLE tax_forms ENABLE TRIGGER tax_forms_guard`;
    const answer = await cast.finance.post(`/api/tax-forms/${formId}/reveal`, { reason: 'A check.' });
    expect([answer.status, answer.body.error.code]).toEqual([500, 'INTERNAL']);
    expect(JSON.stringify(answer.body)).not.toContain('78-9123');
    expect(await audited(formId, 'tin_revealed')).toHaveLength(0);
  });
});
