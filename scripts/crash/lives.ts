/** Lives of payouts, mutation by mutation: between them every mutation that moves or touches a payout. */
import { isoDateOf } from '../../src/kernel/calendar.ts';
import { MEMBER_NAME, type StaffName } from './people.ts';

/** What is known of a payout so far. */
export interface Course {
  userId: string;
  payoutId: string;
  formId: string;
}

export interface Step {
  name: string;
  by: StaffName | 'member';
  path: (course: Course) => string;
  body: (course: Course) => Record<string, unknown>;
  /** What the answer adds to what is known. */
  learn?: (course: Course, answer: Record<string, unknown>) => void;
}

const today = () => isoDateOf(new Date());
const onPayout = (
  name: string,
  by: Step['by'],
  action: string,
  body: Record<string, unknown> = {},
): Step => ({
  name,
  by,
  path: ({ payoutId }) => `/api/payouts/${payoutId}/${action}`,
  body: () => body,
});
const byMember = (name: string, action: string, body: () => Record<string, unknown>): Step => ({
  name,
  by: 'member',
  path: ({ userId }) => `/api/members/${userId}/${action}`,
  body,
});
const account = (accountNumber: string) => () => ({
  accountHolderName: MEMBER_NAME,
  routingNumber: '021000021',
  accountNumber,
  accountType: 'checking',
});
const markSent = (name: string): Step => ({
  ...onPayout(name, 'finance2', 'mark-sent'),
  body: () => ({ sentDate: today(), expectedArrivalDate: today() }),
});

const initiate: Step = {
  name: 'initiate',
  by: 'admin',
  path: () => '/api/payouts/initiate',
  body: ({ userId }) => ({ userIds: [userId], overrideReason: 'For the crash test.' }),
  learn: (course, answer) => {
    course.payoutId = (answer['data'] as { payoutId: string }[])[0]?.payoutId ?? '';
  },
};
const approve = onPayout('approve', 'admin2', 'approve');
const calledBack = { callbackVerification: 'Called the member back.' };

export const LIVES: readonly (readonly Step[])[] = [
  [
    initiate,
    onPayout('note', 'admin', 'notes', { note: 'Chosen.' }),
    approve,
    onPayout('approve (last)', 'finance', 'approve'),
    byMember('bank-info', 'bank-info', account('000123456789')),
    {
      ...byMember('tax-info', 'tax-info', () => ({
        legalName: MEMBER_NAME,
        taxClassification: 'individual',
        address: { line1: '1 Main Street', city: 'Springfield', state: 'IL', postalCode: '62701' },
        tinType: 'ssn',
        tin: '123-45-6789',
        certification: { signedName: MEMBER_NAME, signedDate: today(), notSubjectToBackupWithholding: true },
      })),
      learn: (course, answer) => {
        course.formId = String(answer['formId']);
      },
    },
    onPayout('hold', 'admin', 'hold', { reason: 'Wait.' }),
    onPayout('resume', 'admin2', 'resume', { note: 'Go on.' }),
    {
      name: 'W-9 approve',
      by: 'finance',
      path: ({ formId }) => `/api/tax-forms/${formId}/approve`,
      body: () => ({}),
    },
    onPayout('generate', 'finance', 'generate-instructions'),
    byMember('bank change', 'bank-info', account('999900001111')),
    onPayout('generate (again)', 'finance', 'generate-instructions', calledBack),
    markSent('mark-sent'),
    onPayout('fail', 'admin', 'fail', { reason: 'It came back.', returnCode: 'R01' }),
    onPayout('generate (2nd)', 'finance', 'generate-instructions', calledBack),
    markSent('mark-sent (2nd)'),
    { ...onPayout('confirm', 'admin2', 'confirm'), body: () => ({ completedDate: today() }) },
  ],
  [initiate, approve, onPayout('reject', 'finance', 'reject', { reason: 'No.' })],
  [initiate, onPayout('cancel', 'admin2', 'cancel', { reason: 'A mistake.' })],
];
