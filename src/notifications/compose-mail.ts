import type { Reader } from '../db/client.ts';
import type { Links } from './links.ts';
import { MailRefused, type Mail } from './mailer.ts';
import { renderMail, type MailModels, type TemplateName } from './mail-templates.ts';
import { findPayeeName, findRecipient, type NotificationRow } from './notification-store.ts';

/** The message as it leaves, with the names and the address of this moment. Throws MailRefused without a recipient. */
export async function composeMail(
  notification: NotificationRow,
  { reader, links, from }: { reader: Reader; links: Links; from: string },
): Promise<Mail> {
  const { userId, payoutId } = notification;
  const template = notification.template as TemplateName;
  const recipient = await findRecipient(reader, userId);
  if (!recipient) throw new MailRefused('There is no such user.', true);
  const model = {
    ...notification.data,
    recipientName: recipient.name,
    link: await links.linkFor(template, userId, payoutId),
    ...(payoutId === null ? {} : { payoutId, payeeName: await findPayeeName(reader, payoutId) }),
  } as MailModels[TemplateName];
  return {
    ...renderMail(template, model),
    messageId: notification.messageId,
    to: recipient,
    from,
    date: notification.createdAt,
  };
}
