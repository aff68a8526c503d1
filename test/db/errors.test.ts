import { randomBytes } from 'node:crypto';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { Database } from '../../src/db/client.ts';
import { CONSTRAINTS, databaseFault, domainErrorFromDatabase } from '../../src/db/errors.ts';
import { DomainError } from '../../src/kernel/errors.ts';
import { createDatabase, databaseUrl, dropDatabase } from '../support/databases.ts';

const clusterUrl = inject('clusterUrl');
const name = `payout_errors_${process.pid}_${randomBytes(4).toString('hex')}`;
let database: Database;
beforeAll(async () => {
  await createDatabase(clusterUrl, name, inject('templateDatabase'));
  database = new Database({ url: databaseUrl(clusterUrl, name), poolSize: 1 });
});
afterAll(async () => {
  await database.close();
  await dropDatabase(clusterUrl, name);
});

/** What PostgreSQL and the driver make of an error with this code, and with this constraint's name. */
async function raised(code: string, constraint = ''): Promise<unknown> {
  const statement = `DO $$ BEGIN RAISE EXCEPTION 'No.' USING ERRCODE = '${code}', CONSTRAINT = '${constraint}'; END $$`;
  const error = await database.reader.execute(sql.raw(statement)).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(databaseFault(error)?.code).toBe(code);
  return error;
}

describe('an error of the database', () => {
  it.each(Object.entries(CONSTRAINTS))('by %s has its own code', async (constraint, [code, message]) => {
    const named = domainErrorFromDatabase(await raised('23514', constraint));
    expect(named).toMatchObject({ code, message });
  });

  it.each(Object.keys(CONSTRAINTS))('%s is a name that the database uses', async (constraint) => {
    const rows = await database.reader.execute(sql`
      SELECT 1 FROM pg_constraint WHERE conname = ${constraint}
      UNION ALL SELECT 1 FROM pg_class WHERE relkind = 'i' AND relname = ${constraint}
      UNION ALL SELECT 1 FROM pg_proc WHERE pronamespace IN ('public'::regnamespace, 'payout_service'::regnamespace)
                                        AND strpos(prosrc, ${`'${constraint}'`}) > 0`);
    expect(rows.length).toBeGreaterThan(0);
  });

  it.each([
    ['40001', 'serialization failure'],
    ['40P01', 'deadlock'],
    ['55P03', 'lock not had in time'],
    ['57014', 'statement not done in time'],
    ['57P01', 'the server shuts down'],
    ['53100', 'disk full'],
    ['53200', 'out of memory'],
    ['53300', 'too many connections'],
    ['25006', 'read-only: a primary that has become a replica'],
  ])('%s (%s) asks to come again, and keeps its cause', async (code) => {
    const error = await raised(code);
    expect(domainErrorFromDatabase(error)).toMatchObject({ code: 'UNAVAILABLE', cause: error });
  });

  it('that nobody foresaw stays what it is', async () => {
    const error = await raised('23514', 'nobody_knows_me');
    expect(domainErrorFromDatabase(error)).toBe(error);
  });

  it('is left alone where it is a refusal already', () => {
    const refusal = new DomainError('INVALID_STATE', 'No.');
    expect(domainErrorFromDatabase(refusal)).toBe(refusal);
  });
});

it('a database that does not answer asks to come again', async () => {
  const away = new Database({ url: 'postgres://nobody:x@127.0.0.1:1/none', poolSize: 1 });
  const error = await away.reader.execute(sql`SELECT 1`).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  await away.close();
  expect(domainErrorFromDatabase(error)).toMatchObject({ code: 'UNAVAILABLE', cause: error });
});
