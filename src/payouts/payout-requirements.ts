/** What a payout still needs before it can be paid (specification, section 3). */
import { and, desc, eq, sql } from 'drizzle-orm';
import type { Reader } from '../db/client.ts';
import { personName } from '../db/person-name.ts';
import {
  kycVerification,
  payoutManagement,
  taxForms,
  userAddresses,
  users,
  type W9Data,
} from '../db/schema/index.ts';
import type { Payout } from './payout.ts';

export interface PayeeAddress {
  line1: string;
  line2: string | null;
  city: string;
  state: string;
  postalCode: string;
  country: string;
}

/** What is known of the payee at this moment, from the main app's tables and the approved W-9. */
export interface PayeeFacts {
  kycVerified: boolean;
  /** The name on the identity check, or the account's where the check has none; empty where nobody is named. */
  legalName: string;
  address: PayeeAddress | undefined;
  w9: { formId: string; data: W9Data } | undefined;
}

export async function readPayeeFacts(reader: Reader, userId: string): Promise<PayeeFacts> {
  const [[person], [kyc], [address], [w9]] = await Promise.all([
    reader.select({ name: personName() }).from(users).where(eq(users.id, userId)),
    reader
      .select({
        status: kycVerification.status,
        // As it is written: instructions that were made from it are compared with it.
        legalName: sql<
          string | null
        >`CASE WHEN btrim(${kycVerification.legalName}) <> '' THEN ${kycVerification.legalName} END`,
      })
      .from(kycVerification)
      .where(eq(kycVerification.userId, userId))
      .orderBy(sql`${kycVerification.verifiedAt} DESC NULLS LAST`, kycVerification.id)
      .limit(1),
    reader
      .select({
        line1: userAddresses.line1,
        line2: userAddresses.line2,
        city: userAddresses.city,
        state: userAddresses.state,
        postalCode: userAddresses.postalCode,
        country: userAddresses.country,
      })
      .from(userAddresses)
      .where(and(eq(userAddresses.userId, userId), userAddresses.isPrimary))
      .orderBy(desc(userAddresses.id))
      .limit(1),
    reader
      .select({ formId: taxForms.formId, data: taxForms.w9 })
      .from(taxForms)
      .where(and(eq(taxForms.userId, userId), eq(taxForms.formType, 'W-9'), eq(taxForms.status, 'approved'))),
  ]);
  return {
    kycVerified: kyc?.status === 'verified',
    legalName: kyc?.legalName ?? person?.name ?? '',
    address: wholeAddress(address),
    w9: w9?.data ? { formId: w9.formId, data: w9.data } : undefined,
  };
}

/** An address that a letter reaches; the main app may keep one that is written in part. */
function wholeAddress(address: Written<PayeeAddress> | undefined): PayeeAddress | undefined {
  if (!address) return undefined;
  const { line1, line2, city, state, postalCode, country } = address;
  if (isBlank(line1) || isBlank(city) || isBlank(state) || isBlank(postalCode)) return undefined;
  return { line1, line2, city, state, postalCode, country: isBlank(country) ? 'US' : country };
}

/** The main app's columns may be null where ours are not. */
type Written<T> = { [K in keyof T]: T[K] | null };

const isBlank = (text: string | null): text is null => text === null || text.trim() === '';

/** The names that stand beside the one on a W-9: of the identity check, and of the newest payout's account. */
export interface NamesBeside {
  kyc: string;
  accountHolder: string | undefined;
}

export async function readNamesBeside(reader: Reader, userId: string): Promise<NamesBeside> {
  const [payee, [payout]] = await Promise.all([
    readPayeeFacts(reader, userId),
    reader
      .select({ bankDetails: payoutManagement.bankDetails })
      .from(payoutManagement)
      .where(eq(payoutManagement.userId, userId))
      .orderBy(desc(payoutManagement.createdAt))
      .limit(1),
  ]);
  return { kyc: payee.legalName, accountHolder: payout?.bankDetails?.accountHolderName };
}

export type Standing = 'approved' | 'pending_bank_info' | 'pending_tax_info';

/** Where an approved payout stands, by what is there: bank details (or an address for a check) first, then the W-9. */
export function standingOf(
  payout: Pick<Payout, 'paymentMethod' | 'bankDetailsVersion'>,
  payee: PayeeFacts,
): Standing {
  const canBePaid =
    payout.paymentMethod === 'ach' ? payout.bankDetailsVersion !== null : payee.address !== undefined;
  if (!canBePaid) return 'pending_bank_info';
  return payee.w9 ? 'approved' : 'pending_tax_info';
}
