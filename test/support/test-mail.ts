import { expect } from 'vitest';
import { MailRefused, type Mail } from '../../src/notifications/mailer.ts';

/** A message that any mailer takes, with changes. */
export const mail = (changes: Partial<Mail> = {}): Mail => ({
  messageId: '<n-1@payouts.example.com>',
  to: { name: 'Maria Gonzalez', address: 'maria@example.com' },
  from: 'payouts@example.com',
  subject: 'Your payment is on its way',
  html: '<p>Hello <b>Maria</b></p><script>alert(1)</script>',
  text: 'Hello Maria\n\nhttps://members.example.com/payout?token=abc&x=1\n',
  date: new Date('2026-03-10T12:00:00Z'),
  ...changes,
});

/** The refusal that sending ended in; fails where the message was taken. */
export async function refusal(sending: Promise<void>): Promise<MailRefused> {
  const error: unknown = await sending.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(MailRefused);
  return error as MailRefused;
}
