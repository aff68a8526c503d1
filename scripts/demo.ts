/**
 * Walks payouts through their whole life over HTTP, as each of the people would. `-- --year` follows one member through
 * the year after.
 */
import { config as readDotenv } from 'dotenv';
import { DemoClient, DemoError, untilUp } from './demo-client.ts';
import { approvedPayout, bankInfo, nextWinner, OUTPUT, pay, print, winAndBePaid } from './demo/steps.ts';
import { runYear, serviceDay } from './demo/year.ts';

readDotenv({ quiet: true });
const url = process.env['DEMO_URL'] ?? `http://localhost:${process.env['PORT'] ?? '3002'}`;

async function main(): Promise<void> {
  await untilUp(url);
  const [admin, admin2, finance, finance2] = await Promise.all(
    ['admin', 'admin2', 'finance', 'finance2'].map((name) => DemoClient.signIn(url, `${name}@example.com`)),
  );
  if (!admin || !admin2 || !finance || !finance2) throw new DemoError('Not everybody could sign in.');
  const staff = { admin, admin2, finance, finance2 };
  if (process.argv.includes('--year')) return runYear(url, staff);
  const today = await serviceDay(url);
  print('Can payouts be issued?\n');
  await admin.post('/api/payouts/check-eligibility');

  const first = await nextWinner(staff);
  const firstId = await approvedPayout(staff, first);
  const member = await DemoClient.signIn(url, first.email);
  const withW9 = await winAndBePaid(staff, first, member, firstId, today);

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

const usd = (dollars: number) => dollars.toLocaleString('en-US', { style: 'currency', currency: 'USD' });

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof DemoError ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
