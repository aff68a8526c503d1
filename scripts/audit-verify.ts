/** Recomputes every chain of the audit log and names the first row that is wrong. Exit status 1 when there is one. */
import { AuditLogger } from '../src/audit/audit-logger.ts';
import { Database } from '../src/db/client.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { createLogger } from '../src/kernel/logger.ts';
import { withOwnerUrl } from './db-urls.ts';

await withOwnerUrl(async (url, config) => {
  const database = new Database({ url: config.database.url ?? url, poolSize: 2, role: 'payout_service' });
  try {
    const audit = new AuditLogger({ database, clock: systemClock, logger: createLogger(config.logLevel) });
    const result = await audit.verify();
    process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
    if (!result.valid) process.exitCode = 1;
  } finally {
    await database.close();
  }
});
