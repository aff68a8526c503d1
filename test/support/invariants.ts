import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type postgres from 'postgres';

const STATEMENT = readFileSync(join(import.meta.dirname, 'invariants.sql'), 'utf8');

/** What invariants.sql finds wrong, a line for each; `sql` must be able to read every table. */
export async function invariantFaults(sql: Pick<postgres.Sql, 'unsafe'>): Promise<string[]> {
  const rows = await sql.unsafe<{ rule: string; subject: string; detail: string }[]>(STATEMENT);
  return rows.map(({ rule, subject, detail }) => `${rule}: ${subject} (${detail})`);
}
