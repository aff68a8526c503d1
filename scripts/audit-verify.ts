/** Recomputes every chain of the audit log, against its checkpoints, and names the first row that is wrong. Exit status 1 when there is one. */
import { AuditKeys } from '../src/audit/audit-keys.ts';
import { AuditLogger } from '../src/audit/audit-logger.ts';
import { CheckpointFolder } from '../src/audit/checkpoint-place.ts';
import { Checkpoints } from '../src/audit/checkpoints.ts';
import { Database } from '../src/db/client.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { createLogger } from '../src/kernel/logger.ts';
import { withMigratedUrl } from './db-urls.ts';

await withMigratedUrl(async (url, config) => {
  const database = new Database({ url: config.database.url ?? url, poolSize: 2, role: 'payout_service' });
  try {
    const keys = new AuditKeys(config.audit.signingKey, config.audit.oldKeys);
    const place = new CheckpointFolder(config.audit.checkpointDirectory);
    const checkpoints = new Checkpoints({ database, clock: systemClock, keys, place });
    const logger = createLogger(config.logLevel);
    const audit = new AuditLogger({ database, clock: systemClock, logger, checkpoints });
    const result = await audit.verify();
    process.stdout.write(`${JSON.stringify({ ...result, publicKey: keys.publicKey }, null, 2)}\n`);
    if (!result.valid) process.exitCode = 1;
  } finally {
    await database.close();
  }
});
