/** Databases that are set up in other ways than the embedded one: on a server of their own, as they change its roles. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { prepareEmbedded } from '../../src/db/embedded-databases.ts';
import {
  discardEmbeddedServer,
  startEmbeddedServer,
  type EmbeddedServer,
} from '../../src/db/embedded-server.ts';
import { reasonOf } from '../../src/db/errors.ts';
import { migrateUp } from '../../src/db/migrations.ts';
import { startService } from '../../src/start-service.ts';
import { makeTestFolder } from '../support/cluster.ts';

let folder: string;
let server: EmbeddedServer;
let admin: postgres.Sql;
beforeAll(async () => {
  folder = await makeTestFolder();
  server = await startEmbeddedServer({
    dataDirectory: join(folder, 'postgres'),
    password: 'a password',
    durable: false,
  });
  admin = postgres(server.url('postgres'), { max: 1, onnotice: () => {} });
});
afterAll(async () => {
  await admin.end();
  await server.stop();
  await discardEmbeddedServer(join(folder, 'postgres'));
  await rm(folder, { recursive: true, force: true });
});

const as = (user: string, database: string): string => {
  const url = new URL(server.url(database));
  url.username = user;
  url.password = user;
  return url.href;
};

/** Starts the service as somebody would, and asks whether it is ready. */
async function readiness(url: string): Promise<unknown> {
  const env = {
    NODE_ENV: 'test',
    DATA_DIR: join(folder, 'data'),
    PORT: '0',
    JOBS: 'false',
    LOG_LEVEL: 'error',
  };
  const service = await startService({ ...env, DATABASE_URL: url });
  try {
    const signIn = await fetch(`${service.url}/api/auth/sign-in/email`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email: 'nobody@example.com', password: 'a-password-1234' }),
    });
    return { ...((await (await fetch(`${service.url}/ready`)).json()) as object), signIn: signIn.status };
  } finally {
    await service.stop();
  }
}

describe('a database', () => {
  it('of an owner who makes roles, and is no superuser, serves', async () => {
    await admin.unsafe(`CREATE ROLE landlord LOGIN CREATEROLE PASSWORD 'landlord'`);
    await admin.unsafe('CREATE DATABASE rented OWNER landlord');
    expect(await readiness(as('landlord', 'rented'))).toMatchObject({ ready: true, signIn: 401 });
  });

  it.each([
    ['search_path', 'other, public'],
    ['DateStyle', 'German'],
  ])('whose %s is %j serves', async (setting, value) => {
    const name = `set_${setting}_${value.length}`.toLowerCase();
    await admin.unsafe(`CREATE DATABASE ${name}`);
    await admin.unsafe(`ALTER DATABASE ${name} SET ${setting} = '${value}'`);
    const inside = postgres(server.url(name), { max: 1 });
    await inside`CREATE SCHEMA other`;
    await inside.end();
    expect(await readiness(server.url(name))).toMatchObject({ ready: true });
  });

  it('of another encoding is refused in a line', async () => {
    await admin.unsafe(
      `CREATE DATABASE latin ENCODING 'LATIN1' LOCALE_PROVIDER libc LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`,
    );
    await expect(migrateUp(server.url('latin'))).rejects.toThrow(/encoded in LATIN1.*ENCODING 'UTF8'/);
  });

  it('that does not take the migrations says why, without their text', async () => {
    await admin.unsafe(`CREATE ROLE guest LOGIN PASSWORD 'guest'`);
    const refused = await migrateUp(as('guest', 'postgres')).catch((error: unknown) => reasonOf(error));
    expect(refused).toMatch(/^permission denied .* \(42501\)$/);
  });
});

describe('the embedded database', () => {
  it('that a script made before the first start is filled by it, and one with people in it stays', async () => {
    const url = await prepareEmbedded(server);
    await migrateUp(url);
    const fill = vi.fn(async (at: string) => {
      await migrateUp(at);
      const sql = postgres(at, { max: 1 });
      await sql`INSERT INTO users (email) VALUES ('somebody@example.com')`;
      await sql.end();
    });
    const inside = async (statement: string) => {
      const sql = postgres(url, { max: 1 });
      await sql.unsafe(statement);
      await sql.end();
    };
    await inside('CREATE TABLE of_somebody_else (note text)');
    expect(await prepareEmbedded(server, fill)).toBe(url);
    expect(fill).not.toHaveBeenCalled();
    await inside('DROP TABLE of_somebody_else');
    expect(await prepareEmbedded(server, fill)).toBe(url);
    expect(await prepareEmbedded(server, fill)).toBe(url);
    expect(fill).toHaveBeenCalledTimes(1);
  });
});
