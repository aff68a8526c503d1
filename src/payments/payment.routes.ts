import { z } from 'zod';
import { PAYMENT_METHODS } from '../db/schema/index.ts';
import { Download, route, type Route } from '../http/route.ts';
import { isoDate, line, money, paragraph, payoutParams } from '../http/schemas.ts';
import { PAYOUT_STATUSES } from '../kernel/payout-lifecycle.ts';
import { examplePayout } from '../payouts/payout-example.ts';
import { bankDetailsView } from '../payouts/payout-view.ts';
import { payoutMove } from '../payouts/payout.routes.ts';
import type { BankDetailsService } from './bank-details-service.ts';
import type { PaymentDocuments } from './payment-documents.ts';
import type { PaymentInstructions } from './payment-instructions.ts';
import type { PaymentProcessor } from './payment-processor.ts';

const tag = 'Payments';
const PDF = 'application/pdf';

const instructionsView = z
  .object({
    payoutId: z.string(),
    attempt: z.number().int(),
    paymentMethod: z.enum(PAYMENT_METHODS),
    amount: money.meta({ description: 'What is to be paid: the net.' }),
    currency: z.string(),
    recipient: z.object({ userId: z.guid(), fullName: z.string() }),
    bankDetails: bankDetailsView.nullable(),
    mailingAddress: z
      .object({
        line1: z.string(),
        line2: z.string().nullish(),
        city: z.string(),
        state: z.string(),
        postalCode: z.string(),
        country: z.string(),
      })
      .nullable(),
    calculation: z.object({
      grossAmount: money,
      retentionFee: money,
      taxWithholding: money,
      netAmount: money,
      breakdown: z.array(z.object({ description: z.string(), amount: money })),
    }),
    instructionsHash: z.string(),
    instructionsPdfUrl: z.string(),
    status: z.enum(PAYOUT_STATUSES),
    version: z.number().int(),
  })
  .meta({ id: 'PaymentInstructions' });

const exampleInstructions: PaymentInstructions = {
  payoutId: examplePayout.payoutId,
  attempt: 1,
  paymentMethod: 'ach',
  amount: 99700,
  currency: 'USD',
  recipient: { userId: examplePayout.userId, fullName: 'Ada Albright' },
  bankDetails: {
    accountHolderName: 'Ada Albright',
    routingNumber: '****0021',
    accountNumber: '****6789',
    accountType: 'checking',
    encrypted: true,
  },
  mailingAddress: null,
  calculation: {
    grossAmount: 100000,
    retentionFee: 300,
    taxWithholding: 0,
    netAmount: 99700,
    breakdown: [
      { description: 'Gross Payout', amount: 100000 },
      { description: 'Retention Fee (Next Year)', amount: -300 },
      { description: 'Net Payout', amount: 99700 },
    ],
  },
  instructionsHash: '5f0c2f0c8b6f4f8d2c7a9b1e3d5f7a9c0b2d4f6a8c0e1f3a5b7c9d1e3f5a7b9c',
  instructionsPdfUrl: `/api/payouts/${examplePayout.payoutId}/instructions`,
  status: 'ready_for_payment',
  version: 6,
};

const instructionsBody = z.strictObject({
  paymentMethod: z.enum(PAYMENT_METHODS).optional(),
  applyBackupWithholding: z
    .boolean()
    .optional()
    .meta({ description: 'Withhold 24%, there being no approved W-9.' }),
  reason: paragraph(1000)
    .optional()
    .meta({ description: 'Why tax is withheld; required with applyBackupWithholding.' }),
  callbackVerification: paragraph(1000)
    .optional()
    .meta({ description: 'Who called the member back about changed bank details, and when.' }),
});

export function paymentRoutes(
  processor: PaymentProcessor,
  documents: PaymentDocuments,
  bankDetails: BankDetailsService,
): Route[] {
  return [
    route({
      ...payoutMove,
      method: 'post',
      path: '/api/payouts/:id/generate-instructions',
      tag,
      summary: 'Generate payment instructions',
      description:
        'Freezes amounts and payee under a hash. Without an approved W-9 backup withholding must be asked for.',
      needs: 'instructions.generate',
      body: instructionsBody,
      reply: instructionsView,
      errors: [
        'INVALID_STATE',
        'SEPARATION_OF_DUTIES',
        'BANK_INFO_MISSING',
        'ADDRESS_MISSING',
        'W9_MISSING',
        'WITHHOLDING_NOT_DUE',
        'COOLOFF_ACTIVE',
        'KYC_NOT_VERIFIED',
        'NAME_MISMATCH',
      ],
      example: { body: { paymentMethod: 'ach' }, reply: exampleInstructions },
      handle: ({ actor, params, body }) => processor.generatePaymentInstructions(actor, params.id, body),
    }),
    route({
      ...payoutMove,
      method: 'get',
      path: '/api/payouts/:id/instructions',
      tag,
      summary: 'Download the payment instructions as PDF',
      description: 'With the full account number. Every download is audited.',
      needs: 'instructions.download',
      files: [PDF],
      reply: undefined,
      errors: ['SEPARATION_OF_DUTIES'],
      handle: async ({ actor, params }) =>
        new Download(PDF, `${params.id}-instructions.pdf`, await documents.instructions(actor, params.id)),
    }),
    route({
      ...payoutMove,
      method: 'post',
      path: '/api/payouts/:id/mark-sent',
      tag,
      summary: 'Record that the payment has been sent',
      description:
        'Never by whoever generated the instructions. Checks once more that nothing has changed since.',
      needs: 'payments.mark-sent',
      stepUp: true,
      keepsKey: true,
      body: z.strictObject({
        sentDate: isoDate,
        expectedArrivalDate: isoDate,
        trackingNumber: line(100).optional(),
        notes: paragraph(2000).optional(),
      }),
      errors: ['INVALID_STATE', 'SEPARATION_OF_DUTIES', 'INSTRUCTIONS_STALE', 'STEP_UP_REQUIRED'],
      example: {
        body: { sentDate: '2026-11-20', expectedArrivalDate: '2026-11-24', trackingNumber: 'ACH-2026-0001' },
        reply: { ...examplePayout, status: 'payment_sent' },
      },
      handle: ({ actor, params, body }) => processor.markPaymentSent(actor, params.id, body),
    }),
    route({
      ...payoutMove,
      method: 'post',
      path: '/api/payouts/:id/confirm',
      tag,
      summary: 'Confirm that the payment has arrived',
      needs: 'payments.confirm',
      keepsKey: true,
      body: z.strictObject({ completedDate: isoDate, confirmationNumber: line(100).optional() }),
      example: {
        body: { completedDate: '2026-11-24', confirmationNumber: 'CONF-1' },
        reply: { ...examplePayout, status: 'completed' },
      },
      handle: ({ actor, params, body }) => processor.confirmPaymentComplete(actor, params.id, body),
    }),
    route({
      ...payoutMove,
      method: 'post',
      path: '/api/payouts/:id/fail',
      tag,
      summary: 'Record that a payment failed or came back',
      description:
        'A payment that was sent needs evidence: returnCode for ACH, stopPaymentReference for a check.',
      needs: 'payments.fail',
      body: z.strictObject({
        reason: paragraph(1000),
        returnCode: z
          .string()
          .regex(/^R(0[1-9]|[1-7][0-9]|8[0-5])$/, 'must be an ACH return code, R01 to R85')
          .optional(),
        stopPaymentReference: line(100).optional(),
      }),
      errors: ['INVALID_STATE', 'SEPARATION_OF_DUTIES', 'FAILURE_NOT_PROVEN'],
      example: {
        body: { reason: 'Returned by the bank.', returnCode: 'R01' },
        reply: { ...examplePayout, status: 'payment_failed' },
      },
      handle: ({ actor, params, body }) => processor.handlePaymentFailure(actor, params.id, body),
    }),
    route({
      ...payoutMove,
      method: 'get',
      path: '/api/payouts/:id/receipt',
      tag,
      summary: 'Download the receipt as PDF',
      description: 'Once the payment is completed; for staff and the payee.',
      needs: 'receipts.read',
      files: [PDF],
      reply: undefined,
      errors: [],
      handle: async ({ actor, params }) =>
        new Download(PDF, `${params.id}-receipt.pdf`, await documents.receipt(actor, params.id)),
    }),
    route({
      ...payoutMove,
      method: 'post',
      path: '/api/payouts/:id/bank-info/reveal',
      tag,
      summary: 'Show the full account number once',
      description:
        'For finance, with a reason; audited, told to the admins, and at most five full numbers an hour and person.',
      needs: 'secrets.reveal',
      stepUp: true,
      idempotency: 'never',
      params: payoutParams,
      body: z.strictObject({ reason: paragraph(1000) }),
      reply: z.object({ payoutId: z.string(), routingNumber: z.string(), accountNumber: z.string() }),
      errors: ['SEPARATION_OF_DUTIES', 'STEP_UP_REQUIRED'],
      example: {
        body: { reason: 'The bank asks for the account number of a returned payment.' },
        reply: {
          payoutId: examplePayout.payoutId,
          routingNumber: '021000021',
          accountNumber: '000123456789',
        },
      },
      handle: ({ actor, params, body }) => bankDetails.reveal(actor, params.id, body.reason),
    }),
  ];
}
