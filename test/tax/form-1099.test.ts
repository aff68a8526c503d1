import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Caller } from '../support/caller.ts';
import { readPdf } from '../documents/read-pdf.ts';
import { expectOk, startCast, Stories, type Cast, type Story } from '../support/stories.ts';
import type { MemberOptions, TestServiceOptions } from '../support/test-service.ts';

/** Not part of any other number in the tests. */
const TIN = '456-78-9123';

/** One form or draft of the year's report. */
interface Line {
  formId: string | null;
  userId: string;
  status: string;
  box3OtherIncome: number;
  box4FederalTaxWithheld: number;
  tinMasked: string | null;
  recipientName: string;
  payoutIds: string[];
  needsCorrection: string | null;
}

/** A cast that pays people in several ways. */
class TaxStories extends Stories {
  async start(options: MemberOptions = {}): Promise<Story> {
    const story = await this.initiated({}, options);
    // One approval is enough below $100,000.
    for (const approver of [this.cast.admin2, this.cast.finance]) {
      if ((await this.statusOf(story.payoutId)) === 'pending_approval')
        expectOk(await approver.post(`/api/payouts/${story.payoutId}/approve`));
    }
    expectOk(
      await story.member.post(`/api/members/${story.member.userId}/bank-info`, this.bankInfo(story.name)),
    );
    return story;
  }

  async certify({ member, name }: Story): Promise<void> {
    const given = await member.post(`/api/members/${member.userId}/tax-info`, this.w9(name, { tin: TIN }));
    expectOk(await this.cast.finance.post(`/api/tax-forms/${expectOk(given).body.formId}/approve`));
  }

  async instruct({ payoutId }: Story, body: Record<string, unknown> = {}): Promise<void> {
    expectOk(await this.cast.finance.post(`/api/payouts/${payoutId}/generate-instructions`, body));
  }

  async send({ payoutId }: Story, sentDate = this.today): Promise<void> {
    const dates = { sentDate, expectedArrivalDate: sentDate };
    expectOk(await this.cast.finance2.post(`/api/payouts/${payoutId}/mark-sent`, dates));
  }

  async complete({ payoutId }: Story): Promise<void> {
    const body = { completedDate: this.today };
    expectOk(await this.cast.finance.post(`/api/payouts/${payoutId}/confirm`, body));
  }

  async comeBack({ payoutId }: Story): Promise<void> {
    const body = { reason: 'Returned.', returnCode: 'R01' };
    expectOk(await this.cast.finance.post(`/api/payouts/${payoutId}/fail`, body));
  }

  async paid(options: MemberOptions = {}): Promise<Story> {
    const story = await this.start(options);
    await this.certify(story);
    await this.instruct(story);
    await this.send(story);
    return story;
  }

  async withheld(): Promise<Story> {
    const story = await this.start();
    await this.instruct(story, { applyBackupWithholding: true, reason: 'None came.' });
    await this.send(story);
    return story;
  }

  async year(year: number, who: Caller = this.cast.viewer): Promise<Line[]> {
    return expectOk(await who.get(`/api/reports/tax-forms/${year}`)).body.data;
  }

  async issue(year: number): Promise<Line[]> {
    return expectOk(await this.cast.admin.post(`/api/reports/tax-forms/${year}`)).body.data;
  }
}

async function openOffice(options: TestServiceOptions = {}): Promise<{ cast: Cast; stories: TaxStories }> {
  const cast = await startCast(options);
  return { cast, stories: new TaxStories(cast) };
}

const lineOf = (lines: Line[], story: Story): Line => {
  const found = lines.filter((line) => line.userId === story.member.userId);
  expect(found).toHaveLength(1);
  return found[0]!;
};

const formsIn = (cast: Cast) => cast.service.sql<{ form_id: string; status: string; user_id: string }[]>`
  SELECT form_id, status, user_id FROM tax_forms WHERE form_type = '1099-MISC' ORDER BY form_id`;

describe('the 1099s of a year', () => {
  let cast: Cast;
  let stories: TaxStories;
  let paid: Story, withheld: Story, returned: Story, late: Story, nextYear: Story, formula: Story;

  beforeAll(async () => {
    ({ cast, stories } = await openOffice());
    paid = await stories.paid();
    await stories.complete(paid);
    withheld = await stories.withheld();
    returned = await stories.paid();
    await stories.comeBack(returned);
    formula = await stories.paid({ firstName: '=SUM(A1)' });
    const waiting = await stories.start();
    await stories.certify(waiting);
    await stories.instruct(waiting);
    cast.service.time.setTo('2026-12-31T12:00:00Z');
    [late, nextYear] = [await stories.start(), await stories.start()];
    for (const story of [late, nextYear]) {
      await stories.certify(story);
      await stories.instruct(story);
    }
  });
  afterAll(() => cast.service.stop());

  describe('before it has ended', () => {
    it('are drafts, computed at any time and not kept', async () => {
      const { body } = await cast.viewer.get('/api/reports/tax-forms/2026');
      expect(body.data).toHaveLength(3);
      expect(lineOf(body.data, paid)).toEqual({
        formId: null,
        userId: paid.member.userId,
        recipientName: paid.name,
        tinMasked: 'XXX-XX-9123',
        status: 'draft',
        box3OtherIncome: 100000,
        box4FederalTaxWithheld: 0,
        incomeDetails: { box_3_other_income: 100000, federal_tax_withheld: 0 },
        payoutIds: [paid.payoutId],
        needsCorrection: null,
      });
      expect(lineOf(body.data, withheld)).toMatchObject({
        status: 'draft',
        box3OtherIncome: 100000,
        box4FederalTaxWithheld: 24000,
        tinMasked: null,
        recipientName: withheld.name,
      });
      expect(body.totals).toEqual({ forms: 3, box3OtherIncome: 300000, box4FederalTaxWithheld: 24000 });
      expect(body.nextCursor).toBeNull();
      expect(await formsIn(cast)).toHaveLength(0);
    });

    it('leave out what came back and what was not sent', async () => {
      const users = (await stories.year(2026)).map(({ userId }) => userId);
      expect(users.sort()).toEqual([paid, withheld, formula].map(({ member }) => member.userId).sort());
    });

    it('are not issued', async () => {
      for (const year of [2026, 2027]) {
        const answer = await cast.admin.post(`/api/reports/tax-forms/${year}`);
        expect([answer.status, answer.body.error.code]).toEqual([422, 'YEAR_NOT_ENDED']);
      }
      expect(await formsIn(cast)).toHaveLength(0);
    });

    it('of a year that is not in the table are refused, never guessed', async () => {
      const answer = await cast.viewer.get('/api/reports/tax-forms/2027');
      expect([answer.status, answer.body.error.code]).toEqual([422, 'TAX_YEAR_UNKNOWN']);
      const older = await cast.viewer.get('/api/reports/tax-forms/2017');
      expect([older.status, older.body.error.code]).toEqual([422, 'TAX_YEAR_UNKNOWN']);
      expect((await cast.viewer.get('/api/reports/tax-forms/26')).status).toBe(400);
    });

    it('are for staff alone to read, and for admin and finance to issue', async () => {
      expect((await paid.member.get('/api/reports/tax-forms/2026')).status).toBe(403);
      for (const who of [paid.member, cast.viewer]) {
        expect((await who.post('/api/reports/tax-forms/2026')).status).toBe(403);
      }
    });
  });

  describe('in January', () => {
    let issued: Line[];

    beforeAll(async () => {
      cast.service.time.setTo('2027-01-02T12:00:00Z');
      await stories.send(late, '2026-12-31');
      await stories.send(nextYear, '2027-01-02');
      await stories.complete(late);
      cast.service.time.setTo('2027-01-15T00:00:00Z');
      const answers = await Promise.all(
        Array.from({ length: 3 }, () => cast.finance.post('/api/reports/tax-forms/2026')),
      );
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
      issued = answers[0]!.body.data;
      for (const { body } of answers) expect(body.data).toEqual(issued);
    });

    it('are issued once, whoever asks at the same time or again', async () => {
      expect(issued).toHaveLength(4);
      for (const { formId, status } of issued) {
        expect([formId, status]).toEqual([
          expect.stringMatching(/^1099-2026-[0-9A-HJKMNP-TV-Z]{8}$/),
          'issued',
        ]);
      }
      expect(await stories.issue(2026)).toEqual(issued);
      expect(await stories.year(2026)).toEqual(issued);
      expect((await formsIn(cast)).map((row) => row.form_id)).toEqual(
        issued.map(({ formId }) => formId).sort(),
      );
    });

    it('count a payment in the year in which it was sent', async () => {
      expect(lineOf(issued, late).payoutIds).toEqual([late.payoutId]);
      expect(issued.map(({ userId }) => userId)).not.toContain(nextYear.member.userId);
    });

    it('are told to each member once, and each is recorded', async () => {
      for (const { userId, formId } of issued) {
        const mails = await cast.service.sql`
          SELECT data FROM notifications WHERE user_id = ${userId} AND template = 'form-1099-ready'`;
        expect([...mails]).toEqual([{ data: { taxYear: '2026' } }]);
        const entries = await cast.service.sql`
          SELECT admin_id FROM user_audit_logs WHERE entity_id = ${formId} AND action = 'issued'`;
        expect([...entries]).toEqual([{ admin_id: cast.finance.adminId }]);
      }
    });

    it('still cannot be issued for the year that runs', async () => {
      const answer = await cast.admin.post('/api/reports/tax-forms/2027');
      expect([answer.status, answer.body.error.code]).toEqual([422, 'YEAR_NOT_ENDED']);
    });

    it('come as a PDF with the last four digits only, the same every time', async () => {
      const { formId } = lineOf(issued, paid);
      const first = await paid.member.pdf(`/api/tax-forms/${formId}/pdf`);
      expect(first.status).toBe(200);
      expect(first.headers.get('content-type')).toBe('application/pdf');
      expect(first.headers.get('content-disposition')).toBe(`attachment; filename="${formId}-copy-B.pdf"`);
      const { text, runs } = readPdf(first.content);
      expect(runs).toContain('XXX-XX-9123');
      expect(runs).toContain('100,000.00');
      expect(text).toContain('Copy B');
      expect(text).not.toContain('456-78');
      expect(text).toContain(paid.name);
      cast.service.time.advanceDays(1);
      const second = await cast.viewer.pdf(`/api/tax-forms/${formId}/pdf?copy=B`);
      expect(second.content.equals(first.content)).toBe(true);
      const copyC = await cast.finance.pdf(`/api/tax-forms/${formId}/pdf?copy=C`);
      const read = readPdf(copyC.content);
      expect(read.text).toContain('Copy C');
      expect(read.runs).toContain('XXX-XX-9123');
      expect(read.text).not.toContain('456-78');
    });

    it('show what was withheld, and that there was no TIN', async () => {
      const { formId } = lineOf(issued, withheld);
      const { runs } = readPdf((await withheld.member.pdf(`/api/tax-forms/${formId}/pdf`)).content);
      expect(runs).toContain('24,000.00');
      expect(runs).toContain('Not provided');
    });

    it('are given to nobody but the member and staff', async () => {
      const path = `/api/tax-forms/${lineOf(issued, paid).formId}/pdf`;
      const other = await withheld.member.get(path);
      expect([other.status, other.body.error.code]).toEqual([404, 'NOT_FOUND']);
      const copyC = await paid.member.get(`${path}?copy=C`);
      expect([copyC.status, copyC.body.error.code]).toEqual([403, 'FORBIDDEN']);
      expect((await cast.service.stranger.get(path)).status).toBe(401);
      expect((await paid.member.get(`${path}?copy=A`)).status).toBe(400);
      const [w9] = expectOk(
        await cast.finance.get(`/api/tax-forms?userId=${paid.member.userId}&year=2026&status=approved`),
      ).body.data;
      expect((await cast.finance.get(`/api/tax-forms/${w9.formId}/pdf`)).status).toBe(404);
    });

    it('leave an entry for each download', async () => {
      const { formId } = lineOf(issued, late);
      await late.member.pdf(`/api/tax-forms/${formId}/pdf`);
      const entries = await cast.service.sql`
        SELECT user_id, new_values FROM user_audit_logs WHERE entity_id = ${formId} AND action = 'pdf_downloaded'`;
      expect([...entries]).toEqual([{ user_id: late.member.userId, new_values: { copy: 'B', version: 1 } }]);
    });

    it('are filed from a CSV, with full TINs for a finance_manager alone', async () => {
      const path = '/api/reports/tax-forms/2026?format=csv';
      const full = await cast.finance.get(path);
      expect(full.headers.get('content-type')).toContain('text/csv');
      expect(full.body).toContain(TIN);
      for (const who of [cast.admin, cast.viewer]) {
        const { status, body } = await who.get(path);
        expect(status).toBe(200);
        expect(body).not.toContain('456-78');
        expect(body).toContain('XXX-XX-9123');
      }
      expect((await paid.member.get(path)).status).toBe(403);
      const entries = await cast.service.sql`
        SELECT admin_id, new_values FROM user_audit_logs WHERE action = 'filing_csv_downloaded'`;
      expect([...entries]).toEqual([
        { admin_id: cast.finance.adminId, new_values: { taxYear: 2026, count: 4 } },
      ]);
    });

    it('are filed from a CSV that no spreadsheet takes for formulas', async () => {
      const { body } = await cast.finance.get('/api/reports/tax-forms/2026?format=csv');
      const lines = String(body).trimEnd().split('\r\n');
      expect(lines).toHaveLength(5);
      const line = lines.find((text) => text.includes(formula.payoutId));
      expect(line).toContain(`,'${formula.name},SSN,${TIN},`);
      expect(body).not.toMatch(/(^|,)[=+@]/m);
    });

    it('agree in what was withheld with the report for Form 945', async () => {
      const { body: report } = await cast.viewer.get('/api/reports/withholding/2026');
      const boxes4 = issued.reduce((sum, line) => sum + line.box4FederalTaxWithheld, 0);
      expect(boxes4).toBe(24000);
      expect(report.totalWithheld).toBe(boxes4);
      expect(report.form945).toMatchObject({ line2BackupWithholding: boxes4, line7MTotal: boxes4 });
      expect(report.form945.line7[10]).toEqual({ line: '7K', month: 11, liability: 24000 });
      expect(report.periods).toHaveLength(12);
      expect(report.periods[10]).toEqual({
        month: 11,
        period: '2026-11',
        withheldAmount: 24000,
        payments: 1,
      });
      expect(report.periods.filter((row: { payments: number }) => row.payments > 0)).toHaveLength(1);
      const csv = String((await cast.viewer.get('/api/reports/withholding/2026?format=csv')).body);
      expect(csv.trimEnd().split('\r\n')).toHaveLength(13);
      expect(csv).toContain('2026-11,7K,1,24000.00');
      expect((await paid.member.get('/api/reports/withholding/2026')).status).toBe(403);
    });

    it('can be asked for by number of form as the list shows them', async () => {
      const { body } = await cast.viewer.get(`/api/tax-forms?status=issued&userId=${withheld.member.userId}`);
      expect(body.data).toEqual([
        expect.objectContaining({
          formId: lineOf(issued, withheld).formId,
          formType: '1099-MISC',
          taxYear: 2026,
          incomeDetails: { box_3_other_income: 100000, federal_tax_withheld: 24000 },
          tinMasked: null,
          w9: null,
        }),
      ]);
    });

    describe('that are no longer right', () => {
      let oldId: string;
      beforeAll(async () => {
        oldId = lineOf(issued, withheld).formId ?? '';
        await stories.comeBack(withheld);
      });

      it('are marked, and wait for a person to correct them', async () => {
        const line = lineOf(await stories.year(2026), withheld);
        expect(line).toMatchObject({ formId: oldId, status: 'issued', box4FederalTaxWithheld: 24000 });
        expect(line.needsCorrection).toContain(withheld.payoutId);
        expect(lineOf(await stories.year(2026), paid).needsCorrection).toBeNull();
        expect(lineOf(await stories.issue(2026), withheld).formId).toBe(oldId);
      });

      it('reverse the liability at once', async () => {
        const { body } = await cast.viewer.get('/api/reports/withholding/2026');
        expect([body.totalWithheld, body.form945.line7MTotal]).toEqual([0, 0]);
      });

      it('are amended behind a payment that comes back at that moment, and hold nothing that it wants', async () => {
        const { sql } = cast.service;
        const { formId, userId } = lineOf(issued, late);
        let voiding: ReturnType<Caller['post']> | undefined;
        await sql.begin(async (tx) => {
          // As tax-store.ts locks a person's forms.
          await tx`SELECT pg_advisory_xact_lock(7203005, hashtext(${userId}))`;
          voiding = cast.finance.post(`/api/tax-forms/${formId}/void`, { reason: 'A test.' });
          const waiting = () => sql`SELECT 1 FROM pg_locks WHERE classid = 7203005 AND NOT granted`;
          await vi.waitUntil(async () => (await waiting()).length > 0, { timeout: 10_000, interval: 5 });
          await tx`SET LOCAL lock_timeout = '5s'`;
          await tx`UPDATE tax_forms SET needs_correction = 'It came back.' WHERE form_id = ${formId}`;
        });
        expect((await voiding)?.body).toMatchObject({ formId, status: 'void' });
      });

      it('are corrected by a new form; the old one and its PDF are kept', async () => {
        const before = await withheld.member.pdf(`/api/tax-forms/${oldId}/pdf`);
        expect((await cast.finance.post(`/api/tax-forms/${oldId}/correct`)).status).toBe(400);
        expect((await cast.viewer.post(`/api/tax-forms/${oldId}/correct`, { reason: 'No.' })).status).toBe(
          403,
        );
        const answer = await cast.finance.post(`/api/tax-forms/${oldId}/correct`, {
          reason: 'It came back.',
        });
        expect(answer.status).toBe(200);
        expect(answer.body).toMatchObject({
          status: 'issued',
          corrects: oldId,
          incomeDetails: { box_3_other_income: 0, federal_tax_withheld: 0 },
          needsCorrection: null,
        });
        expect(answer.body.formId).not.toBe(oldId);
        const forms = expectOk(await cast.viewer.get(`/api/tax-forms?userId=${withheld.member.userId}`)).body
          .data;
        expect(forms.find((form: { formId: string }) => form.formId === oldId)).toMatchObject({
          status: 'corrected',
          reason: 'It came back.',
          needsCorrection: null,
        });
        const made = await withheld.member.pdf(`/api/tax-forms/${answer.body.formId}/pdf`);
        expect(readPdf(made.content).text).toContain('CORRECTED');
        const after = await withheld.member.pdf(`/api/tax-forms/${oldId}/pdf`);
        expect(after.headers.get('content-disposition')).toContain('-void.pdf');
        expect(after.content.equals(before.content)).toBe(false);
        const kept = await cast.service.sql<{ version: number; content: Buffer }[]>`
          SELECT version, content FROM tax_form_documents WHERE form_id = ${oldId} AND copy = 'B' ORDER BY version`;
        expect(kept.map(({ version }) => version)).toEqual([1, 2]);
        expect(Buffer.from(kept[0]!.content).equals(before.content)).toBe(true);
        const again = await cast.finance.post(`/api/tax-forms/${oldId}/correct`, { reason: 'Again.' });
        expect([again.status, again.body.error.code]).toEqual([409, 'INVALID_STATE']);
        // Whoever is issued again keeps the corrected one.
        expect(lineOf(await stories.issue(2026), withheld).formId).toBe(answer.body.formId);
      });

      it('are voided, and are drafts again until they are issued anew', async () => {
        const { formId } = lineOf(issued, formula);
        const voided = await cast.admin.post(`/api/tax-forms/${formId}/void`, { reason: 'Wrong person.' });
        expect([voided.status, voided.body]).toEqual([
          200,
          expect.objectContaining({ formId, status: 'void', reason: 'Wrong person.' }),
        ]);
        expect(lineOf(await stories.year(2026), formula)).toMatchObject({ formId: null, status: 'draft' });
        const again = await cast.admin.post(`/api/tax-forms/${formId}/void`, { reason: 'Again.' });
        expect([again.status, again.body.error.code]).toEqual([409, 'INVALID_STATE']);
        const anew = lineOf(await stories.issue(2026), formula);
        expect(anew.status).toBe('issued');
        expect(anew.formId).not.toBe(formId);
        const entries = await cast.service.sql<{ action: string }[]>`
          SELECT action FROM user_audit_logs WHERE entity_id = ${formId ?? ''} AND success ORDER BY sequence`;
        expect(entries.map(({ action }) => action)).toEqual(['issued', 'void']);
      });

      it('are not amended by the person they are about, and only 1099s are', async () => {
        const { formId } = lineOf(issued, paid);
        await cast.service
          .sql`INSERT INTO admin_users (user_id, role) VALUES (${paid.member.userId}, 'finance_manager')`;
        for (const action of ['correct', 'void']) {
          const answer = await paid.member.post(`/api/tax-forms/${formId}/${action}`, { reason: 'Mine.' });
          expect([action, answer.status, answer.body.error.code]).toEqual([
            action,
            403,
            'SEPARATION_OF_DUTIES',
          ]);
        }
        const [w9] = expectOk(
          await cast.viewer.get(`/api/tax-forms?userId=${paid.member.userId}&status=approved`),
        ).body.data;
        const answer = await cast.finance.post(`/api/tax-forms/${w9.formId}/void`, { reason: 'A W-9.' });
        expect([answer.status, answer.body.error.code]).toEqual([409, 'INVALID_STATE']);
        expect(
          (await cast.finance.post('/api/tax-forms/1099-2026-ZZZZZZZZ/void', { reason: 'x' })).status,
        ).toBe(404);
      });
    });

    it('of a new W-9 with another TIN keep the one with which they were issued', async () => {
      const before = lineOf(await stories.year(2026), late);
      const { member, name } = late;
      const given = expectOk(
        await member.post(`/api/members/${member.userId}/tax-info`, stories.w9(name, { tin: '457-78-9124' })),
      );
      expectOk(await cast.finance.post(`/api/tax-forms/${given.body.formId}/approve`));
      expect(lineOf(await stories.year(2026), late)).toEqual(before);
      const { body } = await cast.finance.get('/api/reports/tax-forms/2026?format=csv');
      const line = String(body)
        .split('\r\n')
        .find((text) => text.includes(late.payoutId));
      expect(line).toContain(TIN);
      const revealed = await cast.finance.post(`/api/tax-forms/${before.formId}/reveal`, {
        reason: 'A check.',
      });
      expect(revealed.body.tin).toBe(TIN);
    });
  });

  it('of a year without terms cannot be issued when it has ended', async () => {
    cast.service.time.setTo('2028-01-15T00:00:00Z');
    const answer = await cast.finance.post('/api/reports/tax-forms/2027');
    expect([answer.status, answer.body.error.code]).toEqual([422, 'TAX_YEAR_UNKNOWN']);
    expect((await formsIn(cast)).filter(({ form_id }) => form_id.startsWith('1099-2027'))).toEqual([]);
  });
});

describe('the threshold of a year', () => {
  it('of $2,000 for 2026 makes no form below it, unless tax was withheld', async () => {
    const { cast, stories } = await openOffice({ env: { REWARD_PER_WINNER: '1000' } });
    try {
      const below = await stories.paid();
      const withheld = await stories.withheld();
      expect(expectOk(await cast.viewer.get(`/api/payouts/${below.payoutId}`)).body).toMatchObject({
        amount: 1000,
        retentionFee: 300,
        netAmount: 700,
        requiredApprovals: 1,
      });
      expect(expectOk(await cast.viewer.get(`/api/payouts/${withheld.payoutId}`)).body.netAmount).toBe(460);
      cast.service.time.setTo('2027-01-15T00:00:00Z');
      const issued = await stories.issue(2026);
      expect(issued.map(({ userId }) => userId)).toEqual([withheld.member.userId]);
      expect(issued[0]).toMatchObject({ box3OtherIncome: 1000, box4FederalTaxWithheld: 240 });
      expect(await formsIn(cast)).toHaveLength(1);
    } finally {
      await cast.service.stop();
    }
  });

  it('makes a form at exactly the threshold', async () => {
    const { cast, stories } = await openOffice({ env: { REWARD_PER_WINNER: '2000' } });
    try {
      const story = await stories.paid();
      expect(lineOf(await stories.year(2026), story).box3OtherIncome).toBe(2000);
    } finally {
      await cast.service.stop();
    }
  });

  it('comes from TAX_YEARS for years that the table lacks, with their rate', async () => {
    const years = { 2027: { threshold: 150_000, backupWithholdingRate: 0.3 } };
    const { cast, stories } = await openOffice({ env: { TAX_YEARS: JSON.stringify(years) } });
    try {
      cast.service.time.setTo('2027-03-01T12:00:00Z');
      await stories.paid();
      const withheld = await stories.withheld();
      const { body } = await cast.viewer.get(`/api/payouts/${withheld.payoutId}`);
      expect(body).toMatchObject({
        netAmount: 69700,
        taxWithholding: { withholdingRate: 0.3, withheldAmount: 30000 },
      });
      cast.service.time.setTo('2028-01-01T00:00:00Z');
      const issued = await stories.issue(2027);
      expect(issued.map(({ userId, box4FederalTaxWithheld }) => [userId, box4FederalTaxWithheld])).toEqual([
        [withheld.member.userId, 30000],
      ]);
      const { body: report } = await cast.viewer.get('/api/reports/withholding/2027');
      expect(report.form945.line7[2]).toEqual({ line: '7C', month: 3, liability: 30000 });
    } finally {
      await cast.service.stop();
    }
  });
});
