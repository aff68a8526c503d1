/**
 * `npm run audit:archive -- <file> [<day>]`: writes entries of the audit log from before that day (seven years ago unless
 * said) to a new file with a signature beside it, and removes them. Only of a log that is whole. It works as the role
 * `payout_archivist`, which the owner of the database has and the service never.
 */
import { AuditArchive } from '../src/audit/audit-archive.ts';
import { AuditKeys } from '../src/audit/audit-keys.ts';
import { AuditLogger } from '../src/audit/audit-logger.ts';
import { CheckpointFolder } from '../src/audit/checkpoint-place.ts';
import { Checkpoints } from '../src/audit/checkpoints.ts';
import { Database } from '../src/db/client.ts';
import { systemActor } from '../src/kernel/actor.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { createLogger } from '../src/kernel/logger.ts';
import { withMigratedUrl } from './db-urls.ts';

const [file, day] = process.argv.slice(2);
await withMigratedUrl(async (url, config) => {
  if (file === undefined) throw new Error('Name the file: npm run audit:archive -- <file> [<day>]');
  const now = systemClock.now();
  const before = day === undefined ? new Date(now) : new Date(day);
  if (Number.isNaN(before.getTime())) throw new Error(`${day} is no day: write YYYY-MM-DD.`);
  if (day === undefined) before.setUTCFullYear(before.getUTCFullYear() - 7);
  const database = new Database({ url: config.database.url ?? url, poolSize: 2, role: 'payout_service' });
  const archivist = new Database({ url, poolSize: 1, role: 'payout_archivist' });
  try {
    const keys = new AuditKeys(config.audit.signingKey, config.audit.oldKeys);
    const place = new CheckpointFolder(config.audit.checkpointDirectory);
    const checkpoints = new Checkpoints({ database, clock: systemClock, keys, place });
    const logger = createLogger(config.logLevel);
    const audit = new AuditLogger({ database, clock: systemClock, logger, checkpoints });
    if (!(await audit.verify()).valid)
      throw new Error('The audit log is not whole: npm run audit:verify says where.');
    const count = await new AuditArchive(archivist, keys).run(before, file, now);
    await audit.recordRead(systemActor('audit-archive'), {
      entityType: 'audit',
      entityId: 'log',
      action: 'archived',
      newValues: { count },
    });
    process.stdout.write(`${count} entries went into ${file}.\n`);
  } finally {
    await Promise.all([database.close(), archivist.close()]);
  }
});
