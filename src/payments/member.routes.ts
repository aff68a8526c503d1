import { z } from 'zod';
import { route, type Route } from '../http/route.ts';
import { line, memberParams } from '../http/schemas.ts';
import type { CallerActor } from '../kernel/actor.ts';
import { PAYOUT_STATUSES, type PayoutStatus } from '../kernel/payout-lifecycle.ts';
import { examplePayout } from '../payouts/payout-example.ts';
import { bankDetailsView, payoutView, viewPayout, type PayoutView } from '../payouts/payout-view.ts';
import type { Payouts } from '../payouts/payouts.ts';
import { isAccountNumber, isRoutingNumber } from './bank-details-rules.ts';
import type { BankDetailsService } from './bank-details-service.ts';

const tag = 'Members';

const nextStepView = z.object({
  action: z.enum(['submit_bank_info', 'add_address', 'submit_tax_info', 'wait', 'none']),
  message: z.string(),
});

const bankInfoBody = z.strictObject({
  accountHolderName: line(200),
  routingNumber: z.string().refine(isRoutingNumber, 'must be a valid ABA routing number of nine digits'),
  accountNumber: z.string().refine(isAccountNumber, 'must be 4 to 17 digits'),
  accountType: z.enum(['checking', 'savings']),
});

export function memberRoutes(payouts: Payouts, bankDetails: BankDetailsService): Route[] {
  return [
    route({
      method: 'get',
      path: '/api/members/:userId/payout',
      tag,
      summary: 'Read a member’s latest payout and what is asked of them next',
      needs: 'member-payout.read',
      params: memberParams,
      reply: payoutView
        .omit({ id: true })
        .extend({ nextSteps: z.array(nextStepView) })
        .meta({ id: 'MemberPayout' }),
      example: {
        reply: {
          ...memberExample(),
          nextSteps: [{ action: 'submit_bank_info', message: 'Give the bank account that we shall pay to.' }],
        },
      },
      handle: async ({ actor, params }) => {
        // A UUID may be written in capitals; people are known by small letters.
        const userId = params.userId.toLowerCase();
        const subject = await payouts.findLatestOf(actor, userId);
        const view = viewPayout(ownView(actor, userId), subject, { withTrail: false });
        return { ...view, nextSteps: nextSteps(view) };
      },
    }),
    route({
      method: 'post',
      path: '/api/members/:userId/bank-info',
      tag,
      summary: 'Submit bank details',
      description:
        'By the member alone. A change of details already given voids instructions and starts a cool-off.',
      needs: 'bank-info.submit',
      stepUp: true,
      params: memberParams,
      body: bankInfoBody,
      reply: z.object({
        payoutId: z.string(),
        status: z.enum(PAYOUT_STATUSES),
        bankDetails: bankDetailsView.nullable(),
      }),
      errors: ['INVALID_STATE', 'SEPARATION_OF_DUTIES', 'BANK_DETAILS_REFUSED', 'STEP_UP_REQUIRED'],
      example: {
        body: {
          accountHolderName: 'Ada Albright',
          routingNumber: '021000021',
          accountNumber: '000123456789',
          accountType: 'checking',
        },
        reply: {
          payoutId: examplePayout.payoutId,
          status: 'pending_tax_info',
          bankDetails: {
            accountHolderName: 'Ada Albright',
            routingNumber: '****0021',
            accountNumber: '****6789',
            accountType: 'checking',
            encrypted: true,
          },
        },
      },
      handle: async ({ actor, params, body }) => {
        const view = await bankDetails.submit(actor, params.userId, body);
        return { payoutId: view.payoutId, status: view.status, bankDetails: view.bankDetails };
      },
    }),
  ];
}

/** People look at their own payout as members, whatever else they are. */
const ownView = (actor: CallerActor, userId: string): CallerActor =>
  actor.kind === 'staff' && actor.userId === userId ? { kind: 'member', userId, email: actor.email } : actor;

const MESSAGES: Partial<Record<PayoutStatus, z.infer<typeof nextStepView>[]>> = {
  pending_bank_info: [{ action: 'submit_bank_info', message: 'Give the bank account that we shall pay to.' }],
  pending_tax_info: [
    { action: 'submit_tax_info', message: 'Submit your W-9; if you have, it is being reviewed.' },
  ],
  approved: [{ action: 'wait', message: 'We have all that we need and prepare the payment.' }],
  ready_for_payment: [{ action: 'wait', message: 'The payment is about to be sent.' }],
  payment_sent: [{ action: 'wait', message: 'The payment is on its way.' }],
  payment_failed: [{ action: 'wait', message: 'The payment did not go through; we shall send it again.' }],
  requires_manual_review: [
    { action: 'wait', message: 'We are looking at your payout and will be in touch.' },
  ],
};

/** A check waits for an address in the member's account, where ACH waits for bank details. */
const ADDRESS_WANTED: z.infer<typeof nextStepView>[] = [
  { action: 'add_address', message: 'Add a primary address to your account, so that we can mail the check.' },
];

function nextSteps({ status, paymentMethod }: PayoutView): z.infer<typeof nextStepView>[] {
  if (status === 'pending_bank_info' && paymentMethod === 'check') return ADDRESS_WANTED;
  return MESSAGES[status] ?? [{ action: 'none', message: 'Nothing is asked of you.' }];
}

function memberExample(): Omit<PayoutView, 'id'> {
  const {
    id: _id,
    eligibilityCheck: _a,
    approvalWorkflow: _b,
    internalNotes: _c,
    auditTrail: _d,
    initiatedBy: _e,
    ...rest
  } = examplePayout;
  return { ...rest, status: 'pending_bank_info' };
}
