import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../src/kernel/logger.ts';
import { MailDelivery } from '../../src/notifications/mail-delivery.ts';
import { enqueueFor } from '../../src/notifications/outbox.ts';
import { SmtpMailer } from '../../src/notifications/smtp-mailer.ts';
import { MailRoom } from '../support/mail-room.ts';
import { startCast, type Cast } from '../support/stories.ts';

let cast: Cast;
let room: MailRoom;
beforeAll(async () => {
  [cast, room] = await Promise.all([startCast(), MailRoom.open()]);
});
afterAll(async () => {
  await room.close();
  await cast.service.stop();
});
beforeEach(async () => {
  room.mood = {};
  await room.serve();
  // What an earlier test left on its way is none of the next one's.
  await cast.service.sql`DELETE FROM payout_queue.job`;
  await cast.service.sql`UPDATE notifications SET status = 'sent' WHERE status IN ('queued', 'sending')`;
});

/** The service's delivery over SMTP in earnest. */
function deliveryOf(options: { requireTls?: boolean } = {}): MailDelivery {
  const { database, time, services } = cast.service;
  const mailer = new SmtpMailer({
    host: '127.0.0.1',
    port: room.port,
    implicitTls: false,
    requireTls: options.requireTls ?? false,
    timeouts: { idleMs: 2000, wholeMs: 5000 },
  });
  const settings = { from: 'payouts@example.com', retrySeconds: 300 };
  return new MailDelivery({
    database,
    clock: time,
    mailer,
    links: services.links,
    logger: silentLogger,
    settings,
  });
}

interface Row {
  id: string;
  status: string;
  attempts: number;
  last_error: string | null;
}

/** Queues a message to the person and gives a look at its record. */
async function queued(userId = cast.viewer.userId): Promise<{ id: string; row: () => Promise<Row> }> {
  const { database, sql, time } = cast.service;
  const before = new Set((await sql<Row[]>`SELECT id FROM notifications`).map(({ id }) => id));
  const message = { template: 'form-1099-ready', data: { taxYear: '2026' }, at: time.now() } as const;
  await database.transaction((tx) => enqueueFor(tx, userId, message));
  const id =
    (await sql<Row[]>`SELECT id FROM notifications`).map((row) => row.id).find((one) => !before.has(one)) ??
    '';
  const row = async () => (await sql<Row[]>`SELECT * FROM notifications WHERE id = ${id}`)[0] as Row;
  return { id, row };
}

const received = (id: string): number => room.received.get(`${id}@payout-service`) ?? 0;
const fiveMinutes = () => cast.service.time.advanceDays(300 / 86_400);

describe('a message whose server', () => {
  it('is down for a while arrives when it is back', async () => {
    const delivery = deliveryOf();
    const { id, row } = await queued();
    await room.shut();
    for (let times = 0; times < 2; times += 1) {
      expect(await delivery.deliverDue()).toBe(1);
      expect((await row()).status).toBe('queued');
      fiveMinutes();
    }
    await room.serve();
    expect(await delivery.deliverDue()).toBe(1);
    expect(await row()).toMatchObject({ status: 'sent', attempts: 3, last_error: null });
    expect(received(id)).toBe(1);
  });

  it('is slow arrives once; too slow, it is broken off and tried again', async () => {
    const delivery = deliveryOf();
    const { id, row } = await queued();
    room.mood = { slowMs: 500 };
    expect(await delivery.deliverDue()).toBe(1);
    expect([(await row()).status, received(id)]).toEqual(['sent', 1]);
    const late = await queued();
    room.mood = { slowMs: 2500 };
    expect(await delivery.deliverDue()).toBe(1);
    expect(await late.row()).toMatchObject({ status: 'queued', attempts: 1 });
  });

  it.each([
    ['451 4.3.0 Try again later', 'queued'],
    ['552 5.2.2 The mailbox is full', 'failed'],
    ['550 5.1.1 No such user', 'failed'],
    ['550 5.7.1 Temporarily blocked, try again later', 'queued'],
  ])('answers %s is %s', async (reply, status) => {
    const delivery = deliveryOf();
    const { id, row } = await queued();
    room.mood = { refuseRecipient: () => reply };
    await delivery.deliverDue();
    expect(await row()).toMatchObject({ status, attempts: 1 });
    expect((await row()).last_error).toContain(reply);
    expect(received(id)).toBe(0);
  });

  it('dies after DATA arrives twice at most, both times as the same message', async () => {
    const delivery = deliveryOf();
    const { id, row } = await queued();
    room.mood = { diesAfterData: (_id, times) => times === 1 };
    expect(await delivery.deliverDue()).toBe(1);
    expect([(await row()).status, received(id)]).toEqual(['queued', 1]);
    fiveMinutes();
    expect(await delivery.deliverDue()).toBe(1);
    expect([(await row()).status, received(id)]).toEqual(['sent', 2]);
    expect(room.diedAfter).toEqual(new Set([`${id}@payout-service`]));
  });

  it('has no TLS, or a wrong certificate, gets nothing', async () => {
    const { id, row } = await queued();
    expect(await deliveryOf({ requireTls: true }).deliverDue()).toBe(1);
    expect(await row()).toMatchObject({ status: 'queued', attempts: 1 });
    fiveMinutes();
    await room.serve('wrong');
    for (const requireTls of [true, false]) {
      expect(await deliveryOf({ requireTls }).deliverDue()).toBe(1);
      expect((await row()).last_error).toMatch(/certificate/i);
      fiveMinutes();
    }
    expect(received(id)).toBe(0);
  });
});

describe('a hostile name', () => {
  it('harms neither headers, subject, body nor recipients', async () => {
    const name = `<script>alert(1)</script>{{constructor}}\r\nBcc: eve@example.com\u202E, eve@example.com ${'x'.repeat(10_000)}`;
    const member = await cast.service.newMember({ firstName: 'Ada' });
    await cast.service
      .sql`UPDATE users SET first_name = ${name}, last_name = ${name}, name = ${name} WHERE id = ${member.userId}`;
    const { id, row } = await queued(member.userId);
    room.recipients.length = 0;
    await deliveryOf().deliverDue();
    expect((await row()).status).toBe('sent');
    expect(room.recipients).toEqual([member.email]);
    const message = room.messages.get(`${id}@payout-service`) ?? '';
    const [head = ''] = message.split('\r\n\r\n');
    expect(head.match(/^(To|Cc|Bcc|Subject|From):/gim)).toEqual(['From:', 'To:', 'Subject:']);
    expect(head.split('\r\n').every((line) => line.length < 998)).toBe(true);
    // In the text it is text.
    expect(message.slice(message.indexOf('text/html'))).not.toContain('<script>');
  });

  it.each([
    'eve@example.com,ada@example.com',
    'ada@example.com\r\nBcc: eve@example.com',
    'Ada <ada@example.com>',
  ])('in an address is refused: %j', async (address) => {
    const member = await cast.service.newMember();
    await cast.service
      .sql`UPDATE users SET email = ${`${Math.random()}${address}`} WHERE id = ${member.userId}`;
    const { row } = await queued(member.userId);
    room.recipients.length = 0;
    await deliveryOf().deliverDue();
    expect(await row()).toMatchObject({ status: 'failed', attempts: 1 });
    expect(room.recipients.filter((to) => /eve|ada/.test(to))).toEqual([]);
  });
});
