import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { render1099Misc } from '../../src/documents/form-1099-document.ts';
import { renderPaymentInstructions } from '../../src/documents/payment-instructions-document.ts';
import { renderReceipt } from '../../src/documents/receipt-document.ts';
import { readPdf } from './read-pdf.ts';
import {
  achInstructions,
  achReceipt,
  checkInstructions,
  checkReceipt,
  recipientForm,
  withheldAmounts,
} from './samples.ts';

describe('payment instructions', () => {
  it('for ACH fit on one page, with the full numbers each in one unbroken run', async () => {
    const { pageCount, runs } = readPdf(await renderPaymentInstructions(achInstructions));
    expect(pageCount).toBe(1);
    for (const run of ['021000021', '000123456789', '$99,700.00', 'Łukasz Nuñez-Öztürk', 'by ACH transfer']) {
      expect(runs).toContain(run);
    }
  });

  it('keep the longest account number unbroken', async () => {
    const accountNumber = '12345678901234567';
    const bank = { ...achInstructions.bank!, accountNumber };
    const { runs } = readPdf(await renderPaymentInstructions({ ...achInstructions, bank }));
    expect(runs).toContain(accountNumber);
  });

  it('for a check fit on one page, with payee, amount in words and address', async () => {
    const input = { ...checkInstructions, amounts: withheldAmounts };
    const { pageCount, runs, text } = readPdf(await renderPaymentInstructions(input));
    expect(pageCount).toBe(1);
    expect(runs).toContain('Seventy-five thousand seven hundred and 00/100 dollars');
    expect(text).toContain(
      'Nguyễn Thị Ánh\n1200 Márquez Avenue NE\nApt 4B\nAlbuquerque, NM 87110-1234\nUnited States',
    );
  });

  it('show the breakdown and why tax was withheld', async () => {
    const input = { ...checkInstructions, amounts: withheldAmounts };
    const { text } = readPdf(await renderPaymentInstructions(input));
    expect(text).toContain(
      'Gross Payout\n$100,000.00\nRetention Fee (Next Year)\n-$300.00\nBackup Withholding (24%)\n-$24,000.00\nNet Payout\n$75,700.00',
    );
    expect(text).toContain('Reason for withholding: No approved W-9');
  });

  it('tell finance to pay once and who made them, and carry attempt and fingerprint', async () => {
    const { text, runs } = readPdf(await renderPaymentInstructions(achInstructions));
    expect(text).toContain('Pay exactly this amount once: $99,700.00');
    expect(text).toContain('Then mark as sent');
    expect(text).toContain('2026-03-04 15:07 UTC by finance@example.com (staff 3)');
    expect(text).toContain('2026-03-04 15:32 UTC by finance2@example.com (staff 4)');
    expect(runs).toContain('PO-2026-7Q4K9D2M · attempt 1 · 9f2c4be81a07 · Confidential');
  });

  it('warn when a name cannot be shown exactly, and only then', async () => {
    const warning = 'Name not shown exactly';
    const named = (payeeName: string) => renderPaymentInstructions({ ...achInstructions, payeeName });
    expect(readPdf(await named('王小明')).runs).toContain(warning);
    expect(readPdf(await named('Anna\u202Eanna')).runs).toContain(warning);
    expect(readPdf(await named('Nguye\u0302\u0303n Thị Ánh')).runs).not.toContain(warning);
  });

  it.each([
    ['need a bank account', { bank: undefined }],
    ['need a mailing address', { paymentMethod: 'check' as const }],
    ['do not add up', { amounts: { ...withheldAmounts, netCents: 9_970_000 } }],
  ])('are refused when they %s', async (fault, wrong) => {
    await expect(renderPaymentInstructions({ ...achInstructions, ...wrong })).rejects.toThrow(fault);
  });
});

describe('a receipt', () => {
  it('shows the breakdown and explains the retention fee, on one page', async () => {
    const { pageCount, text } = readPdf(await renderReceipt({ ...achReceipt, amounts: withheldAmounts }));
    expect(pageCount).toBe(1);
    expect(text).toContain('Retention Fee (Next Year)\n-$300.00\nBackup Withholding (24%)\n-$24,000.00');
    expect(text).toContain('It pays for your membership in the\nnext year.');
    expect(text).toContain('It ends on March 6, 2027');
  });

  it('says nothing of withholding when nothing was withheld', async () => {
    expect(readPdf(await renderReceipt(achReceipt)).text).not.toMatch(/withholding/i);
  });

  it('never shows more of an account number than its last four digits', async () => {
    const { text } = readPdf(await renderReceipt({ ...achReceipt, accountLast4: '000123456789' }));
    expect(text).toContain('ACH to the account ending in 6789');
    expect(text).not.toContain('56789');
  });

  it('for a check shows where it was mailed', async () => {
    const { pageCount, text } = readPdf(await renderReceipt(checkReceipt));
    expect(pageCount).toBe(1);
    expect(text).toContain('1200 Márquez Avenue NE, Apt 4B, Albuquerque, NM 87110-1234, United States');
  });
});

describe('a 1099-MISC', () => {
  it('has all boxes, with the amounts in 3 and 4', async () => {
    const { pageCount, text } = readPdf(await render1099Misc(recipientForm));
    expect(pageCount).toBe(1);
    for (let box = 1; box <= 18; box += 1) expect(text).toMatch(new RegExp(`^${box}[ab]? [A-Z]`, 'm'));
    expect(text).toContain('3 Other income\n$\n100,000.00\n4 Federal income tax withheld\n$\n24,000.00');
    for (const part of ['OMB No. 1545-0115', 'Copy B', 'For Recipient', 'XXX-XX-1234', '2026']) {
      expect(text).toContain(part);
    }
  });

  it('has the boxes of its year', async () => {
    const box14 = async (taxYear: number) =>
      /^14 .+$/m.exec(readPdf(await render1099Misc({ ...recipientForm, taxYear })).text)?.[0];
    expect(await box14(2024)).toBe('14 Excess golden parachute');
    expect(await box14(2025)).toBe('14 Reserved for future use');
    expect(await box14(2026)).toBe('14 Overtime compensation');
  });

  it.each([
    ['draft', ['DRAFT']],
    ['void', ['VOID']],
    ['issued', []],
    ['corrected', []],
  ] as const)('that is %s is marked so', async (status, marks) => {
    const { runs } = readPdf(await render1099Misc({ ...recipientForm, status, issuedAt: undefined }));
    expect(runs.filter((run) => run === 'DRAFT').length > 0).toBe(status === 'draft');
    // The label of the checkbox stands on every form; the mark across the page does not.
    expect(runs.filter((run) => run === 'VOID').length > 1).toBe(status === 'void');
    for (const mark of marks) expect(runs).toContain(mark);
  });

  it('for the payer is copy C, without instructions to the recipient', async () => {
    const { text } = readPdf(await render1099Misc({ ...recipientForm, copy: 'C' }));
    expect(text).toContain('Copy C\nFor Payer');
    expect(text).not.toContain('Instructions for Recipient');
  });
});

describe('text that members typed', () => {
  const anyText = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 60 }),
    fc.string({ unit: 'grapheme', maxLength: 60 }),
    // UTF-16 units at random: lone surrogates too.
    fc
      .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 40 })
      .map((units) => String.fromCharCode(...units)),
    fc.constantFrom('', '   ', 'محمد علي الحسن', 'שרה כהן', 'नमस्ते', '王小明', 'Q\u0301'.repeat(500), '👩‍👩‍👧‍👦'),
    fc.constantFrom('W', 'x ', '\u202E', '\u0301', '\uD800').map((unit) => unit.repeat(10_000)),
  );

  it('never breaks a document', async () => {
    await fc.assert(
      fc.asyncProperty(anyText, anyText, async (name, other) => {
        const address = {
          line1: other,
          line2: name,
          city: other,
          state: 'NM',
          postalCode: name,
          country: other,
        };
        const documents = await Promise.all([
          renderPaymentInstructions({
            ...achInstructions,
            payeeName: name,
            bank: { ...achInstructions.bank!, accountHolderName: other },
            memo: other,
            callbackVerification: name,
          }),
          renderPaymentInstructions({ ...checkInstructions, payeeName: name, address, generatedBy: other }),
          renderReceipt({ ...checkReceipt, payeeName: name, mailingAddress: address, trackingNumber: other }),
          render1099Misc({
            ...recipientForm,
            accountNumber: other,
            recipient: { name, addressLines: [other, name, other], tin: other },
          }),
        ]);
        for (const document of documents) expect(readPdf(document).pageCount).toBeLessThanOrEqual(2);
        expect(readPdf(documents[0]!).runs).toContain('000123456789');
      }),
      { numRuns: 25 },
    );
  }, 60_000);
});
