import { breakdownLines, formatUsd, type PayoutAmounts } from './money-words.ts';
import { addressLines, type MailingAddress } from './payment-instructions-document.ts';
import type { TextStyle } from './pdf-sheet.ts';
import { renderPdf } from './pdf.ts';

/** Dates are 'YYYY-MM-DD'; what is not known is left out of the receipt. */
export type ReceiptInput = {
  payoutId: string;
  payeeName: string;
  paymentMethod: 'ach' | 'check';
  accountLast4?: string;
  mailingAddress?: MailingAddress;
  amounts: PayoutAmounts;
  sentDate: string;
  completedDate: string;
  expectedArrivalDate?: string;
  trackingNumber?: string;
  confirmationNumber?: string;
  membershipRemovalDate: string;
  issuedAt: Date;
};

/** '2026-03-04' as 'March 4, 2026'; read and written in UTC, so that no time zone moves the day. */
function formatDate(isoDate: string): string {
  return new Date(`${isoDate}T00:00:00Z`).toLocaleDateString('en-US', { dateStyle: 'long', timeZone: 'UTC' });
}

function destination({ paymentMethod, accountLast4 }: ReceiptInput): string {
  if (paymentMethod === 'check') return 'Check by mail';
  // Cut here too: whatever a caller passes, a member's copy never shows more than four digits.
  return accountLast4 ? `ACH to the account ending in ${accountLast4.slice(-4)}` : 'ACH transfer';
}

/** The member's receipt for a completed payout; never holds a full account number. */
export function renderReceipt(input: ReceiptInput): Promise<Buffer> {
  const { payoutId, amounts } = input;
  return renderPdf(
    (sheet) => {
      const completed = formatDate(input.completedDate);
      sheet.amountBanner(
        'Paid to you',
        formatUsd(amounts.netCents),
        `Completed ${completed}`,
        destination(input),
      );
      sheet.heading('Payment');
      const long: TextStyle = { maxLines: 4 };
      const { mailingAddress, expectedArrivalDate } = input;
      const isCheck = input.paymentMethod === 'check';
      sheet.keyValues([
        ['Paid to', input.payeeName, { ...long, bold: true }],
        ['Payment method', destination(input)],
        ['Mailed to', isCheck && mailingAddress ? addressLines(mailingAddress).join(', ') : undefined, long],
        ['Sent', formatDate(input.sentDate)],
        ['Expected arrival', expectedArrivalDate && formatDate(expectedArrivalDate)],
        ['Completed', completed],
        ['Tracking number', input.trackingNumber, long],
        ['Confirmation number', input.confirmationNumber, long],
      ]);
      sheet.heading('Breakdown');
      sheet.moneyTable(
        breakdownLines(amounts).map((line) => ({ ...line, amount: formatUsd(line.amountCents) })),
      );
      sheet.heading('What this means');
      const { retentionFeeCents, withheldCents } = amounts;
      const removal = formatDate(input.membershipRemovalDate);
      sheet.keyValues([
        [
          'Retention fee',
          `${formatUsd(retentionFeeCents)} was kept from the gross payout. It pays for your membership in the next year.`,
        ],
        [
          'Backup withholding',
          withheldCents > 0
            ? `${formatUsd(withheldCents)} was withheld as federal income tax. You can claim it as tax paid on your return.`
            : undefined,
        ],
        [
          'Membership',
          `It ends on ${removal}, 12 months after this payout was completed. You can come back with a new payment.`,
        ],
        [
          'Taxes',
          `The gross payout counts for ${input.sentDate.slice(0, 4)}, the year in which it was sent. If a Form 1099-MISC is due, it shows the gross payout in box 3 and tax withheld in box 4. Keep this receipt with your tax records.`,
        ],
      ]);
    },
    {
      title: 'Payout Receipt',
      subject: `Receipt for payout ${payoutId}`,
      author: 'Payout Service',
      reference: payoutId,
      documentId: `${payoutId} · Receipt · issued ${formatDate(input.issuedAt.toISOString().slice(0, 10))}`,
      createdAt: input.issuedAt,
    },
  );
}
