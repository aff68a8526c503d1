/**
 * `npm run stops`: stops instances by SIGTERM under load, one after another, 500 times, while others take their place, as
 * a rolling deploy does. Half of the load goes through a balancer that asks /ready; the other half talks to the
 * instance that is about to stop, over connections that it keeps. Who stands at the door as it closes, with a new
 * connection that the service has never taken, is sent away by the kernel: that is counted, and no fault. Exit status 1 when a request that was accepted
 * got no answer or a wrong one, when a connection was reset, when something was done twice or not at all, or when a
 * stop took more than 10 s. `-- --quick` for 8 stops.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { Agent, request as call } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { invariantFaults } from '../test/support/invariants.ts';
import { RoundRobin } from './cluster/round-robin.ts';
import { insist } from './crash/client.ts';
import { CrashDatabase } from './crash/crash-database.ts';
import { People, type Person } from './crash/people.ts';
import { buildService, endAllServices, ServiceProcess } from './crash/service-processes.ts';

const QUICK = process.argv.includes('--quick');
const STOPS = QUICK ? 8 : 500;
const BALANCED_LANES = 3;
const DIRECT_LANES = 3;
/** More often than the balancer looks. */
const STOP_DELAY_MS = 400;
const LOOK_EVERY_MS = 100;
const STOP_LIMIT_MS = 10_000;

const say = (line: string) => process.stdout.write(`${line}\n`);
const faults: string[] = [];
const figures = { balanced: 0, direct: 0, refused: 0, atTheDoor: 0 };
/** What every note that was answered with 200 said. */
const noted: string[] = [];

interface Reply {
  status: number;
  text: string;
}

/** One request over the agent's connections. Undefined when the connection was refused: nothing was accepted. */
function ask(
  url: string,
  agent: Agent,
  token: string,
  path: string,
  body: object | undefined,
  isClosing: () => boolean,
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
      const isNew = !outward.reusedSocket && !hasAnswer;
      if (error.code === 'ECONNREFUSED') resolve(undefined);
      else if (error.code === 'ECONNRESET' && isNew && isClosing()) {
        figures.atTheDoor += 1;
        resolve(undefined);
      } else reject(new Error(`${error.code} on a ${outward.reusedSocket ? 'kept' : 'new'} connection`));
    });
    outward.end(body ? JSON.stringify(body) : undefined);
  });
}

/** Notes and reads in turn until `isOver`, or until nobody listens there. */
async function lane(
  kind: 'balanced' | 'direct',
  url: string,
  { token }: Person,
  payoutId: string,
  isOver: () => boolean,
  isClosing = () => false,
): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  try {
    for (let turn = 0; !isOver(); turn += 1) {
      const note = turn % 2 === 0 ? `note ${randomUUID()}` : undefined;
      const path = note ? `/api/payouts/${payoutId}/notes` : '/api/payouts?limit=5';
      const reply = await ask(url, agent, token, path, note ? { note } : undefined, isClosing);
      if (!reply) {
        figures.refused += 1;
        return;
      }
      if (reply.status !== 200) faults.push(`${kind} ${path}: ${reply.status} ${reply.text.slice(0, 200)}`);
      else if (note) noted.push(note);
      figures[kind] += 1;
    }
  } catch (error) {
    faults.push(`${kind}: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    agent.destroy();
  }
}

async function main(): Promise<void> {
  const began = performance.now();
  say('Starting PostgreSQL and the first instances …');
  const database = await CrashDatabase.start();
  const sql = postgres(database.url, { max: 3, onnotice: () => {} });
  const balancer = new RoundRobin(LOOK_EVERY_MS);
  const durations: number[] = [];
  try {
    const build = await buildService(database.folder);
    const env = {
      PATH: process.env['PATH'] ?? '',
      NODE_ENV: 'test',
      DATABASE_URL: database.url,
      DATABASE_POOL_SIZE: '5',
      DATA_DIR: database.folder,
      HOST: '127.0.0.1',
      PORT: '0',
      LOG_LEVEL: 'error',
      JWT_SECRET: randomBytes(32).toString('hex'),
      BETTER_AUTH_SECRET: randomBytes(32).toString('hex'),
      ENCRYPTION_KEY: randomBytes(32).toString('base64'),
      BUSINESS_LAUNCH_DATE: '2024-01-01',
      STEP_UP_MINUTES: '0',
      STOP_DELAY_MS: String(STOP_DELAY_MS),
      ...Object.fromEntries(
        ['MEMBER', 'STAFF', 'APPROVALS', 'ADDRESS', 'SIGN_IN'].map((who) => [`RATE_LIMIT_${who}`, '0']),
      ),
    };
    const start = () => ServiceProcess.start(build, env);
    let current = await start();
    let next = await start();
    const url = await balancer.listen(0);
    await balancer.add(current.url);
    const people = new People(sql, () => url);
    const staff = await people.hireStaff();
    await people.fund(20 * STOPS + 2000);
    /** A payout for so many notes; one alone would grow with every stop. */
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
    const balanced = Array.from({ length: BALANCED_LANES }, () =>
      balancedLane().catch((error: unknown) => faults.push(`balanced: ${String(error)}`)),
    );
    for (let stop = 1; stop <= STOPS; stop += 1) {
      const stopping = current;
      let isClosing = false;
      const payouts = await Promise.all(Array.from({ length: DIRECT_LANES }, newPayout));
      const direct = payouts.map((payoutId) =>
        lane(
          'direct',
          stopping.url,
          staff.finance,
          payoutId,
          () => false,
          () => isClosing,
        ),
      );
      await balancer.add(next.url);
      // Any moment of what they are doing.
      await sleep(50 + Math.random() * 100);
      isClosing = true;
      const { code, ms } = await stopping.terminate();
      durations.push(ms);
      if (code !== 0) faults.push(`An instance ended with ${code}.`);
      if (ms > STOP_LIMIT_MS) faults.push(`A stop took ${Math.round(ms)} ms.`);
      await Promise.all(direct);
      balancer.remove(stopping.url);
      current = next;
      if (stop < STOPS) next = await start();
      if (stop % 50 === 0) say(`${stop} stops, ${faults.length} faults.`);
    }
    isOver = true;
    await Promise.all(balanced);
    faults.push(...balancer.broken.map((text) => `through the balancer: ${text}`));
    await checkNotes(sql);
    faults.push(...(await invariantFaults(sql)));
  } finally {
    endAllServices();
    await balancer.close();
    await sql.end({ timeout: 1 });
    await database.discard();
  }
  durations.sort((a, b) => a - b);
  const at = (share: number) => Math.round(durations[Math.floor((durations.length - 1) * share)] ?? 0);
  say(`stops                              ${durations.length}`);
  say(`requests through the balancer      ${figures.balanced}`);
  say(`requests to the instance stopped   ${figures.direct}`);
  say(`lanes that then found it closed    ${figures.refused}`);
  say(`sent away at the door              ${figures.atTheDoor}`);
  say(`notes answered                     ${noted.length}`);
  say(`stop, median, ms                   ${at(0.5)}`);
  say(`stop, longest, ms                  ${at(1)}`);
  say(`faults                             ${faults.length}`);
  for (const fault of faults.slice(0, 20)) say(`  ${fault}`);
  say(`${Math.round((performance.now() - began) / 1000)} s`);
  if (faults.length > 0 || noted.length === 0) process.exitCode = 1;
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
