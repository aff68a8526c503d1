/** What callers see of a payout (specification, section 11): the document's record, masked, by who is looking. */
import { z } from 'zod';
import { PAYMENT_METHODS } from '../db/schema/index.ts';
import type { CallerActor } from '../kernel/actor.ts';
import { startOfDay } from '../kernel/calendar.ts';
import { dollars } from '../kernel/money.ts';
import { PAYOUT_STATUSES } from '../kernel/payout-lifecycle.ts';
import { allowedActions, PAYOUT_ACTIONS } from './payout-actions-rules.ts';
import type { PayoutCase } from './payout.ts';

const instant = z.string().meta({ description: 'ISO 8601, UTC.', example: '2026-11-20T02:00:00.000Z' });
const money = z.number().meta({ description: 'US dollars, at most two decimals.', example: 99700 });

export const bankDetailsView = z
  .object({
    accountHolderName: z.string(),
    routingNumber: z.string().meta({ example: '****0021' }),
    accountNumber: z.string().meta({ example: '****6789' }),
    accountType: z.enum(['checking', 'savings']),
    encrypted: z.boolean(),
  })
  .meta({ description: 'Bank details with masked numbers.' });

export const payoutView = z
  .object({
    id: z.guid(),
    payoutId: z.string(),
    userId: z.guid(),
    queuePosition: z.number().int().meta({ description: 'Position in the queue when selected.' }),
    amount: money.meta({ description: 'Gross, in dollars.' }),
    currency: z.string(),
    status: z.enum(PAYOUT_STATUSES),
    retentionFee: money,
    netAmount: money.meta({ description: 'What is paid: gross - fee - withheld.' }),
    membershipRemovalDate: instant.nullable(),
    eligibilityCheck: z.record(z.string(), z.unknown()).optional(),
    approvalWorkflow: z
      .array(
        z.object({
          adminId: z.number().int(),
          decision: z.enum(['approved', 'rejected']),
          reason: z.string().optional(),
          timestamp: instant,
          round: z.number().int(),
        }),
      )
      .optional(),
    requiredApprovals: z.number().int().optional(),
    initiatedBy: z.number().int().optional(),
    scheduledDate: instant.nullable().meta({ description: 'When the payment is expected to arrive.' }),
    paymentMethod: z.enum(PAYMENT_METHODS),
    bankDetails: bankDetailsView.nullable(),
    taxWithholding: z
      .object({
        withholdingRate: z.number(),
        withheldAmount: money,
        netPayoutAmount: money,
        reason: z.string(),
      })
      .nullable(),
    processing: z.record(z.string(), z.unknown()),
    receiptUrl: z.string().nullable(),
    internalNotes: z
      .array(z.object({ adminId: z.number().int(), note: z.string(), timestamp: instant }))
      .optional(),
    auditTrail: z
      .array(
        z.object({
          action: z.string(),
          actor: z.string(),
          timestamp: instant,
          details: z.record(z.string(), z.unknown()),
        }),
      )
      .optional(),
    holdReason: z.string().nullable().optional(),
    heldFrom: z.enum(PAYOUT_STATUSES).nullable().optional(),
    createdAt: instant,
    updatedAt: instant,
    version: z.number().int().meta({ description: 'Grows with every change.' }),
    allowedActions: z.array(
      z.object({ action: z.enum(PAYOUT_ACTIONS), allowed: z.boolean(), reason: z.string().optional() }),
    ),
  })
  .meta({ id: 'Payout', description: "The document's PayoutManagementRecord, with masked bank details." });

export type PayoutView = z.input<typeof payoutView>;

/** The payout as this caller may see it. Staff see all but numbers; the payee sees nothing of who decided what. */
export function viewPayout(
  actor: CallerActor,
  subject: PayoutCase,
  options: { withTrail: boolean },
): PayoutView {
  const { payout } = subject;
  const common: PayoutView = {
    id: payout.id,
    payoutId: payout.payoutId,
    userId: payout.userId,
    queuePosition: payout.queuePosition,
    amount: dollars(payout.grossCents),
    currency: payout.currency,
    status: payout.status,
    retentionFee: dollars(payout.retentionFeeCents),
    netAmount: dollars(payout.netCents),
    membershipRemovalDate: dayAsInstant(payout.membershipRemovalDate),
    scheduledDate: dayAsInstant(payout.scheduledDate),
    paymentMethod: payout.paymentMethod,
    bankDetails: payout.bankDetails,
    taxWithholding: payout.taxWithholding && {
      withholdingRate: payout.taxWithholding.withholding_rate,
      withheldAmount: payout.taxWithholding.withheld_amount,
      netPayoutAmount: payout.taxWithholding.net_payout_amount,
      reason: payout.taxWithholding.reason,
    },
    processing: { ...payout.processing },
    receiptUrl: payout.receiptUrl,
    createdAt: payout.createdAt.toISOString(),
    updatedAt: payout.updatedAt.toISOString(),
    version: payout.version,
    allowedActions: allowedActions(actor, subject),
  };
  if (actor.kind !== 'staff') return withoutStaffRemarks(common);
  return {
    ...common,
    eligibilityCheck: { ...payout.eligibilityCheck },
    approvalWorkflow: payout.approvalWorkflow,
    requiredApprovals: payout.requiredApprovals,
    initiatedBy: payout.initiatedBy,
    internalNotes: payout.internalNotes,
    holdReason: payout.holdReason,
    heldFrom: payout.heldFrom,
    ...(options.withTrail ? { auditTrail: payout.auditTrail } : {}),
  };
}

/** Staff write notes and reasons for each other: the payee gets neither. */
function withoutStaffRemarks(view: PayoutView): PayoutView {
  const { notes: _notes, ...processing } = view.processing;
  return { ...view, processing };
}

const dayAsInstant = (day: string | null): string | null =>
  day === null ? null : startOfDay(day).toISOString();
