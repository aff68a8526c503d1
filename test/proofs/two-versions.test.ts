/**
 * This version beside the one before its newest migration, whose code is taken from the repository's history: both serve
 * one database behind a balancer while the migration is made, while it is taken back, and when it is made again.
 */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import postgres from 'postgres';
import { expect, it } from 'vitest';
import { insist } from '../../scripts/crash/client.ts';
import { LIVES, type Course } from '../../scripts/crash/lives.ts';
import { People, type Person, type StaffName } from '../../scripts/crash/people.ts';
import { buildService, endAllServices, ServiceProcess } from '../../scripts/crash/service-processes.ts';
import { settingsFor } from '../../scripts/crash/stage.ts';
import { RoundRobin } from '../../scripts/cluster/round-robin.ts';
import { withThrowawayServer } from '../../scripts/throwaway-server.ts';
import { AuditLogger } from '../../src/audit/audit-logger.ts';
import { Database } from '../../src/db/client.ts';
import { migrateDown, migrateUp } from '../../src/db/migrations.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLogger } from '../../src/kernel/logger.ts';
import { createDatabase, databaseUrl } from '../support/databases.ts';
import { invariantFaults } from '../support/invariants.ts';

const LIMIT_MS = 900_000;
const git = async (...args: string[]) =>
  (await promisify(execFile)('git', args, { maxBuffer: 500_000_000, encoding: 'buffer' })).stdout;

/** The code before the newest migration came, in a folder. */
async function versionBefore(folder: string): Promise<string> {
  const newest = (await readdir('drizzle'))
    .filter((name) => /^\d{4}_\w+\.sql$/.test(name))
    .toSorted()
    .at(-1);
  const path = `drizzle/${newest}`;
  const came = String(await git('log', '-1', '--diff-filter=A', '--format=%H', '--', path)).trim();
  if (came === '') throw new Error(`The history of ${path} is not here: git fetch --unshallow`);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'code.tar'), await git('archive', `${came}^`));
  await promisify(execFile)('tar', ['-xf', 'code.tar'], { cwd: folder });
  // The packages are today's: a version that needs others cannot be tried in this way.
  await symlink(resolve('node_modules'), join(folder, 'node_modules'));
  expect(await readdir(join(folder, 'drizzle'))).not.toContain(newest);
  return folder;
}

async function build(folder: string, source?: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  return buildService(folder, source);
}

const isReady = async ({ url }: ServiceProcess) => (await fetch(`${url}/ready`)).status === 200;

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`It did not come to this: ${what}.`);
    await sleep(100);
  }
}

it(
  'the version before and this one serve one database, through a migration and its way back',
  () =>
    withThrowawayServer(async ({ url: clusterUrl, folder }) => {
      await createDatabase(clusterUrl, 'two_versions');
      const databaseOfBoth = databaseUrl(clusterUrl, 'two_versions');
      const env = { ...settingsFor(databaseOfBoth, folder), DATABASE_POOL_SIZE: '5' };
      const oldBuild = await build(join(folder, 'old'), await versionBefore(join(folder, 'old-source')));
      const newBuild = await build(join(folder, 'new'));
      const balancer = new RoundRobin(100);
      const sql = postgres(databaseOfBoth, { max: 3, onnotice: () => {} });
      const migrations = async () => (await sql`SELECT 1 FROM payout_service.migrations`).length;
      try {
        const url = await balancer.listen(0);
        const old = await ServiceProcess.start(oldBuild, env);
        await balancer.add(old.url);
        const before = await migrations();
        const people = new People(sql, () => old.url);
        const staff = await people.hireStaff();
        await people.fund(200);
        let turnedAway = 0;
        let lived = 0;

        /** A whole life through whatever instance has its turn. Asked again under the same key while there is a 503. */
        const live = async (steps: (typeof LIVES)[number]): Promise<void> => {
          const member = await people.newMember();
          const course: Course = { userId: member.userId, payoutId: '', formId: '' };
          for (const step of steps) {
            const who: Person = step.by === 'member' ? member : staff[step.by satisfies StaffName];
            const request = {
              path: step.path(course),
              token: who.token,
              key: randomUUID(),
              body: step.body(course),
            };
            const answer = await insist(url, request, () => (turnedAway += 1));
            expect(answer?.status, `${step.name}: ${answer?.text}`).toBeLessThan(300);
            step.learn?.(course, JSON.parse(answer?.text ?? '{}') as Record<string, unknown>);
          }
          lived += 1;
        };
        const liveAll = () => Promise.all(LIVES.map(live));
        /** Lives without a break while `work` goes on. */
        const meanwhile = async (work: () => Promise<void>): Promise<void> => {
          let isOver = false;
          const lane = async () => {
            while (!isOver) for (const life of LIVES) await live(life);
          };
          const lanes = Promise.all([lane(), lane()]);
          lanes.catch(() => undefined);
          await work();
          isOver = true;
          await lanes;
        };

        await liveAll();
        let current: ServiceProcess | undefined;
        await meanwhile(async () => {
          current = await ServiceProcess.start(newBuild, env);
          await balancer.add(current.url);
        });
        if (!current) throw new Error('The new version did not start.');
        const young = current;
        expect(await migrations()).toBe(before + 1);
        expect([await isReady(old), await isReady(young)]).toEqual([true, true]);
        expect(turnedAway).toBe(0);
        await liveAll();
        expect(turnedAway).toBe(0);
        const sharesBefore = balancer.shares;
        for (const share of sharesBefore) expect(share).toBeGreaterThan(10);

        // Back: the new one says that it is not ready, and the old one does everything.
        await meanwhile(async () => {
          expect(await migrateDown(databaseOfBoth, 1)).toHaveLength(1);
          await until('the new version is not ready', async () => !(await isReady(young)));
        });
        expect(await isReady(old)).toBe(true);
        const turnedAwayAtRollback = turnedAway;
        await liveAll();
        expect(turnedAway).toBe(turnedAwayAtRollback);

        await meanwhile(async () => {
          await migrateUp(databaseOfBoth);
          await until('the new version is ready again', () => isReady(young));
        });
        await liveAll();
        expect(turnedAway).toBe(turnedAwayAtRollback);
        expect(balancer.broken).toEqual([]);
        expect(await invariantFaults(sql)).toEqual([]);
        const database = new Database({ url: databaseOfBoth, poolSize: 2, role: 'payout_service' });
        const audit = new AuditLogger({ database, clock: systemClock, logger: silentLogger });
        expect((await audit.verify()).valid).toBe(true);
        await database.close();
        console.log(
          `${lived} lives; answers not final while the migration was taken back: ${turnedAwayAtRollback}; by each: ${balancer.shares.join(', ')}`,
        );
        for (const service of [young, old]) expect((await service.terminate()).code).toBe(0);
      } finally {
        endAllServices();
        await balancer.close();
        await sql.end({ timeout: 1 });
      }
    }),
  LIMIT_MS,
);
