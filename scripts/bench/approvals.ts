import { randomUUID } from 'node:crypto';
import postgres from 'postgres';
import type { EmbeddedServer } from '../../src/db/embedded-server.ts';
import { onCopy, userId, type DataSet } from './data.ts';
import { load, startServiceOn, type ServiceUnderTest } from './http.ts';
import { cpuMs, cpuMsOfAll, parentOf } from './processes.ts';

export interface ApprovalTimes {
  /** Approvals a second by eight connections: the first of two, and the last, which moves the payout on. */
  first: number;
  last: number;
  /** Of the first ones: what four statements in a transaction do without the service, with the same triggers. */
  bare: number;
  /** Processor time of one first approval, in milliseconds: the service's and the database's. */
  serviceMs: number;
  databaseMs: number;
  /** The database's for one of the four statements' transactions. */
  bareDatabaseMs: number;
}

const CONNECTIONS = 8;

/** Two admins approve the payouts that wait in the data: half of the first approvals by HTTP, half by SQL. */
export function measureApprovals(
  server: EmbeddedServer,
  { name }: DataSet,
  folder: string,
): Promise<ApprovalTimes> {
  return onCopy(server, name, 'bench_approvals', async (url) => {
    const sql = postgres(url, { max: CONNECTIONS, onnotice: () => {}, connection: { jit: false } });
    try {
      // The data's audit entries are no chains that one could go on with.
      await sql.begin((tx) =>
        tx.unsafe('SET LOCAL session_replication_role = replica; TRUNCATE user_audit_logs'),
      );
      await sql.unsafe(`
        INSERT INTO users (id, email) SELECT ${userId("('approver' || n)")}, 'approver' || n || '@example.com' FROM generate_series(1, 2) n;
        INSERT INTO admin_users (user_id, role) SELECT ${userId("('approver' || n)")}, 'admin' FROM generate_series(1, 2) n`);
      const payoutIds = (
        await sql<{ id: string }[]>`SELECT payout_id AS id FROM payout_management ORDER BY random()`
      ).map(({ id }) => id);
      const half = payoutIds.length >> 1;
      const service = await startServiceOn(url, folder);
      try {
        return await compare(sql, service, payoutIds.slice(0, half), payoutIds.slice(half));
      } finally {
        await service.stop();
      }
    } finally {
      await sql.end();
    }
  });
}

async function compare(
  sql: postgres.Sql,
  service: ServiceUnderTest,
  byHttp: readonly string[],
  bySql: readonly string[],
): Promise<ApprovalTimes> {
  const [backend] = await sql<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`;
  const postmaster = await parentOf(backend?.pid);
  const approve = async (email: string, payoutIds: readonly string[]) => {
    const headers = await service.signIn(email);
    const next = payoutIds.values();
    const url = () => {
      const { value } = next.next();
      return value === undefined ? undefined : `${service.url}/api/payouts/${value}/approve`;
    };
    const before = [await cpuMs(service.child), await cpuMsOfAll(postmaster)] as const;
    const began = performance.now();
    await load({ url, headers, method: 'POST' }, CONNECTIONS, {});
    const seconds = (performance.now() - began) / 1000;
    const each = (after: number, then: number) => (after - then) / payoutIds.length;
    return {
      perSecond: payoutIds.length / seconds,
      serviceMs: each(await cpuMs(service.child), before[0]),
      databaseMs: each(await cpuMsOfAll(postmaster), before[1]),
    };
  };
  // Until V8 has compiled what is called often.
  const warm = Math.floor(byHttp.length / 5);
  await approve('approver1@example.com', byHttp.slice(0, warm));
  const first = await approve('approver1@example.com', byHttp.slice(warm));
  const last = await approve('approver2@example.com', byHttp.slice(warm));
  const before = await cpuMsOfAll(postmaster);
  const began = performance.now();
  await approveBySql(sql, bySql);
  return {
    first: first.perSecond,
    last: last.perSecond,
    bare: (bySql.length / (performance.now() - began)) * 1000,
    serviceMs: first.serviceMs,
    databaseMs: first.databaseMs,
    bareDatabaseMs: ((await cpuMsOfAll(postmaster)) - before) / bySql.length,
  };
}

/** As the service: the payout locked, the decision, the payout changed, and the entry in the audit log. */
async function approveBySql(sql: postgres.Sql, payoutIds: readonly string[]): Promise<void> {
  const [approver] = await sql<{ id: number }[]>`
    SELECT a.id FROM admin_users a JOIN users u ON u.id = a.user_id WHERE u.email = 'approver1@example.com'`;
  const adminId = approver?.id ?? 0;
  const next = payoutIds.values();
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      for (const payoutId of next)
        await sql.begin(async (tx) => {
          const [payout] = await tx<{ version: number }[]>`
            SELECT * FROM payout_management WHERE payout_id = ${payoutId} FOR UPDATE`;
          await tx`INSERT INTO payout_approvals (payout_id, round, admin_id, decision, decided_at, approved_hash)
            VALUES (${payoutId}, 1, ${adminId}, 'approved', now(), 'bench')`;
          const entry = { adminId, decision: 'approved', round: 1 };
          await tx`UPDATE payout_management SET version = version + 1, updated_at = now(),
              approval_workflow = approval_workflow || ${tx.json([entry])}::jsonb, audit_trail = audit_trail || ${tx.json([entry])}::jsonb
            WHERE payout_id = ${payoutId} AND version = ${payout?.version ?? 0}`;
          await tx`INSERT INTO user_audit_logs (id, admin_id, actor, entity_type, entity_id, action, success, metadata, created_at,
              chain_index, previous_hash, hash)
            SELECT ${randomUUID()}, ${adminId}, 'staff', 'approval', ${payoutId}, 'approved', true, '{}', now(), 1, 'bench', 'bench'`;
        });
    }),
  );
}
