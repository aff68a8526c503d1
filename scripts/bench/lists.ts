import { Database } from '../../src/db/client.ts';
import { listEntries } from '../../src/audit/audit-store.ts';
import { listCases } from '../../src/payouts/payout-store.ts';
import { readPayoutSums } from '../../src/reports/report-store.ts';
import type { DataSet } from './data.ts';
import { median, times } from './timing.ts';

export interface ListTimes {
  payoutsFirst: number;
  payoutsDeep: number;
  auditFirst: number;
  auditDeep: number;
  auditOfOne: number;
  report: number;
}

const cursorOf = (key: readonly unknown[]) => Buffer.from(JSON.stringify(key)).toString('base64url');

/** Pages of 50 from the start and from far down, in milliseconds from the call to its answer. */
export async function measureLists({ url }: DataSet): Promise<ListTimes> {
  const database = new Database({ url, poolSize: 3, role: 'payout_service' });
  const { reader } = database;
  try {
    const [middle] = await database.sql<{ at: string; id: string }[]>`
      SELECT created_at AS at, payout_id AS id
        FROM payout_management ORDER BY created_at OFFSET (SELECT count(*) / 10 FROM payout_management) LIMIT 1`;
    const [entry] = await database.sql<{ at: string; sequence: string }[]>`
      SELECT created_at AS at, sequence FROM user_audit_logs
       WHERE sequence = (SELECT max(sequence) / 10 FROM user_audit_logs)`;
    if (!middle || !entry) throw new Error('There are no payouts.');
    const payouts = cursorOf([new Date(middle.at).toISOString(), middle.id]);
    const entries = cursorOf([new Date(entry.at).toISOString(), Number(entry.sequence)]);
    const of = async (work: () => Promise<unknown>) => median(await times(60, work));
    return {
      payoutsFirst: await of(() => listCases(reader, { limit: 50 })),
      payoutsDeep: await of(() => listCases(reader, { limit: 50, cursor: payouts })),
      auditFirst: await of(() => listEntries(reader, { limit: 50 })),
      auditDeep: await of(() => listEntries(reader, { limit: 50, cursor: entries })),
      auditOfOne: await of(() =>
        listEntries(reader, { limit: 50, entityType: 'payout', entityId: middle.id }),
      ),
      report: median(await times(5, () => readPayoutSums(reader, {}, 'month'))),
    };
  } finally {
    await database.close();
  }
}
