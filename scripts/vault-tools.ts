/** The vault of the configured database, for the scripts that look after its keys. */
import { Vault } from '../src/crypto/envelope.ts';
import { KeyKeeper, type KeyUse } from '../src/crypto/key-keeper.ts';
import { createMasterKeys } from '../src/crypto/master-keys.ts';
import { Database } from '../src/db/client.ts';
import { withMigratedUrl } from './db-urls.ts';

export const withKeyKeeper = (work: (keeper: KeyKeeper) => Promise<void>): Promise<void> =>
  withMigratedUrl(async (url, config) => {
    const database = new Database({
      url: config.database.url ?? url,
      poolSize: 10,
      role: 'payout_service',
      applicationName: 'payout-service keys',
    });
    try {
      await work(new KeyKeeper(database, new Vault(createMasterKeys(config.masterKeys))));
    } finally {
      await database.close();
    }
  });

export const print = (line: string): void => void process.stdout.write(`${line}\n`);

/** One line a master key: how many values it wraps. */
export const usesOf = (uses: readonly KeyUse[]): string =>
  uses.map(({ keyId, current, count }) => `${count} under ${keyId}${current ? ' (current)' : ''}`).join(', ');
