/** Walks payouts through their whole life over HTTP, as each of the people would. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { config as readDotenv } from 'dotenv';
import { isoDateOf } from '../src/kernel/calendar.ts';
import { DemoClient, DemoError, type Json } from './demo-client.ts';

readDotenv({ quiet: true });
const url = process.env['DEMO_URL'] ?? `http://localhost:${process.env['PORT'] ?? '3002'}`;
const OUTPUT = 'demo-output';
const print = (line = '') => process.stdout.write(`${line}\n`);

interface Candidate {
  userId: string;
  email: string;
  fullName: string;
  queuePosition: number;
  validation: { isValid: boolean };
}

interface Staff {
  admin: DemoClient;
  admin2: DemoClient;
  finance: DemoClient;
  finance2: DemoClient;
}

async function nextWinner({ admin }: Staff): Promise<Candidate> {
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

async function approvedPayout(staff: Staff, winner: Candidate): Promise<string> {
  print(`\n${winner.fullName} (${winner.email}) is number ${winner.queuePosition} in the queue.\n`);
  const { data } = await staff.admin.post<{ data: { payoutId: string }[] }>('/api/payouts/initiate', {
    userIds: [winner.userId],
  });
  const payoutId = data[0]?.payoutId ?? '';
  await staff.admin2.post(`/api/payouts/${payoutId}/approve`, { reason: 'Position and identity checked.' });
  await staff.finance.post(`/api/payouts/${payoutId}/approve`, { reason: 'Funded.' });
  return payoutId;
}

const bankInfo = (winner: Candidate): Json => ({
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
async function pay(
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

function save(name: string, content: Buffer): void {
  mkdirSync(OUTPUT, { recursive: true });
  writeFileSync(join(OUTPUT, name), content);
  print(`  ${''.padEnd(12)} saved ${join(OUTPUT, name)}`);
}

async function main(): Promise<void> {
  const [admin, admin2, finance, finance2] = await Promise.all(
    ['admin', 'admin2', 'finance', 'finance2'].map((name) => DemoClient.signIn(url, `${name}@example.com`)),
  );
  if (!admin || !admin2 || !finance || !finance2) throw new DemoError('Not everybody could sign in.');
  const staff = { admin, admin2, finance, finance2 };
  const today = await serviceDay();
  print('Can payouts be issued?\n');
  await admin.post('/api/payouts/check-eligibility');

  const first = await nextWinner(staff);
  const firstId = await approvedPayout(staff, first);
  const member = await DemoClient.signIn(url, first.email);
  await member.get(`/api/members/${first.userId}/payout`);
  await member.post(`/api/members/${first.userId}/bank-info`, bankInfo(first));
  const { formId } = await member.post<{ formId: string }>(
    `/api/members/${first.userId}/tax-info`,
    w9(first, today),
  );
  await finance.post(`/api/tax-forms/${formId}/approve`);
  const withW9 = await pay(staff, member, firstId, today, {});

  const second = await nextWinner(staff);
  const secondId = await approvedPayout(staff, second);
  const other = await DemoClient.signIn(url, second.email);
  await other.post(`/api/members/${second.userId}/bank-info`, bankInfo(second));
  const withheld = await pay(staff, other, secondId, today, {
    applyBackupWithholding: true,
    reason: 'No W-9 after two reminders.',
  });

  print(`\n${firstId}: ${first.fullName} was paid ${usd(withW9)} (with a W-9).`);
  print(`${secondId}: ${second.fullName} was paid ${usd(withheld)} (without one: 24% withheld).`);
  print(`The PDFs are in ${OUTPUT}/. The e-mails: ${url}/dev/outbox`);
}

/** The service's day: its clock may have been moved. */
async function serviceDay(): Promise<string> {
  const health = (await (await fetch(`${url}/health`)).json()) as { timestamp: string };
  return isoDateOf(new Date(health.timestamp));
}

const usd = (dollars: number) => dollars.toLocaleString('en-US', { style: 'currency', currency: 'USD' });

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof DemoError ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
