import { z } from 'zod';
import { route, type Route } from '../http/route.ts';
import { instant, money } from '../http/schemas.ts';
import type { EligibilityChecker, EligibilityResult } from './eligibility-checker.ts';

const eligibilityView = z
  .object({
    isEligible: z.boolean(),
    totalRevenue: money,
    companyAgeMonths: z.number().int().meta({ description: 'Months of 30 days since the launch.' }),
    potentialWinners: z.number().int().meta({ description: 'How many payouts revenue funds in all.' }),
    eligibleMemberCount: z.number().int(),
    awardedPayouts: z.number().int().meta({ description: 'Payouts that are not rejected or cancelled.' }),
    availableSlots: z.number().int().meta({ description: 'How many more revenue funds.' }),
    nextCheckDate: instant,
    reason: z.string().optional().meta({ description: 'Why not, when it is not.' }),
  })
  .meta({ id: 'EligibilityResult' });

const example: EligibilityResult = {
  isEligible: true,
  totalRevenue: 1250000,
  companyAgeMonths: 47,
  potentialWinners: 12,
  eligibleMemberCount: 150,
  awardedPayouts: 9,
  availableSlots: 3,
  nextCheckDate: '2026-11-21T02:00:00.000Z',
};

export function eligibilityRoutes(checker: EligibilityChecker): Route[] {
  return [
    route({
      method: 'get',
      path: '/api/payouts/eligibility',
      tag: 'Eligibility',
      summary: 'Can payouts be issued now?',
      needs: 'eligibility.read',
      reply: eligibilityView,
      example: { reply: example },
      handle: () => checker.checkEligibility(),
    }),
    route({
      method: 'post',
      path: '/api/payouts/check-eligibility',
      tag: 'Eligibility',
      summary: 'Run the eligibility check now and record it',
      description:
        'Raises the alert and writes to the admins as the daily check does. It never creates a payout.',
      needs: 'eligibility.check',
      reply: eligibilityView,
      example: { reply: example },
      handle: ({ actor }) => checker.recordCheck(actor),
    }),
  ];
}
