import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { eq } from 'drizzle-orm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { insertMany } from '../../src/db/insert-many.ts';
import { notifications } from '../../src/db/schema/index.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

let service: TestService;
let userId: string;
beforeAll(async () => {
  service = await startTestService();
  ({ userId } = await service.newMember());
});
afterAll(() => service.stop());

const rowOf = (template: string, data: Record<string, unknown>, at: Date) => ({
  id: randomUUID(),
  template,
  userId,
  payoutId: null,
  data,
  status: 'failed' as const,
  messageId: randomUUID(),
  nextAttemptAt: at,
  createdAt: at,
});

it('keeps what it is given, and gives what is left out its default', async () => {
  // What the edge lets in: no NUL, no half of a pair.
  const text = fc
    .string({ unit: 'grapheme' })
    .filter((value) => value.isWellFormed() && !value.includes('\0'));
  const data = fc.dictionary(text, fc.oneof(text, fc.integer(), fc.boolean(), fc.constant(null)), {
    maxKeys: 4,
    noNullPrototype: true,
  });
  const at = fc.date({ min: new Date('2020-01-01'), max: new Date('2060-01-01'), noInvalidDate: true });
  const rows = fc.array(fc.tuple(text, data, at), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(rows, async (wanted) => {
      const written = wanted.map((values) => rowOf(...values));
      await service.database.transaction((tx) => insertMany(tx, notifications, written));
      for (const row of written) {
        const [found] = await service.database.reader
          .select()
          .from(notifications)
          .where(eq(notifications.id, row.id));
        expect(found).toMatchObject(row);
        expect(found?.attempts).toBe(0);
      }
    }),
    { numRuns: 30 },
  );
});

it('refuses rows of different fields, and writes none of them', async () => {
  const [one, other] = ['one', 'other'].map((template) => rowOf(template, {}, new Date()));
  const { payoutId: _, ...less } = { ...other };
  for (const odd of [
    { ...other, attempts: 3 },
    less,
    { ...less, attempts: 3 },
    { ...other, payoutId: undefined },
  ]) {
    const rows = [one, odd] as NonNullable<typeof one>[];
    const writing = service.database.transaction((tx) => insertMany(tx, notifications, rows));
    await expect(writing).rejects.toThrow('same fields');
  }
  expect(await service.sql`SELECT 1 FROM notifications WHERE template = 'one'`).toHaveLength(0);
});
