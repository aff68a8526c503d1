import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { SessionReader } from '../../src/auth/session-reader.ts';
import { Database } from '../../src/db/client.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

let service: TestService;
let database: Database;
beforeAll(async () => {
  service = await startTestService();
  database = new Database({ url: service.databaseUrl, poolSize: 4, role: 'payout_service' });
});
afterAll(async () => {
  await database.close();
  await service.stop();
});

const newToken = () => randomBytes(16).toString('hex');

/** So many people, each with a session; its token, by the person. */
async function sessions(count: number): Promise<Map<string, string>> {
  const people = new Map<string, string>();
  for (let made = 0; made < count; made += 1) {
    const { userId } = await service.newMember({ payments: 0, subscription: null });
    const token = newToken();
    await service.sql`INSERT INTO sessions (user_id, token, expires_at)
      VALUES (${userId}, ${token}, now() + interval '1 hour')`;
    people.set(userId, token);
  }
  return people;
}

/** A reader, and the times that it asked the database. */
function counted(): { reader: SessionReader; statements: () => number } {
  const asked = vi.fn((...args: Parameters<Database['sql']>) => database.sql(...args));
  const reader = new SessionReader({ sql: asked } as unknown as Database);
  return { reader, statements: () => asked.mock.calls.length };
}

describe('sessions of requests that come at once', () => {
  it('are each their own person’s, and found in one statement', async () => {
    const people = await sessions(12);
    const { reader, statements } = counted();
    const wanted = [...people].flatMap(([userId, token]) => [
      { token, userId },
      { token: newToken(), userId: undefined },
      { token, userId },
      { token: `"${token}",\\{}`, userId: undefined },
    ]);
    const found = await Promise.all(wanted.map(({ token }) => reader.find(token)));
    expect(found.map((session) => session?.userId)).toEqual(wanted.map(({ userId }) => userId));
    expect(statements()).toBe(1);
  });

  it('are no more than a hundred in one', async () => {
    const { reader, statements } = counted();
    await Promise.all(Array.from({ length: 250 }, () => reader.find(newToken())));
    expect(statements()).toBe(3);
  });

  it('are read anew by whoever comes after', async () => {
    const [[, token] = ['', '']] = await sessions(1);
    const { reader } = counted();
    expect(await reader.find(token)).toBeDefined();
    await service.sql`DELETE FROM sessions WHERE token = ${token}`;
    expect(await reader.find(token)).toBeUndefined();
  });

  it('fail together, and not those after them', async () => {
    const [[userId, token] = ['', '']] = await sessions(1);
    const { reader } = counted();
    // A token that the database cannot read; one with a signature of ours is never like it.
    const failed = await Promise.allSettled([reader.find(token), reader.find('a\0b')]);
    expect(failed.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect((await reader.find(token))?.userId).toBe(userId);
  });
});
