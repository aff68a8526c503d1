/**
 * `npm run crash`: kills the service at every named point between receiving a mutation and answering it, and PostgreSQL
 * under load; then repeats the request with the same key until it is answered, and compares everything that is in the
 * tables, and the answer itself, with the same course of a payout that nothing was done to. `-- --quick` for a minute of
 * it. Exit status 1 when anything was lost, doubled or done by half.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { AuditLogger } from '../src/audit/audit-logger.ts';
import { Database } from '../src/db/client.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { silentLogger } from '../src/kernel/logger.ts';
import { invariantFaults } from '../test/support/invariants.ts';
import { insist, type Answer, type Request } from './crash/client.ts';
import { fullRound, quickPlan, Reach, type Errand } from './crash/crash-plan.ts';
import { Figures } from './crash/figures.ts';
import { compare, likeness, traceOf, type Trace } from './crash/ledger.ts';
import { LIVES, type Course, type Step } from './crash/lives.ts';
import { People, type Person, type StaffName } from './crash/people.ts';
import type { ServiceProcess } from './crash/service-processes.ts';
import { setStage, type Stage } from './crash/stage.ts';

const QUICK = process.argv.includes('--quick');
const LEAST_KILLS = QUICK ? 0 : 1000;
const DATABASE_KILLS = QUICK ? 2 : 30;
const LANES = 3;
/** Services that each lane has started before it needs them. */
const AHEAD = 2;
/** Longer than most requests take, so that a random death hits the request anywhere. */
const ANYWHERE_WITHIN_MS = 60;
const SAYS_DONE_MS = 1000;
const PROGRESS_EVERY = 50;

interface Scene extends Stage {
  /** The services that nothing is done to. */
  steady: ServiceProcess[];
  people: People;
  staff: Record<StaffName, Person>;
}

/** What each step of a life answers and leaves behind when nothing happens, by life and step. */
type Twin = { likeness: string; trace: Trace }[];

const figures = new Figures();
const reach = new Reach();
const began = performance.now();
const secondsSinceStart = (): number => (performance.now() - began) / 1000;
const say = (line: string) => process.stdout.write(`${line}\n`);

async function setScene(): Promise<Scene> {
  const stage = await setStage({ DATABASE_POOL_SIZE: '4', JOBS: 'false' }, LANES);
  const steady = await Promise.all([stage.start(), stage.start()]);
  const people = new People(stage.sql, () => steady[0]?.url ?? '');
  const staff = await people.hireStaff();
  await people.fund(QUICK ? 100 : 2000);
  return { ...stage, steady, people, staff };
}

const newCourse = ({ userId }: Person): Course => ({ userId, payoutId: '', formId: '' });

function requestFor(scene: Scene, step: Step, course: Course, member: Person): Request {
  const { token } = step.by === 'member' ? member : scene.staff[step.by];
  return { path: step.path(course), token, key: randomUUID(), body: step.body(course) };
}

/** Lives once without any crash. */
async function liveTwin(scene: Scene, steps: readonly Step[]): Promise<Twin> {
  const member = await scene.people.newMember();
  const course = newCourse(member);
  const twin: Twin = [];
  for (const step of steps) {
    const answer = await insist(scene.steady[0]?.url ?? '', requestFor(scene, step, course, member));
    if (!answer || answer.status >= 300) throw new Error(`${step.name}: ${answer?.status} ${answer?.text}`);
    step.learn?.(course, JSON.parse(answer.text) as Record<string, unknown>);
    twin.push({
      likeness: likeness(answer.status, answer.text),
      trace: await traceOf(scene.sql, course),
    });
  }
  return twin;
}

/** The armed services of an errand, in the order in which they die, a few of them started ahead. */
function victimsOf(scene: Scene, errand: Errand): () => Promise<ServiceProcess> {
  const arms = errand.steps.flatMap((_, index) => errand.deaths(index));
  const started: Promise<ServiceProcess>[] = [];
  const startAhead = () => {
    while (arms.length > 0 && started.length < AHEAD) {
      const starting = scene.start(arms.shift());
      starting.catch(() => undefined);
      started.push(starting);
    }
  };
  startAhead();
  return async () => {
    const next = started.shift();
    startAhead();
    if (!next) throw new Error('There are fewer services than deaths.');
    return next;
  };
}

/** Sends the request to a service that dies of it. Gives the answer, where there was one before that, and whether it died. */
async function sendToDeath(
  victim: ServiceProcess,
  request: Request,
  step: Step,
  answered: boolean,
): Promise<{ answer: Answer | undefined; died: boolean }> {
  const { arm } = victim;
  if (arm === undefined) throw new Error('This one does not die.');
  const death =
    arm === 'anywhere' ? sleep(Math.random() * ANYWHERE_WITHIN_MS).then(() => victim.kill()) : undefined;
  const answer = await insist(victim.url, request);
  await death;
  if (arm === 'anywhere') {
    if (answer === undefined) figures.killed('anywhere');
    return { answer, died: answer === undefined };
  }
  // Who has answered has passed all points but the one after the answer.
  const waitMs = answer !== undefined && arm.point !== 'after-answer' ? 0 : SAYS_DONE_MS;
  const died = await victim.endsWithin(waitMs);
  if (died) {
    figures.killed(arm.point);
    reach.died(step.name, arm);
  } else if (!answered) reach.survived(step.name, arm);
  await victim.kill();
  return { answer, died };
}

/** One mutation through all its deaths, to the answer of a service that lives. */
async function mutate(
  scene: Scene,
  step: Step,
  request: Request,
  deaths: number,
  nextVictim: () => Promise<ServiceProcess>,
): Promise<Answer> {
  const answers: Answer[] = [];
  let died = false;
  for (let death = 0; death < deaths; death += 1) {
    const outcome = await sendToDeath(await nextVictim(), request, step, answers.length > 0);
    died ||= outcome.died;
    if (outcome.answer) answers.push(outcome.answer);
  }
  // Once for the answer that did not come, and once more for a client that lost it.
  for (let time = 0; time < 2; time += 1) answers.push(await askSteady(scene, request));
  const [first] = answers;
  if (!first) throw new Error('unreachable');
  figures.mutations += 1;
  if (died) figures[first.replayed ? 'replayed' : 'reexecuted'] += 1;
  if (first.status >= 300) fault(`${step.name}: ${first.status} ${first.text}`);
  for (const again of answers.slice(1)) {
    if (again.text !== first.text || again.status !== first.status || !again.replayed)
      fault(`${step.name}: repeated, it was answered otherwise: ${again.status} ${again.text}`);
  }
  return first;
}

/** A connection can break without a death: a kept one is closed just as it is taken again. Then the client asks once more. */
async function askSteady(scene: Scene, request: Request, mayBreak = 2): Promise<Answer> {
  const service = scene.steady[Math.floor(Math.random() * scene.steady.length)];
  let turnedAway = false;
  const answer = await insist(service?.url ?? '', request, ({ status, text }) => {
    turnedAway = true;
    if (status !== 409 && status !== 503)
      figures.unnamed.push(`${request.path}: ${status} ${text.slice(0, 200)}`);
  });
  if (!answer && service?.isDead === false && mayBreak > 0) return askSteady(scene, request, mayBreak - 1);
  if (!answer) throw new Error('A service died that nobody killed.');
  if (turnedAway) figures.turnedAway += 1;
  return answer;
}

function fault(text: string): void {
  figures.faults.push(text.slice(0, 2000));
}

/** Lives an errand and compares each of its steps with its twin's. */
async function live(scene: Scene, errand: Errand, twin: Twin, member: Person): Promise<void> {
  const course = newCourse(member);
  const deaths = errand.steps.map((_, index) => errand.deaths(index));
  const nextVictim = victimsOf(scene, { ...errand, deaths: (index) => deaths[index] ?? [] });
  for (const [index, step] of errand.steps.entries()) {
    const request = requestFor(scene, step, course, member);
    const answer = await mutate(scene, step, request, deaths[index]?.length ?? 0, nextVictim);
    if (answer.status < 300) step.learn?.(course, JSON.parse(answer.text) as Record<string, unknown>);
    const wanted = twin[index];
    if (!wanted) throw new Error('The twin has no such step.');
    if (likeness(answer.status, answer.text) !== wanted.likeness)
      fault(
        `${step.name}: another answer than without a crash:\n  ${likeness(answer.status, answer.text)}\n  ${wanted.likeness}`,
      );
    const { verdict, differences } = compare(wanted.trace, await stubborn(() => traceOf(scene.sql, course)));
    if (verdict === 'as once') continue;
    figures.verdicts[verdict] += 1;
    fault(`${step.name} ${course.payoutId}: ${verdict}: ${differences.join('; ')}`);
    return;
  }
}

/** A look that the death of the database must not spoil. */
async function stubborn<T>(look: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await look();
    } catch (error) {
      if (tries === 100) throw error;
      await sleep(200);
    }
  }
}

async function checkAll(scene: Scene, when: string): Promise<void> {
  for (const violation of await stubborn(() => invariantFaults(scene.sql))) fault(`${when}: ${violation}`);
}

/** Several errands at once, as many as there are lanes. */
async function runErrands(scene: Scene, errands: Errand[], twins: Map<readonly Step[], Twin>): Promise<void> {
  const lane = async (): Promise<void> => {
    for (let errand = errands.shift(); errand; errand = errands.shift()) {
      const before = figures.total;
      const twin = twins.get(errand.steps);
      if (!twin) throw new Error('There is no twin.');
      await live(scene, errand, twin, await scene.people.newMember());
      await checkAll(scene, 'after a life');
      if (Math.floor(before / PROGRESS_EVERY) < Math.floor(figures.total / PROGRESS_EVERY))
        say(`${figures.total} kills, ${figures.faults.length} faults, ${Math.round(secondsSinceStart())} s`);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}

/** Lives without end, while PostgreSQL is killed again and again under them. */
async function killDatabase(scene: Scene, twins: Map<readonly Step[], Twin>): Promise<void> {
  const members = await Promise.all(
    Array.from({ length: 6 * LANES + 2 * DATABASE_KILLS }, () => scene.people.newMember()),
  );
  let isOver = false;
  const lane = async (number: number): Promise<void> => {
    for (let turn = number; !isOver; turn += 1) {
      const steps = LIVES[turn % LIVES.length] ?? [];
      const member = members.pop();
      if (!member) return;
      await live(scene, { steps, deaths: () => [] }, twins.get(steps) ?? [], member);
    }
  };
  const lanes = Promise.all(Array.from({ length: LANES }, (_, number) => lane(number)));
  lanes.catch(() => undefined);
  for (let kill = 0; kill < DATABASE_KILLS; kill += 1) {
    await sleep(200 + Math.random() * 800);
    await scene.database.crash(Math.random() * 300);
    figures.databaseKills += 1;
    await checkAll(scene, 'after a death of PostgreSQL');
  }
  isOver = true;
  await lanes;
  await checkAll(scene, 'after the deaths of PostgreSQL');
}

async function verifyAudit(url: string): Promise<void> {
  const database = new Database({ url, poolSize: 2, role: 'payout_service' });
  try {
    const audit = new AuditLogger({ database, clock: systemClock, logger: silentLogger });
    const { valid, firstFault, entries, chains } = await audit.verify();
    say(`Audit log: ${entries} entries in ${chains} chains, ${valid ? 'all right' : 'broken'}.`);
    if (!valid) fault(`The audit log is broken: ${JSON.stringify(firstFault)}`);
  } finally {
    await database.close();
  }
}

async function main(): Promise<void> {
  say('Starting PostgreSQL and the first services …');
  const scene = await setScene();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      say(`Stopped by ${signal}.\n${figures.table(secondsSinceStart())}`);
      void scene.clear().finally(() => process.exit(1));
    });
  }
  try {
    const twins = new Map<readonly Step[], Twin>();
    for (const steps of LIVES) twins.set(steps, await liveTwin(scene, steps));
    if (QUICK) await runErrands(scene, quickPlan(reach), twins);
    for (let round = 0; figures.total < LEAST_KILLS; round += 1)
      await runErrands(scene, fullRound(reach, round), twins);
    await killDatabase(scene, twins);
    await verifyAudit(scene.database.url);
  } finally {
    await scene.clear();
  }
  say(figures.table(secondsSinceStart()));
  if (!figures.isGood) process.exitCode = 1;
}

await main();
