import { amountInWords, breakdownLines, formatUsd, type PayoutAmounts } from './money-words.ts';
import { COLORS, type PdfSheet, type TextStyle } from './pdf-sheet.ts';
import { printableText } from './pdf-text.ts';
import { renderPdf } from './pdf.ts';

export type MailingAddress = {
  line1: string;
  line2?: string;
  city: string;
  state: string;
  postalCode: string;
  country: string;
};

/** The account in the clear: this document is the one place where finance reads it. */
export type BankAccount = {
  accountHolderName: string;
  routingNumber: string;
  accountNumber: string;
  accountType: 'checking' | 'savings';
};

/** `bank` is required for ACH, `address` for a check. */
export type PaymentInstructionsInput = {
  payoutId: string;
  attempt: number;
  instructionsHash: string;
  generatedAt: Date;
  /** e.g. 'finance@example.com (staff 3)' */
  generatedBy: string;
  paymentMethod: 'ach' | 'check';
  payeeName: string;
  amounts: PayoutAmounts;
  bank?: BankAccount;
  address?: MailingAddress;
  callbackVerification?: string;
  downloadedBy: string;
  downloadedAt: Date;
  memo?: string;
};

const HASH_SHORT_LENGTH = 12;
const shortHash = (hash: string) => hash.slice(0, HASH_SHORT_LENGTH);
const TITLE = 'Payment Instructions';
const STRONG: TextStyle = { bold: true, sizePt: 11, maxLines: 4 };
const DIGITS: TextStyle = { bold: true, sizePt: 14 };

/** An instant as finance compares it with the audit log: '2026-03-04 15:07 UTC'. */
const formatInstant = (instant: Date) => `${instant.toISOString().slice(0, 16).replace('T', ' ')} UTC`;

/** The lines of an envelope. */
export function addressLines({ line1, line2, city, state, postalCode, country }: MailingAddress): string[] {
  return [line1, line2 ?? '', `${city}, ${state} ${postalCode}`, country].filter(
    (line) => line.trim() !== '',
  );
}

function drawPayee(sheet: PdfSheet, input: PaymentInstructionsInput): void {
  sheet.heading('Pay to');
  if (input.paymentMethod === 'ach') {
    if (!input.bank) throw new Error('ACH payment instructions need a bank account.');
    const { accountHolderName, routingNumber, accountNumber, accountType } = input.bank;
    sheet.keyValues([
      ['Payee', input.payeeName, STRONG],
      ['Account holder', accountHolderName, STRONG],
      ['Routing number (ABA)', routingNumber, DIGITS],
      ['Account number', accountNumber, DIGITS],
      ['Account type', accountType === 'checking' ? 'Checking' : 'Savings'],
      ['Memo', input.memo, { maxLines: 2 }],
    ]);
    return;
  }
  if (!input.address) throw new Error('Check payment instructions need a mailing address.');
  sheet.keyValues([
    ['Pay to the order of', input.payeeName, STRONG],
    ['Amount', formatUsd(input.amounts.netCents), STRONG],
    ['Amount in words', amountInWords(input.amounts.netCents), { ...STRONG, sizePt: 10 }],
    ['Memo', input.memo, { maxLines: 2 }],
    ['Mail to', [input.payeeName, ...addressLines(input.address)], { sizePt: 11, maxLines: 2 }],
  ]);
}

/** A name that cannot be printed as it is must not be paid on trust. */
function drawNameNotice(sheet: PdfSheet, input: PaymentInstructionsInput): void {
  const isShownExactly = (name: string) =>
    printableText(name, 'bold') === name.normalize('NFC').replace(/ +/g, ' ').trim();
  if ([input.payeeName, input.bank?.accountHolderName ?? ''].every(isShownExactly)) return;
  sheet.notice(
    'Name not shown exactly',
    'The name is too long or holds characters that cannot be printed. Compare it with the payout record before you pay.',
  );
}

function steps({
  paymentMethod,
  amounts,
  generatedBy,
  instructionsHash,
}: PaymentInstructionsInput): string[] {
  const amount = formatUsd(amounts.netCents);
  const check = paymentMethod === 'check';
  return [
    `Compare the payout ID, the attempt and the fingerprint ${shortHash(instructionsHash)} with the payout in the dashboard. If one differs, stop: these instructions have been replaced.`,
    `Pay exactly this amount once: ${amount}, in one ${check ? 'check' : 'transfer'}${check ? ', and mail it to the address above' : ' to the account above'}.`,
    `Then mark as sent, with the sent date, the expected arrival date and the ${check ? 'tracking' : 'trace'} number. Somebody other than ${generatedBy} has to do this.`,
    check
      ? 'If the check is lost, stop it, then record the failure with the stop-payment reference. Never write a second check from this page: a new attempt gets new instructions.'
      : 'If the payment comes back, record the failure with its ACH return code. Never pay a second time from this page: a new attempt gets new instructions.',
  ];
}

/**
 * The PDF from which finance pays one attempt of a payout; holds the full account number (ACH) or the mailing address
 * (check). Stream it, never store it. Rejects with a cause when the method's details are missing or the amounts do
 * not add up.
 */
export function renderPaymentInstructions(input: PaymentInstructionsInput): Promise<Buffer> {
  const { payoutId, attempt, instructionsHash } = input;
  return renderPdf(
    (sheet) => {
      sheet.amountBanner(
        'Amount to pay',
        formatUsd(input.amounts.netCents),
        input.paymentMethod === 'check' ? 'by check' : 'by ACH transfer',
        `attempt ${attempt}`,
      );
      drawNameNotice(sheet, input);
      drawPayee(sheet, input);
      sheet.heading('How the amount is made up');
      sheet.moneyTable(
        breakdownLines(input.amounts).map((line) => ({ ...line, amount: formatUsd(line.amountCents) })),
      );
      const { withheldCents, withholdingReason } = input.amounts;
      if (withheldCents > 0 && withholdingReason) {
        sheet.paragraph(`Reason for withholding: ${withholdingReason}`, {
          maxLines: 2,
          sizePt: 8.5,
          color: COLORS.muted,
        });
      }
      sheet.heading('What to do');
      sheet.numberedList(steps(input));
      sheet.heading('Record');
      const small: TextStyle = { sizePt: 8.5, maxLines: 2 };
      sheet.keyValues([
        ['Generated', `${formatInstant(input.generatedAt)} by ${input.generatedBy}`, small],
        ['Downloaded', `${formatInstant(input.downloadedAt)} by ${input.downloadedBy}`, small],
        ['Call-back verification', input.callbackVerification, small],
        ['Fingerprint', shortHash(instructionsHash), { ...small, bold: true }],
      ]);
      sheet.notice(
        'Confidential',
        'For the finance team only. Do not forward or file a copy; destroy a printout once the payment is marked as sent. This download is in the audit log.',
        { sizePt: 8.5 },
      );
    },
    {
      title: TITLE,
      subject: `Payment instructions for payout ${payoutId}, attempt ${attempt}`,
      author: 'Payout Service',
      reference: payoutId,
      documentId: `${payoutId} · attempt ${attempt} · ${shortHash(instructionsHash)} · Confidential`,
      createdAt: input.downloadedAt,
    },
  );
}
