/** `npm run demo -- --year`: one member wins, is paid, taxed, warned, removed, pays again, and is in the queue again. */
import { addMonths, isoDateOf, startOfDay, type IsoDate } from '../../src/kernel/calendar.ts';
import { DemoClient, DemoError } from '../demo-client.ts';
import { openMainApp } from './main-app.ts';
import {
  approvedPayout,
  nextWinner,
  OUTPUT,
  print,
  save,
  winAndBePaid,
  type Candidate,
  type Staff,
} from './steps.ts';

const DAY_MS = 86_400_000;

/** The service's time: its clock may have been moved. */
async function serviceTime(url: string): Promise<Date> {
  const health = (await (await fetch(`${url}/health`)).json()) as { timestamp: string };
  return new Date(health.timestamp);
}

export const serviceDay = async (url: string): Promise<IsoDate> => isoDateOf(await serviceTime(url));

export async function runYear(url: string, staff: Staff): Promise<void> {
  const began = performance.now();
  const paidOn = await serviceDay(url);
  const due = addMonths(paidOn, 12);
  const year = Number(paidOn.slice(0, 4));
  const title = (day: string, line: string) => print(`\n${day}  ${line}\n`);

  title(paidOn, 'A member wins and is paid.');
  const winner = await nextWinner(staff);
  const payoutId = await approvedPayout(staff, winner);
  const member = await DemoClient.signIn(url, winner.email);
  const paid = await winAndBePaid(staff, winner, member, payoutId, paidOn);

  await goTo(url, staff, `${year + 1}-01-15`);
  title(`${year + 1}-01-15`, 'The year has ended: finance issues its 1099s.');
  await receive1099(staff, member, year);

  await goTo(url, staff, isoDateOf(new Date(startOfDay(due).getTime() - 29 * DAY_MS)));
  title(await serviceDay(url), 'A month before the membership ends, the member is warned.');
  await assertWritten(staff, payoutId, 'removal-notice');
  await member.get(`/api/members/${winner.userId}/membership`);

  await goTo(url, staff, isoDateOf(new Date(startOfDay(due).getTime() + DAY_MS)));
  title(await serviceDay(url), `Twelve months after the payout, on ${due}, the membership has ended.`);
  await assertWritten(staff, payoutId, 'membership-removed');
  const ended = await member.get<{ isActive: boolean }>(`/api/members/${winner.userId}/membership`);
  if (ended.isActive) throw new DemoError('The membership has not ended.');

  await goTo(url, staff, isoDateOf(new Date(startOfDay(due).getTime() + 10 * DAY_MS)));
  title(await serviceDay(url), 'The member pays again, and the subscription service reports it, twice.');
  await payAgain(url, winner);
  const place = await placeInQueue(staff, winner);

  print(`\n${winner.fullName} was paid $${paid.toFixed(2)} on ${paidOn}, received the 1099 of ${year},`);
  print(`left on ${due}, came back, and is number ${place} in the queue, with one payment.`);
  print(`The PDFs are in ${OUTPUT}/. The e-mails: ${url}/dev/outbox`);
  print(`The year took ${Math.round((performance.now() - began) / 1000)} s.`);
}

/** Month by month, as the jobs would have come to them; then the days that are left. */
async function goTo(url: string, { admin }: Staff, day: IsoDate): Promise<void> {
  for (;;) {
    const today = await serviceDay(url);
    if (today >= day) return;
    const days = Math.round((startOfDay(day).getTime() - startOfDay(today).getTime()) / DAY_MS);
    await admin.post('/api/demo/clock', { advance: addMonths(today, 1) <= day ? 'P1M' : `P${days}D` });
  }
}

async function receive1099({ finance }: Staff, member: DemoClient, year: number): Promise<void> {
  await finance.post(`/api/reports/tax-forms/${year}`);
  const { data } = await finance.get<{ data: { formId: string; status: string; formType: string }[] }>(
    `/api/tax-forms?userId=${member.userId}&year=${year}`,
  );
  const form = data.find(({ formId, status }) => formId.startsWith('1099') && status === 'issued');
  if (!form) throw new DemoError(`No 1099 of ${year} was issued to the member.`);
  save(`${form.formId}.pdf`, await member.pdf(`/api/tax-forms/${form.formId}/pdf`));
}

async function assertWritten({ admin }: Staff, payoutId: string, template: string): Promise<void> {
  const { data } = await admin.get<{ data: { template: string }[] }>(
    `/api/notifications?payoutId=${payoutId}`,
  );
  if (!data.some((message) => message.template === template))
    throw new DemoError(`The message ${template} was not written.`);
  print(`  ${''.padEnd(12)} the message ${template} is there`);
}

/** What the main app and the subscription service do, which are not part of this service. */
async function payAgain(url: string, { userId }: Candidate): Promise<void> {
  const mainApp = await openMainApp();
  try {
    const now = await serviceTime(url);
    await mainApp.takePayment(userId, now);
    for (const time of ['once', 'again']) {
      const status = await mainApp.reportReturn(url, userId, isoDateOf(now));
      print(`  ${'subscription'.padEnd(12)} POST /api/members/${userId}/reactivate  → ${status}  (${time})`);
      if (status !== 200) throw new DemoError('The return was refused.');
    }
  } finally {
    await mainApp.close();
  }
}

async function placeInQueue({ admin }: Staff, { userId }: Candidate): Promise<number> {
  let cursor = '';
  do {
    const page = await admin.get<{ data: Candidate[]; nextCursor: string | null }>(
      `/api/payouts/eligible-members?limit=200${cursor && `&cursor=${encodeURIComponent(cursor)}`}`,
    );
    const found = page.data.find((candidate) => candidate.userId === userId);
    if (found) return found.queuePosition;
    cursor = page.nextCursor ?? '';
  } while (cursor);
  throw new DemoError('The member is not in the queue again.');
}
