import type { MailModels } from '../../src/notifications/mail-templates.ts';

const portal = 'https://members.example.com/payout';
const dashboard = 'https://admin.example.com/payouts';
// As long as a signed link is, so that previews show how it wraps.
const token = `eyJhbGciOiJIUzI1NiJ9.${'eyJwYXlvdXQiOiJQTy0yMDI2LTdRMks5TTRYIn0'.repeat(5)}.Sm9obi1zaWduYXR1cmU`;
const payoutId = 'PO-2026-7Q2K9M4X';
const member = { recipientName: 'Maria Gonzalez', payoutId, link: `${portal}?token=${token}` };
const staff = {
  recipientName: 'Alex Rivera',
  payoutId,
  link: `${dashboard}?payout=${payoutId}&token=${token}`,
};

/** One believable model for each template, for previews and tests. */
export const sampleModels: MailModels = {
  winner: { ...member, grossAmount: '$100,000.00', retentionFee: '$300.00' },
  'bank-info-wanted': member,
  'address-wanted': member,
  'tax-info-wanted': member,
  'bank-details-changed': {
    ...member,
    changedAt: 'March 3, 2026, 14:05 UTC',
    accountLastFour: '6789',
  },
  'payment-sent': {
    ...member,
    netAmount: '$99,700.00',
    paymentMethod: 'Bank transfer (ACH)',
    sentDate: 'March 10, 2026',
    expectedArrivalDate: 'March 13, 2026',
    trackingNumber: 'ACH-20260310-0042',
  },
  'payment-confirmed': {
    ...member,
    grossAmount: '$100,000.00',
    retentionFee: '$300.00',
    withheldAmount: '$24,000.00',
    netAmount: '$75,700.00',
    completedDate: 'March 13, 2026',
  },
  'payment-failed': {
    ...member,
    netAmount: '$99,700.00',
    reason: 'The bank could not find an account with this number.',
    nextStep: 'Please give us the details of an account in your name; we then prepare a new payment.',
  },
  'removal-notice': {
    recipientName: member.recipientName,
    removalDate: 'March 13, 2027',
    link: portal,
  },
  'membership-removed': {
    recipientName: member.recipientName,
    removedDate: 'March 13, 2027',
    link: 'https://members.example.com/join',
  },
  'tax-form-rejected': {
    ...member,
    reason: 'The name on line 1 is not the name that belongs to this taxpayer number.',
  },
  'form-1099-ready': { recipientName: member.recipientName, taxYear: '2026', link: member.link },
  'payouts-available': {
    recipientName: staff.recipientName,
    totalRevenue: '$312,450.00',
    availableSlots: '3',
    checkedAt: 'March 3, 2026, 02:00 UTC',
    link: dashboard,
  },
  'payouts-created': {
    recipientName: staff.recipientName,
    payoutIds: `${payoutId}, PO-2026-3H8N5T1Z`,
    winnerNames: 'Maria Gonzalez, Wei Chen',
    initiatedBy: 'Sam Taylor',
    link: dashboard,
  },
  'approval-wanted': {
    ...staff,
    payeeName: 'Maria Gonzalez',
    grossAmount: '$100,000.00',
    initiatedBy: 'Sam Taylor',
  },
  'approval-reminder': {
    ...staff,
    payeeName: 'Maria Gonzalez',
    grossAmount: '$100,000.00',
    waitingSince: 'February 27, 2026',
  },
  'w9-to-review': { ...staff, memberName: 'Maria Gonzalez', submittedAt: 'March 4, 2026, 09:12 UTC' },
  'payment-delayed': {
    ...staff,
    payeeName: 'Maria Gonzalez',
    netAmount: '$99,700.00',
    sentDate: 'March 10, 2026',
    expectedArrivalDate: 'March 13, 2026',
  },
  'manual-review': {
    ...staff,
    payeeName: 'Maria Gonzalez',
    reason: 'The account holder’s name differs from the name on Form W-9.',
  },
  'dead-letter': {
    ...staff,
    messageName: 'payment-sent',
    recipient: 'member0001@example.com',
    attempts: '4',
    reason: '550 5.1.1 No such user here',
  },
  'staff-notice': {
    recipientName: staff.recipientName,
    title: 'Payout PO-2026-7Q2K9M4X completed',
    occurredAt: 'March 13, 2026, 16:40 UTC',
    details: '$99,700.00 arrived on March 13, 2026.',
    link: dashboard,
  },
  'critical-failure': {
    recipientName: staff.recipientName,
    title: 'The eligibility check failed',
    occurredAt: 'March 3, 2026, 02:00 UTC',
    details: 'The database did not answer within 30 seconds.',
    link: 'https://admin.example.com/alerts',
  },
};
