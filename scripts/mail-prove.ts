/**
 * `npm run mail:prove`: sends messages through real services to a real SMTP server that is down, slow, refuses, dies
 * after DATA or shows a wrong certificate, while services are killed at each step of a delivery; then compares what
 * was queued with what arrived. `-- --quick` for a few minutes of it. Exit status 1 when a message was lost, or arrived
 * twice where nobody died in between.
 */
import { execFile } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import postgres from 'postgres';
import { Database } from '../src/db/client.ts';
import { DELIVERY_CRASH_POINTS } from '../src/kernel/crash-points.ts';
import { silentLogger } from '../src/kernel/logger.ts';
import { MailQueueKeeper } from '../src/notifications/mail-queue-keeper.ts';
import { queueDepth } from '../src/notifications/mail-queue.ts';
import { enqueueFor } from '../src/notifications/outbox.ts';
import { MailRoom, type Mood, type Papers } from '../test/support/mail-room.ts';
import { CrashDatabase } from './crash/crash-database.ts';
import { buildService, endAllServices, ServiceProcess, type Arm } from './crash/service-processes.ts';

const QUICK = process.argv.includes('--quick');
const EACH = QUICK ? 20 : 400;
const KILLS_PER_POINT = QUICK ? 1 : 5;
const RETRY = { limit: 10, delaySeconds: 1 };
const GONE = 'gone-';
const SETTLE_LIMIT_MS = 600_000;

const say = (line: string) => process.stdout.write(`${line}\n`);
const began = performance.now();

interface Stage {
  database: CrashDatabase;
  sql: postgres.Sql;
  ours: Database;
  keeper: MailQueueKeeper;
  room: MailRoom;
  papers: Papers;
  start: (arm?: Arm) => Promise<ServiceProcess>;
}

/** A certificate for this machine that the services are told to trust. */
async function makePapers(folder: string): Promise<Papers & { path: string }> {
  const [key, cert] = [join(folder, 'mail.key'), join(folder, 'mail.crt')];
  const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost'];
  const names = ['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  await promisify(execFile)('openssl', [...request, ...names, '-keyout', key, '-out', cert]);
  return { key: await readFile(key, 'utf8'), cert: await readFile(cert, 'utf8'), path: cert };
}

async function setStage(): Promise<Stage> {
  const database = await CrashDatabase.start();
  const build = await buildService(database.folder);
  const papers = await makePapers(database.folder);
  const room = await MailRoom.open(papers);
  const env = {
    PATH: process.env['PATH'] ?? '',
    NODE_ENV: 'test',
    NODE_EXTRA_CA_CERTS: papers.path,
    DATABASE_URL: database.url,
    DATABASE_POOL_SIZE: '8',
    DATA_DIR: database.folder,
    HOST: '127.0.0.1',
    PORT: '0',
    LOG_LEVEL: 'error',
    EMAIL_PROVIDER: 'smtp',
    SMTP_URL: `smtp://localhost:${room.port}`,
    EMAIL_RETRIES: String(RETRY.limit),
    EMAIL_RETRY_SECONDS: String(RETRY.delaySeconds),
  };
  const ours = new Database({ url: database.url, poolSize: 2, role: 'payout_service' });
  const keeper = new MailQueueKeeper(ours, silentLogger, RETRY);
  await keeper.start();
  return {
    database,
    sql: postgres(database.url, { max: 2, onnotice: () => {} }),
    ours,
    keeper,
    room,
    papers,
    start: (arm) => ServiceProcess.start(build, env, arm),
  };
}

/** Queues messages to people of their own. */
async function queue({ sql, ours }: Stage, count: number, prefix = 'member-'): Promise<void> {
  for (let made = 0; made < count; made += 1) {
    const id = randomUUID();
    const email = `${prefix}${randomBytes(6).toString('hex')}@example.com`;
    await sql`INSERT INTO users (id, email, name) VALUES (${id}, ${email}, 'Somebody')`;
    const message = { template: 'form-1099-ready', data: { taxYear: '2026' }, at: new Date() } as const;
    await ours.transaction((tx) => enqueueFor(tx, id, message));
  }
}

/** Waits until nothing is on its way. */
async function settle({ ours }: Stage): Promise<void> {
  const deadline = performance.now() + SETTLE_LIMIT_MS;
  while (performance.now() < deadline) {
    const depth = await queueDepth(ours.reader);
    if (depth.waiting + depth.retrying + depth.active + depth.dead === 0) return;
    await sleep(200);
  }
  throw new Error(`The queue did not become empty: ${JSON.stringify(await queueDepth(ours.reader))}`);
}

async function phase(stage: Stage, name: string, mood: Mood, during?: () => Promise<void>): Promise<void> {
  stage.room.mood = mood;
  await queue(stage, EACH);
  await during?.();
  await settle(stage);
  stage.room.mood = {};
  say(`  ${name}: ${EACH} queued, all on their way ended.`);
}

const once = (times: number): boolean => times === 1;
/** By its id, so that the same ones are chosen at each attempt. */
const oneIn = (count: number, id: string): boolean => Number.parseInt(id.slice(0, 6), 16) % count === 0;

/** What was on its way when a service died, which may arrive once more. */
const inFlight = new Set<string>();

/** Kills a service at the how-manieth passing of the point; then what it held is due again. */
async function kill(stage: Stage, arm: Arm): Promise<void> {
  const victim = await stage.start(arm);
  if (!(await victim.endsWithin(120_000))) throw new Error(`Nobody passed ${JSON.stringify(arm)}.`);
  const held = await stage.sql<{ id: string }[]>`
    UPDATE payout_queue.job SET started_on = started_on - interval '1 hour'
     WHERE name = 'mail' AND state = 'active' RETURNING id`;
  for (const { id } of held) inFlight.add(`${id}@payout-service`);
  await stage.keeper.maintain();
}

async function killAtEachPoint(stage: Stage): Promise<number> {
  const kills = DELIVERY_CRASH_POINTS.flatMap((point) =>
    Array.from({ length: KILLS_PER_POINT }, (_, index): Arm => ({ point, passes: index + 1 })),
  );
  await queue(stage, Math.max(EACH, kills.length * 4));
  for (const arm of kills) await kill(stage, arm);
  return kills.length;
}

/** Compares. Gives the faults. */
async function figures({ sql, room }: Stage, kills: number): Promise<string[]> {
  const rows = await sql<{ message_id: string; status: string; email: string }[]>`
    SELECT n.message_id, n.status, u.email FROM notifications n JOIN users u ON u.id = n.user_id
     WHERE n.template = 'form-1099-ready'`;
  const sent = rows.filter(({ status }) => status === 'sent');
  const refused = rows.filter(({ status, email }) => status === 'failed' && email.startsWith(GONE));
  const lost = rows.filter(
    (row) => !refused.includes(row) && (row.status !== 'sent' || !room.received.has(row.message_id)),
  );
  const strangers = [...room.received.keys()].filter(
    (id) => !rows.some(({ message_id }) => message_id === id),
  );
  const again = [...room.received].filter(([, times]) => times > 1).map(([id]) => id);
  const byServer = again.filter((id) => room.diedAfter.has(id));
  const byKill = again.filter((id) => !room.diedAfter.has(id) && inFlight.has(id));
  const unexplained = again.filter((id) => !room.diedAfter.has(id) && !inFlight.has(id));
  const alerts = await sql`SELECT 1 FROM admin_alerts WHERE category = 'dead_letter'`;
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  say(`${rows.length} messages queued, ${sent.length} sent, ${lost.length} lost.`);
  say(`${refused.length} refused for good by the server, with ${alerts.length} alerts.`);
  say(`${again.length} arrived more than once, each time with the same Message-ID:`);
  say(`  ${byServer.length} where the server died after DATA (it died ${room.diedAfter.size} times),`);
  say(`  ${byKill.length} where the service was killed before it could note the answer (${kills} kills),`);
  say(`  ${unexplained.length} for any other reason.`);
  say(`${seconds} s.`);
  return [
    ...lost.map(({ message_id }) => `lost: ${message_id}`),
    ...unexplained.map((id) => `arrived twice: ${id}`),
    ...strangers.map((id) => `not one of ours: ${id}`),
    ...(alerts.length === refused.length ? [] : ['not an alert for each message that was given up']),
  ];
}

async function prove(stage: Stage): Promise<string[]> {
  const { room, papers } = stage;
  const services = await Promise.all([stage.start(), stage.start()]);
  say(`Two services, one SMTP server over TLS, one PostgreSQL${QUICK ? ', quick' : ''}:`);
  await phase(stage, 'all well', {});
  await phase(stage, 'server down for three seconds', {}, async () => {
    await room.shut();
    await sleep(3000);
    await room.serve(papers);
  });
  await phase(stage, 'server slow', { slowMs: 300 });
  await phase(stage, '451 at every second message, once', {
    refuseMessage: (id, times) => (once(times) && oneIn(2, id) ? '451 4.3.0 Try again later' : undefined),
  });
  await phase(stage, 'server dies after DATA of every third message, once', {
    diesAfterData: (id, times) => once(times) && oneIn(3, id),
  });
  await phase(stage, 'wrong certificate for three seconds', {}, async () => {
    await room.serve('wrong');
    await sleep(3000);
    await room.serve(papers);
  });
  const refuseRecipient = (to: string) => (to.startsWith(GONE) ? '550 5.1.1 No such user' : undefined);
  await phase(stage, '550 for some', { refuseRecipient }, () => queue(stage, 10, GONE));
  for (const service of services) await service.kill();
  const kills = await killAtEachPoint(stage);
  await stage.start();
  await settle(stage);
  say(`  service killed at each of ${DELIVERY_CRASH_POINTS.length} steps: ${kills} kills.`);
  return figures(stage, kills);
}

const stage = await setStage();
try {
  const faults = await prove(stage);
  for (const fault of faults) say(fault);
  process.exitCode = faults.length > 0 ? 1 : 0;
} finally {
  endAllServices();
  await stage.keeper.stop();
  await stage.ours.close();
  await stage.sql.end();
  await stage.room.close();
  await stage.database.discard();
}
