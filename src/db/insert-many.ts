import { getTableColumns, getTableName, sql } from 'drizzle-orm';
import type { PgTable } from 'drizzle-orm/pg-core';
import type { Tx } from './client.ts';

/**
 * Inserts many rows, all with the same fields, as one parameter that PostgreSQL reads as a table: a parameter for each field
 * takes longer to build, to send and to plan than the rows take to insert. Fields that are left out get their defaults.
 * Values go as JSON writes them, so a bytea cannot.
 */
export async function insertMany<T extends PgTable>(
  tx: Tx,
  table: T,
  rows: readonly T['$inferInsert'][],
): Promise<void> {
  const [first] = rows;
  if (first === undefined) return;
  const columns = getTableColumns(table);
  const names = Object.keys(first).map((field): [field: string, column: string] => {
    const column = columns[field];
    if (!column) throw new Error(`${getTableName(table)} has no ${field}.`);
    return [field, column.name];
  });
  const list = sql.join(
    names.map(([, column]) => sql.identifier(column)),
    sql`, `,
  );
  const values = rows.map((row: Record<string, unknown>) => {
    const isSame =
      Object.keys(row).length === names.length && names.every(([field]) => row[field] !== undefined);
    if (!isSame) throw new Error('The rows do not have the same fields.');
    return Object.fromEntries(names.map(([field, column]) => [column, row[field]]));
  });
  await tx.execute(sql`
    INSERT INTO ${table} (${list})
    SELECT ${list} FROM json_populate_recordset(NULL::${table}, ${JSON.stringify(values)}::json)`);
}
