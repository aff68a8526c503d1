import { sql } from 'drizzle-orm';
import type { Config } from '../config.ts';
import { Database } from '../db/client.ts';
import { migrateUp } from '../db/migrations.ts';
import { users } from '../db/schema/index.ts';
import { systemActor } from '../kernel/actor.ts';
import { startOfDay } from '../kernel/calendar.ts';
import { MovableClock } from '../kernel/clock.ts';
import { silentLogger } from '../kernel/logger.ts';
import { createMailer, MailRefused, type Mailer } from '../notifications/mailer.ts';
import { createServices, outboxOf } from '../services.ts';
import { markDemoData } from './demo-clock.ts';
import { insertMainAppData } from './main-app-data.ts';
import { PayoutStories } from './payout-stories.ts';
import { memberEmail } from './people.ts';

/** The document's, whatever the service itself is to go by: the stories need two approvals and a dozen funded payouts. */
const STORY_TERMS: Config['business'] = {
  launchDate: startOfDay('2023-01-01'),
  payoutThresholdCents: 10_000_000,
  rewardPerWinnerCents: 10_000_000,
  retentionFeeCents: 30_000,
  bankChangeCooloffHours: 72,
};

/** Whose mailbox does not take the first message, so that there is an undelivered one to look at. */
const FULL_MAILBOX = memberEmail(16);

/**
 * Fills an empty database with demo data: the main app's tables directly, everything of ours through the services.
 * `url` is the owner's. Throws when the database has people in it already.
 */
export async function seedDemo(config: Config, url: string): Promise<void> {
  await migrateUp(url);
  const owner = new Database({ url, poolSize: 2 });
  const database = new Database({ url, poolSize: 5, role: 'payout_service' });
  try {
    const [row] = await owner.reader.select({ count: sql<number>`count(*)::integer` }).from(users);
    if (row && row.count > 0)
      throw new Error('The database has people in it already. Demo data go into an empty one only.');
    const clock = new MovableClock();
    const now = clock.now();
    const people = await insertMainAppData(owner, now);
    const mailer = withFullMailbox(
      createMailer({
        ...config.email,
        provider: 'outbox',
        outboxDirectory: outboxOf(config),
      }),
    );
    const parts = {
      logger: silentLogger,
      clock,
      database,
      mainApp: owner,
      publicUrl: 'http://localhost',
      mailer,
    };
    const services = createServices({ ...parts, config: { ...config, business: STORY_TERMS } });
    await new PayoutStories(services, clock, people, now).tellAll();
    await createServices({ ...parts, config }).eligibility.recordCheck(systemActor('demo-data'));
    await services.mailDelivery.deliverDue();
    // What staff are told of the mail that could not be delivered.
    await services.mailDelivery.deliverDue();
    await markDemoData(database);
  } finally {
    await database.close();
    await owner.close();
  }
}

function withFullMailbox(mailer: Mailer): Mailer {
  let refused = false;
  return {
    kind: mailer.kind,
    async send(mail) {
      if (mail.to.address === FULL_MAILBOX && !refused) {
        refused = true;
        throw new MailRefused('552 The mailbox is full.', true);
      }
      await mailer.send(mail);
    },
    isUp: () => mailer.isUp(),
    close: () => mailer.close(),
  };
}
