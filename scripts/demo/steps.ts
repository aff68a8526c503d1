/** The steps of a payout's life, as each of the people takes them over HTTP. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DemoError, type DemoClient, type Json } from '../demo-client.ts';

export const OUTPUT = 'demo-output';
export const print = (line = '') => process.stdout.write(`${line}\n`);

export interface Candidate {
  userId: string;
  email: string;
  fullName: string;
  queuePosition: number;
  validation: { isValid: boolean };
}

export interface Staff {
  admin: DemoClient;
  admin2: DemoClient;
  finance: DemoClient;
  finance2: DemoClient;
}

export async function nextWinner({ admin }: Staff): Promise<Candidate> {
  const page = await admin.get<{ data: Candidate[]; availableSlots: number }>(
    '/api/payouts/eligible-members?limit=200',
  );
  const winner = page.data.find(({ validation }) => validation.isValid);
  if (page.availableSlots < 1 || !winner) {
    throw new DemoError(
      'Every funded payout has been awarded. Stop the service, delete the folder .data and start it again.',
    );
  }
  return winner;
}

export async function approvedPayout(staff: Staff, winner: Candidate): Promise<string> {
  print(`\n${winner.fullName} (${winner.email}) is number ${winner.queuePosition} in the queue.\n`);
  const { data } = await staff.admin.post<{ data: { payoutId: string }[] }>('/api/payouts/initiate', {
    userIds: [winner.userId],
  });
  const payoutId = data[0]?.payoutId ?? '';
  const { status } = await staff.admin2.post<{ status: string }>(`/api/payouts/${payoutId}/approve`, {
    reason: 'Position and identity checked.',
  });
  // Below $100,000 one is enough.
  if (status === 'pending_approval')
    await staff.finance.post(`/api/payouts/${payoutId}/approve`, { reason: 'Funded.' });
  return payoutId;
}

export const bankInfo = (winner: Candidate): Json => ({
  accountHolderName: winner.fullName,
  routingNumber: '021000021',
  accountNumber: '000123456789',
  accountType: 'checking',
});

const w9 = (winner: Candidate, today: string): Json => ({
  legalName: winner.fullName,
  taxClassification: 'individual',
  address: { line1: '1 Main Street', city: 'Springfield', state: 'IL', postalCode: '62701' },
  tinType: 'ssn',
  tin: '123-45-6789',
  certification: { signedName: winner.fullName, signedDate: today, notSubjectToBackupWithholding: true },
});

/** From ready details to the receipt. Returns what was paid, in dollars. */
export async function pay(
  staff: Staff,
  member: DemoClient,
  payoutId: string,
  today: string,
  withholding: Json,
): Promise<number> {
  await staff.finance.post(`/api/payouts/${payoutId}/generate-instructions`, withholding);
  save(`${payoutId}-instructions.pdf`, await staff.finance2.pdf(`/api/payouts/${payoutId}/instructions`));
  await staff.finance2.post(`/api/payouts/${payoutId}/mark-sent`, {
    sentDate: today,
    expectedArrivalDate: today,
    trackingNumber: 'DEMO-1',
  });
  const done = await staff.finance.post<{ netAmount: number }>(`/api/payouts/${payoutId}/confirm`, {
    completedDate: today,
    confirmationNumber: 'DEMO-OK',
  });
  save(`${payoutId}-receipt.pdf`, await member.pdf(`/api/payouts/${payoutId}/receipt`));
  await member.get(`/api/members/${member.userId}/membership`);
  return done.netAmount;
}

export function save(name: string, content: Buffer): void {
  mkdirSync(OUTPUT, { recursive: true });
  writeFileSync(join(OUTPUT, name), content);
  print(`  ${''.padEnd(12)} saved ${join(OUTPUT, name)}`);
}

/** From the winner to the receipt, with a W-9. Returns what was paid, in dollars. */
export async function winAndBePaid(
  staff: Staff,
  winner: Candidate,
  member: DemoClient,
  payoutId: string,
  today: string,
): Promise<number> {
  await member.get(`/api/members/${winner.userId}/payout`);
  await member.post(`/api/members/${winner.userId}/bank-info`, bankInfo(winner));
  const { formId } = await member.post<{ formId: string }>(
    `/api/members/${winner.userId}/tax-info`,
    w9(winner, today),
  );
  await staff.finance.post(`/api/tax-forms/${formId}/approve`);
  return pay(staff, member, payoutId, today, {});
}
