import { randomUUID } from 'node:crypto';
import postgres from 'postgres';
import { Database } from '../../src/db/client.ts';
import type { EmbeddedServer } from '../../src/db/embedded-server.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { TaxYears } from '../../src/tax/tax-years-rules.ts';
import { YearEndIssuing } from '../../src/tax/year-end-issuing.ts';
import { insertPaidYear } from '../../test/support/paid-years.ts';
import { keptDatabase, onCopy } from './data.ts';

export interface IssuingTimes {
  payees: number;
  /** Forms a second, each with its audit entry and message: as the service makes them, and one in each transaction. */
  together: number;
  oneByOne: number;
  secondsForAll: number;
}

const YEAR = 2025;
const ONE_BY_ONE_MS = 10_000;

/** The year's 1099s of so many payees, in the service's steps, against one by one for ten seconds. */
export async function measureIssuing(server: EmbeddedServer, payees: number): Promise<IssuingTimes> {
  const kept = `bench_payees_${payees}`;
  await keptDatabase(server, kept, (url) => fill(url, payees));
  return onCopy(server, kept, 'bench_issuing', (url) => compare(url, payees));
}

async function compare(url: string, payees: number): Promise<IssuingTimes> {
  const database = new Database({ url, poolSize: 2, role: 'payout_service' });
  try {
    const actor = {
      kind: 'staff',
      adminId: 1,
      userId: randomUUID(),
      email: 'admin@example.com',
      role: 'admin',
    } as const;
    const years = new TaxYears();
    const oneByOne = { step: 1, lanes: 1 };
    const issue = async (mostMs: number, size?: { step: number; lanes: number }) => {
      const began = performance.now();
      const progress = await new YearEndIssuing(database, systemClock, years, size).issue(
        actor,
        YEAR,
        mostMs,
      );
      return { ...progress, seconds: (performance.now() - began) / 1000 };
    };
    // Makes the list of payees, which is the same for both, and a few forms.
    const begun = await issue(1, oneByOne);
    const single = await issue(ONE_BY_ONE_MS, oneByOne);
    const all = await issue(Number.POSITIVE_INFINITY);
    const together = (all.issued - single.issued) / all.seconds;
    return {
      payees,
      together,
      oneByOne: (single.issued - begun.issued) / single.seconds,
      secondsForAll: payees / together,
    };
  } finally {
    await database.close();
  }
}

async function fill(url: string, payees: number): Promise<void> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    await insertPaidYear(sql, YEAR, payees);
    await sql.unsafe('VACUUM ANALYZE');
  } finally {
    await sql.end();
  }
}
