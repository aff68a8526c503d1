/**
 * `npm run stops`: stops instances by SIGTERM under load, one after another, 500 times, while others take their place, as
 * a rolling deploy does. Three kinds of load: through a balancer that asks /ready; straight to the instance that is about
 * to stop, over connections that are kept; and straight to it with a new connection for each request, which nobody does
 * who looks at /ready. Of the last kind those who stand at the door in the microseconds in which it closes, and whom the
 * service has never taken, are reset by the kernel: they are counted, and shown apart. Exit status 1 when anybody else was
 * reset, when a request that was accepted got no answer or a wrong one, when something was done twice or not at all, or
 * when a stop took more than 10 s. `-- 50` for so many stops, `-- --quick` for 8; Ctrl-C says how it went so far.
 */
import { randomUUID } from 'node:crypto';
import { Agent, request as call } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type postgres from 'postgres';
import { invariantFaults } from '../test/support/invariants.ts';
import { RoundRobin } from './cluster/round-robin.ts';
import { insist } from './crash/client.ts';
import { People, type Person } from './crash/people.ts';
import { setStage } from './crash/stage.ts';

const QUICK = process.argv.includes('--quick');
const STOPS = QUICK ? 8 : Number(process.argv[2] ?? 500);
const LANES = { balanced: 3, kept: 3, fresh: 1 };
type Kind = keyof typeof LANES;
/** More often than the balancer looks. */
const STOP_DELAY_MS = 400;
const LOOK_EVERY_MS = 100;
const STOP_LIMIT_MS = 10_000;
/** One payout alone would collect all notes, and grow with every stop. */
const STOPS_PER_PAYOUT = 10;

const say = (line: string) => process.stdout.write(`${line}\n`);
const faults: string[] = [];
const answered: Record<Kind, number> = { balanced: 0, kept: 0, fresh: 0 };
const figures = { refused: 0, atTheDoor: 0 };
/** What every note that was answered with 200 said. */
const noted: string[] = [];
const durations: number[] = [];
const began = performance.now();

interface Reply {
  status: number;
  text: string;
}

/** One request over the agent's connections. Undefined when the service has not taken it. */
function ask(
  kind: Kind,
  url: string,
  agent: Agent,
  token: string,
  path: string,
  body?: object,
): Promise<Reply | undefined> {
  return new Promise((resolve, reject) => {
    let hasAnswer = false;
    const headers = {
      authorization: `Bearer ${token}`,
      ...(body ? { 'content-type': 'application/json', 'idempotency-key': randomUUID() } : {}),
    };
    const outward = call(`${url}${path}`, { agent, headers, method: body ? 'POST' : 'GET' }, (answer) => {
      hasAnswer = true;
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }));
      answer.on('error', reject);
    });
    outward.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') {
        figures.refused += 1;
        resolve(undefined);
      } else if (error.code === 'ECONNRESET' && kind === 'fresh' && !hasAnswer) {
        figures.atTheDoor += 1;
        resolve(undefined);
      } else reject(new Error(`${error.code} on a ${outward.reusedSocket ? 'kept' : 'new'} connection`));
    });
    outward.end(body ? JSON.stringify(body) : undefined);
  });
}

/** Notes and reads in turn until `isOver`, or until nobody listens there. */
async function lane(
  kind: Kind,
  url: string,
  { token }: Person,
  payoutId: string,
  isOver: () => boolean = () => false,
): Promise<void> {
  const agent = new Agent({ keepAlive: kind !== 'fresh', maxSockets: 1 });
  try {
    for (let turn = 0; !isOver(); turn += 1) {
      const note = turn % 2 === 0 ? `note ${randomUUID()}` : undefined;
      const path = note ? `/api/payouts/${payoutId}/notes` : '/api/payouts?limit=5';
      const reply = await ask(kind, url, agent, token, path, note ? { note } : undefined);
      if (!reply) return;
      if (reply.status !== 200) faults.push(`${kind} ${path}: ${reply.status} ${reply.text.slice(0, 200)}`);
      else if (note) noted.push(note);
      answered[kind] += 1;
    }
  } catch (error) {
    faults.push(`${kind}: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    agent.destroy();
  }
}

async function main(): Promise<void> {
  say('Starting PostgreSQL and the first instances …');
  const { sql, start, clear } = await setStage(
    { DATABASE_POOL_SIZE: '5', STOP_DELAY_MS: String(STOP_DELAY_MS) },
    3,
  );
  const balancer = new RoundRobin(LOOK_EVERY_MS);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      say(`Stopped by ${signal}, before the notes were compared.`);
      report();
      void clear().finally(() => process.exit(1));
    });
  }
  try {
    // As in a rolling deploy: while one stops, others serve.
    const serving = await Promise.all([start(), start()]);
    let upcoming = start();
    const url = await balancer.listen(0);
    for (const service of serving) await balancer.add(service.url);
    const people = new People(sql, () => url);
    const staff = await people.hireStaff();
    await people.fund(20 * STOPS + 2000);
    const newPayout = async (): Promise<string> => {
      const member = await people.newMember();
      const answer = await insist(url, {
        path: '/api/payouts/initiate',
        token: staff.admin.token,
        key: randomUUID(),
        body: { userIds: [member.userId], overrideReason: 'A stop.' },
      });
      const { data } = JSON.parse(answer?.text ?? '{}') as { data?: { payoutId: string }[] };
      if (!data?.[0]) throw new Error(`There is no payout: ${answer?.text}`);
      return data[0].payoutId;
    };
    let isOver = false;
    const balancedLane = async (): Promise<void> => {
      // Lanes end before their payout's notes have become many.
      while (!isOver) {
        const payoutId = await newPayout();
        const until = performance.now() + 5000;
        await lane('balanced', url, staff.admin2, payoutId, () => isOver || performance.now() > until);
      }
    };
    const balanced = Array.from({ length: LANES.balanced }, () =>
      balancedLane().catch((error: unknown) => faults.push(`balanced: ${String(error)}`)),
    );
    const kinds = (['kept', 'fresh'] as const).flatMap((kind) => Array<Kind>(LANES[kind]).fill(kind));
    let payouts: string[] = [];
    for (let stop = 1; stop <= STOPS; stop += 1) {
      if (stop % STOPS_PER_PAYOUT === 1) payouts = await Promise.all(kinds.map(newPayout));
      const stopping = serving.shift();
      if (!stopping) throw new Error('Nobody serves.');
      const next = await upcoming;
      // The one after comes up meanwhile.
      if (stop < STOPS) {
        upcoming = start();
        upcoming.catch(() => undefined);
      }
      const direct = kinds.map((kind, index) =>
        lane(kind, stopping.url, staff.finance, payouts[index] ?? ''),
      );
      await balancer.add(next.url);
      serving.push(next);
      // Any moment of what they are doing.
      await sleep(50 + Math.random() * 100);
      const { code, ms } = await stopping.terminate();
      durations.push(ms);
      if (code !== 0) faults.push(`An instance ended with ${code}.`);
      if (ms > STOP_LIMIT_MS) faults.push(`A stop took ${Math.round(ms)} ms.`);
      await Promise.all(direct);
      balancer.remove(stopping.url);
      if (stop % 50 === 0) say(`${stop} stops, ${faults.length} faults.`);
    }
    isOver = true;
    await Promise.all(balanced);
    faults.push(...balancer.broken.map((text) => `through the balancer: ${text}`));
    await checkNotes(sql);
    faults.push(...(await invariantFaults(sql)));
  } finally {
    await balancer.close();
    await clear();
  }
  report();
  if (faults.length > 0 || noted.length === 0) process.exitCode = 1;
}

function report(): void {
  durations.sort((a, b) => a - b);
  const at = (share: number) => Math.round(durations[Math.floor((durations.length - 1) * share)] ?? 0);
  say(`stops                              ${durations.length}`);
  say(`requests through the balancer      ${answered.balanced}`);
  say(`requests over kept connections     ${answered.kept}`);
  say(`requests on new connections        ${answered.fresh}`);
  say(`lanes that then found it closed    ${figures.refused}`);
  say(`reset at the door                  ${figures.atTheDoor}`);
  say(`notes answered                     ${noted.length}`);
  say(`stop, median, ms                   ${at(0.5)}`);
  say(`stop, longest, ms                  ${at(1)}`);
  say(`faults                             ${faults.length}`);
  for (const fault of faults.slice(0, 20)) say(`  ${fault}`);
  say(`${Math.round((performance.now() - began) / 1000)} s`);
}

/** What was answered is there, once; nothing is there that was not answered. */
async function checkNotes(sql: postgres.Sql): Promise<void> {
  const rows = await sql<{ note: string }[]>`
    SELECT note->>'note' AS note FROM payout_management, jsonb_array_elements(internal_notes) note`;
  const there = new Map<string, number>();
  for (const { note } of rows) there.set(note, (there.get(note) ?? 0) + 1);
  for (const note of noted)
    if (there.get(note) !== 1) faults.push(`${note} is there ${there.get(note) ?? 0} times.`);
  if (rows.length !== noted.length)
    faults.push(`${rows.length} notes are there, ${noted.length} were answered.`);
}

await main();
