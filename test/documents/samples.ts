import type { Form1099MiscInput } from '../../src/documents/form-1099-document.ts';
import type { PaymentInstructionsInput } from '../../src/documents/payment-instructions-document.ts';
import type { ReceiptInput } from '../../src/documents/receipt-document.ts';

const amounts = { grossCents: 10_000_000, retentionFeeCents: 30_000, withheldCents: 0, netCents: 9_970_000 };

export const withheldAmounts = {
  ...amounts,
  withheldCents: 2_400_000,
  netCents: 7_570_000,
  withholdingReason: 'No approved W-9 by the payment date; the member asked to be paid now.',
};

const address = {
  line1: '1200 Márquez Avenue NE',
  line2: 'Apt 4B',
  city: 'Albuquerque',
  state: 'NM',
  postalCode: '87110-1234',
  country: 'United States',
};

export const achInstructions: PaymentInstructionsInput = {
  payoutId: 'PO-2026-7Q4K9D2M',
  attempt: 1,
  instructionsHash: '9f2c4be81a07d35566aa0bc1d2e3f405162738495a6b7c8d9e0f1a2b3c4d5e6f',
  generatedAt: new Date('2026-03-04T15:07:00Z'),
  generatedBy: 'finance@example.com (staff 3)',
  paymentMethod: 'ach',
  payeeName: 'Łukasz Nuñez-Öztürk',
  amounts,
  bank: {
    accountHolderName: 'Łukasz Nuñez-Öztürk',
    routingNumber: '021000021',
    accountNumber: '000123456789',
    accountType: 'checking',
  },
  callbackVerification: 'Called +1 505 555 0142 on 2026-03-03; the member confirmed the last four digits.',
  downloadedBy: 'finance2@example.com (staff 4)',
  downloadedAt: new Date('2026-03-04T15:32:10Z'),
  memo: 'Payout PO-2026-7Q4K9D2M',
};

export const checkInstructions: PaymentInstructionsInput = {
  ...achInstructions,
  attempt: 2,
  paymentMethod: 'check',
  payeeName: 'Nguyễn Thị Ánh',
  bank: undefined,
  address,
  callbackVerification: undefined,
};

export const achReceipt: ReceiptInput = {
  payoutId: 'PO-2026-7Q4K9D2M',
  payeeName: 'Łukasz Nuñez-Öztürk',
  paymentMethod: 'ach',
  accountLast4: '6789',
  amounts,
  sentDate: '2026-03-04',
  completedDate: '2026-03-06',
  expectedArrivalDate: '2026-03-06',
  confirmationNumber: 'CONF-55812',
  membershipRemovalDate: '2027-03-06',
  issuedAt: new Date('2026-03-06T10:00:00Z'),
};

export const checkReceipt: ReceiptInput = {
  ...achReceipt,
  payeeName: 'Nguyễn Thị Ánh',
  paymentMethod: 'check',
  accountLast4: undefined,
  mailingAddress: address,
  trackingNumber: '9400 1000 0000 0000 0000 00',
};

export const recipientForm: Form1099MiscInput = {
  formId: '1099-2026-K3M8Q1ZT',
  taxYear: 2026,
  copy: 'B',
  status: 'issued',
  payer: {
    name: 'Example Rewards, Inc.',
    addressLines: ['500 Market Street, Suite 900', 'San Francisco, CA 94105'],
    tin: '12-3456789',
    phone: '(415) 555-0100',
  },
  recipient: {
    name: 'Łukasz Nuñez-Öztürk',
    addressLines: ['1200 Márquez Avenue NE', 'Apt 4B', 'Albuquerque, NM 87110-1234'],
    tin: 'XXX-XX-1234',
  },
  accountNumber: 'PO-2026-7Q4K9D2M',
  box3OtherIncomeCents: 10_000_000,
  box4FederalTaxWithheldCents: 2_400_000,
  issuedAt: new Date('2027-01-20T00:00:00Z'),
};
