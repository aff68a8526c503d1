/**
 * `npm run sessions:prove`: takes a right away from somebody who is using it, 1,000 times, while two services, processes
 * of their own, answer that person's requests without a pause. Whatever was asked after the right was gone must be
 * refused by both, and what was refused must have done nothing. `-- --quick` for 16 times. Exit status 1 otherwise.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type postgres from 'postgres';
import { invariantFaults } from '../test/support/invariants.ts';
import { insist } from './crash/client.ts';
import { People, type Person, type StaffName } from './crash/people.ts';
import { setStage } from './crash/stage.ts';

const QUICK = process.argv.includes('--quick');
const RACES = QUICK ? 16 : 1000;
/** Requests that each lane sends after the right is gone. */
const AFTERWARDS = 3;
const LANES_PER_SERVICE = 2;
/** Any moment of a request, which takes some milliseconds. */
const WITHIN_MS = 25;
const RACES_PER_PAYOUT = 20;

const say = (line: string) => process.stdout.write(`${line}\n`);
const figure = (name: string, value: number) => say(`${name.padEnd(52)}${value}`);
const faults: string[] = [];
const counts = { before: 0, alongAllowed: 0, alongRefused: 0, after: 0, stale: 0, restored: 0 };
/** Notes that were answered with 200, and those that were refused. */
const noted = new Set<string>();
const refused = new Set<string>();

interface Race {
  name: string;
  /** What the person is told afterwards. */
  status: 401 | 403;
  take: (person: Person, url: string, sql: postgres.Sql) => Promise<unknown>;
  /** Gives the right back, and who has it then: after a sign-out that is a new session. */
  giveBack: (person: Person, sql: postgres.Sql, people: People) => Promise<Person>;
}

const same = async (person: Person, done: PromiseLike<unknown>): Promise<Person> => {
  await done;
  return person;
};

/** Each of the ways in which somebody loses what they may do. The main app writes; signing out, a service does. */
const RACES_OF: readonly Race[] = [
  {
    name: 'demoted',
    status: 403,
    take: ({ userId }, _url, sql) => sql`UPDATE admin_users SET role = 'viewer' WHERE user_id = ${userId}`,
    giveBack: (person, sql) =>
      same(person, sql`UPDATE admin_users SET role = 'finance_manager' WHERE user_id = ${person.userId}`),
  },
  {
    name: 'deactivated',
    status: 403,
    take: ({ userId }, _url, sql) => sql`UPDATE admin_users SET is_active = false WHERE user_id = ${userId}`,
    giveBack: (person, sql) =>
      same(person, sql`UPDATE admin_users SET is_active = true WHERE user_id = ${person.userId}`),
  },
  {
    name: 'signed out',
    status: 401,
    take: async ({ token }, url) => {
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
      const answer = await fetch(`${url}/api/auth/sign-out`, { method: 'POST', headers, body: '{}' });
      if (answer.status !== 200) throw new Error(`Nobody could sign out: ${answer.status}`);
    },
    giveBack: (person, _sql, people) => people.signInAgain(person),
  },
  {
    name: 'banned',
    status: 401,
    take: ({ userId }, _url, sql) => sql`UPDATE users SET banned = true WHERE id = ${userId}`,
    giveBack: (person, sql) => same(person, sql`UPDATE users SET banned = false WHERE id = ${person.userId}`),
  },
];

async function ask(url: string, { token }: Person, payoutId: string, note: string): Promise<number> {
  const answer = await fetch(`${url}/api/payouts/${payoutId}/notes`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ note }),
  });
  await answer.arrayBuffer();
  (answer.status === 200 ? noted : refused).add(note);
  return answer.status;
}

/** When the right was certainly still there, since when it certainly is gone, and how many lanes have used it. */
interface Moments {
  beganTaking: number;
  taken: number;
  lanesAtWork: number;
}

/** One request after another to one service, until some were sent after the right was gone. */
async function lane(url: string, race: Race, person: Person, payoutId: string, at: Moments): Promise<void> {
  let isAtWork = false;
  for (let afterwards = 0; afterwards < AFTERWARDS;) {
    const sent = performance.now();
    const status = await ask(url, person, payoutId, `note ${randomUUID()}`);
    const answered = performance.now();
    if (status !== 200 && status !== race.status) faults.push(`${race.name}: answered ${status}.`);
    if (sent > at.taken) {
      afterwards += 1;
      counts.after += 1;
      if (status === 200) {
        counts.stale += 1;
        faults.push(`${race.name}: allowed ${(sent - at.taken).toFixed(1)} ms after it was taken.`);
      }
    } else if (answered < at.beganTaking) {
      counts.before += 1;
      if (!isAtWork) at.lanesAtWork += 1;
      isAtWork = true;
      if (status !== 200) faults.push(`${race.name}: refused (${status}) before anything was taken.`);
    } else if (status === 200) counts.alongAllowed += 1;
    else counts.alongRefused += 1;
  }
}

async function run(race: Race, urls: readonly string[], person: Person, payoutId: string, sql: postgres.Sql): Promise<void> {
  const at: Moments = { beganTaking: Infinity, taken: Infinity, lanesAtWork: 0 };
  const lanes = urls.flatMap((url) => Array.from({ length: LANES_PER_SERVICE }, () => lane(url, race, person, payoutId, at)));
  while (at.lanesAtWork < lanes.length && faults.length === 0) await sleep(2);
  await sleep(Math.random() * WITHIN_MS);
  at.beganTaking = performance.now();
  await race.take(person, urls[0] ?? '', sql);
  at.taken = performance.now();
  await Promise.all(lanes);
} // prettier-ignore

async function main(): Promise<void> {
  const began = performance.now();
  say('Starting PostgreSQL and two services …');
  const stage = await setStage({ DATABASE_POOL_SIZE: '8' }, 3);
  const { sql } = stage;
  try {
    // Nothing is killed here, and what others see does not depend on what is on the disk.
    await sql`ALTER ROLE ALL SET synchronous_commit = off`;
    // As the main app has it, once Better Auth's admin plugin is there.
    await sql`ALTER TABLE users ADD COLUMN banned boolean`;
    const services = await Promise.all([stage.start(), stage.start()]);
    const urls = services.map(({ url }) => url);
    const people = new People(sql, () => urls[0] ?? '');
    const staff = await people.hireStaff();
    await people.fund(RACES + 10);
    const newPayout = async (): Promise<string> => {
      const { userId } = await people.newMember();
      const body = { userIds: [userId], overrideReason: 'A race.' };
      const answer = await insist(urls[1] ?? '', {
        path: '/api/payouts/initiate',
        token: staff.admin.token,
        key: randomUUID(),
        body,
      });
      const { data } = JSON.parse(answer?.text ?? '{}') as { data?: { payoutId: string }[] };
      if (!data?.[0]) throw new Error(`There is no payout: ${answer?.text}`);
      return data[0].payoutId;
    };
    let payoutId = '';
    const who: StaffName = 'finance';
    for (let number = 0; number < RACES; number += 1) {
      // One payout would grow with every note.
      if (number % RACES_PER_PAYOUT === 0) payoutId = await newPayout();
      const race = RACES_OF[number % RACES_OF.length];
      if (!race) continue;
      // By turns: whichever service signs the person out, the other must know.
      const order = number % 8 < 4 ? urls : urls.toReversed();
      await run(race, order, staff[who], payoutId, sql);
      staff[who] = await race.giveBack(staff[who], sql, people);
      // What is given back counts from the next request too.
      for (const url of urls) {
        const status = await ask(url, staff[who], payoutId, `note ${randomUUID()}`);
        if (status === 200) counts.restored += 1;
        else faults.push(`${race.name}: answered ${status} after it was given back.`);
      }
      if ((number + 1) % 100 === 0) say(`… ${number + 1} races, ${faults.length} faults`);
    }
    faults.push(...(await noteFaults(sql)), ...(await invariantFaults(sql)));
  } finally {
    await stage.clear();
  }
  figure('services', 2);
  figure('races: demoted, deactivated, signed out, banned', RACES);
  figure('requests answered before', counts.before);
  figure('requests under way at that moment, allowed', counts.alongAllowed);
  figure('requests under way at that moment, refused', counts.alongRefused);
  figure('requests sent afterwards', counts.after);
  figure('of these allowed: stale', counts.stale);
  figure('requests allowed once it was given back', counts.restored);
  figure('faults', faults.length);
  for (const fault of faults.slice(0, 20)) say(`  ${fault}`);
  figure('seconds', Math.round((performance.now() - began) / 1000));
  // Races in which nothing was under way would prove nothing; a few may all have been won, or all lost.
  const { alongAllowed, alongRefused } = counts;
  const raced = QUICK ? alongAllowed + alongRefused > 0 : alongAllowed > 0 && alongRefused > 0;
  if (faults.length > 0 || !raced) process.exitCode = 1;
}

/** What was allowed was done once; what was refused was not done. */
async function noteFaults(sql: postgres.Sql): Promise<string[]> {
  const rows = await sql<{ note: string }[]>`
    SELECT note->>'note' AS note FROM payout_management, jsonb_array_elements(internal_notes) note`;
  const there = new Set(rows.map(({ note }) => note));
  return [
    ...[...noted].filter((note) => !there.has(note)).map((note) => `${note} was allowed and is not there.`),
    ...[...refused].filter((note) => there.has(note)).map((note) => `${note} was refused and is there.`),
    ...(rows.length > there.size ? ['A note is there twice.'] : []),
  ];
}

await main();
