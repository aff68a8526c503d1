/**
 * Issues the 1099s of a year with 100,000 payees over HTTP, kills the service twice in the middle, and counts what came
 * of it. `npm run issue:year -- 5000` takes fewer.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { insertPaidYear, insertPeople } from '../test/support/paid-years.ts';
import { createDatabase, databaseUrl } from '../test/support/databases.ts';
import { buildService, ServiceProcess } from './crash/service-processes.ts';
import { withThrowawayServer } from './throwaway-server.ts';

const PAYEES = Number(process.argv[2] ?? 100_000);
const YEAR = 2025;
const AUTH_SECRET = randomBytes(32).toString('hex');
const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function fill(sql: postgres.Sql): Promise<void> {
  await insertPaidYear(sql, YEAR, PAYEES);
  // The queue is not what is measured here: whoever was put in waits for no fold.
  await sql`TRUNCATE queue_touched`;
  await sql`ANALYZE`;
}

/** Somebody of the staff with a session as signing in leaves it; gives the bearer token. */
async function hire(sql: postgres.Sql): Promise<string> {
  const [userId = ''] = await insertPeople(sql, 1);
  const token = randomBytes(24).toString('hex');
  await sql`INSERT INTO admin_users (user_id, role) VALUES (${userId}, 'admin')`;
  await sql`INSERT INTO sessions (user_id, token, expires_at) VALUES (${userId}, ${token}, now() + interval '1 day')`;
  return `${token}.${createHmac('sha256', AUTH_SECRET).update(token).digest('base64')}`;
}

const issuedIn = async (sql: postgres.Sql): Promise<number> => {
  const [row] = await sql<
    { issued: number }[]
  >`SELECT coalesce(max(issued), 0)::integer AS issued FROM tax_issue_runs`;
  return row?.issued ?? 0;
};

async function untilIssued(
  sql: postgres.Sql,
  count: number,
  refusal: () => string | undefined = () => undefined,
): Promise<void> {
  while ((await issuedIn(sql)) < count) {
    if (refusal()) throw new Error(refusal());
    await sleep(200);
  }
}

await withThrowawayServer(async ({ url: cluster, templateDatabase, folder }) => {
  const url = databaseUrl(cluster, 'issue_year');
  await createDatabase(cluster, 'issue_year', templateDatabase);
  const sql = postgres(url, { max: 2, onnotice: () => {} });
  try {
    let began = performance.now();
    const seconds = () => ((performance.now() - began) / 1000).toFixed(1);
    await fill(sql);
    const authorization = `Bearer ${await hire(sql)}`;
    say(`${PAYEES} payees of ${YEAR} in ${seconds()} s.`);
    const build = await buildService(folder);
    const env = {
      PATH: process.env['PATH'] ?? '',
      NODE_ENV: 'test',
      DATABASE_URL: url,
      DATA_DIR: folder,
      PORT: '0',
      LOG_LEVEL: 'error',
      BETTER_AUTH_SECRET: AUTH_SECRET,
      STEP_UP_MINUTES: '0',
    };
    const headers = { authorization, 'content-type': 'application/json' };
    let service = await ServiceProcess.start(build, env);
    began = performance.now();
    const asked = fetch(`${service.url}/api/reports/tax-forms/${YEAR}`, {
      method: 'POST',
      headers,
      body: '{}',
    });
    // Killed, it has no answer; refused, nothing would ever be issued.
    let refusal: string | undefined;
    asked
      .then(async (answer) => (refusal = answer.ok ? undefined : await answer.text()))
      .catch(() => undefined);
    for (const share of [0.02, 0.5]) {
      await untilIssued(sql, PAYEES * share, () => refusal);
      await service.kill();
      say(`Killed at ${await issuedIn(sql)} forms, after ${seconds()} s.`);
      service = await ServiceProcess.start(build, env);
      // What a person does who sees no answer: ask again. It joins the run under way.
      const again = await fetch(`${service.url}/api/reports/tax-forms/${YEAR}`, {
        method: 'POST',
        headers,
        body: '{}',
      });
      const { issuing } = (await again.json()) as { issuing: unknown };
      say(`Asked again: ${again.status} ${JSON.stringify(issuing)}.`);
      const jobs = (await (await fetch(`${service.url}/api/jobs`, { headers })).json()) as {
        data: { name: string; lastRun: { status: string; progress: unknown } | null }[];
      };
      const run = jobs.data.find(({ name }) => name === 'tax-form-issuing')?.lastRun;
      say(
        `GET /api/jobs: tax-form-issuing ${run?.status ?? 'not yet'} ${JSON.stringify(run?.progress ?? null)}.`,
      );
    }
    await untilIssued(sql, PAYEES);
    say(`Done after ${seconds()} s, kills and starts within it.`);
    began = performance.now();
    const file = await fetch(`${service.url}/api/reports/tax-forms/${YEAR}?format=csv`, { headers });
    const lines = (await file.text()).trimEnd().split('\r\n').length - 1;
    say(`Its file: ${lines} lines in ${seconds()} s.`);
    await service.terminate();
    const [forms] = await sql`SELECT count(*)::integer AS forms, count(DISTINCT user_id)::integer AS payees,
      sum(federal_tax_withheld) AS box4 FROM tax_forms WHERE form_type = '1099-MISC' AND status = 'issued'`;
    const [entries] =
      await sql`SELECT count(*)::integer AS entries FROM user_audit_logs WHERE action = 'issued'`;
    const [mails] =
      await sql`SELECT count(*)::integer AS mails FROM notifications WHERE template = 'form-1099-ready'`;
    const [owed] =
      await sql`SELECT sum(amount) AS owed FROM withholding_liabilities WHERE reversed_at IS NULL`;
    const found = { ...forms, ...entries, ...mails, ...owed };
    say(JSON.stringify(found));
    const right =
      [forms?.['forms'], forms?.['payees'], entries?.['entries'], mails?.['mails']].every(
        (count) => count === PAYEES,
      ) &&
      forms?.['box4'] === owed?.['owed'] &&
      lines === PAYEES;
    say(right ? 'One form, one entry and one message for each payee.' : 'WRONG: see the figures.');
    if (!right) process.exitCode = 1;
  } finally {
    await sql.end();
  }
});
