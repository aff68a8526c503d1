/**
 * `npm run audit:million [-- entries]`: how long the verification of a large audit log takes, with a checkpoint over all of
 * it. The entries are made by the rules of the chain and copied into a throw-away database.
 */
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import postgres from 'postgres';
import { CHAIN_START, hashEntry } from '../src/audit/chain-rules.ts';
import { startTestService } from '../test/support/test-service.ts';
import { withThrowawayServer } from './throwaway-server.ts';

const wanted = Number(process.argv[2] ?? 1_000_000);
/** So many entries have most payouts; every third chain is of a refused request, which has one. */
const LONGEST = 12;
const startedAt = Date.parse('2026-01-01T00:00:00.000Z');

/** A value in COPY's text form. */
const field = (value: unknown): string =>
  value === null
    ? '\\N'
    : (typeof value === 'string' ? value : JSON.stringify(value)).replaceAll('\\', '\\\\');

function* rows(heads: string[]): Generator<string> {
  let made = 0;
  for (let chain = 0; made < wanted; chain += 1) {
    const entityType = ['payout', 'payment', 'request'][chain % 3] ?? 'request';
    const entityId = entityType === 'request' ? randomUUID() : `PO-2026-${String(chain).padStart(8, '0')}`;
    const length = entityType === 'request' ? 1 : 1 + (chain % LONGEST);
    let previousHash = CHAIN_START;
    for (let chainIndex = 1; chainIndex <= length && made < wanted; chainIndex += 1, made += 1) {
      const at = new Date(startedAt + made * 20);
      const entry = {
        id: randomUUID(), entityType, entityId, chainIndex, previousHash, createdAt: at.toISOString(),
        actor: 'staff:3', userId: '6a6e4c9e-4f0e-4a8e-9d7b-1f0a2f6f3b11', adminId: 3, action: 'noted', success: true,
        errorMessage: null, oldValues: { status: 'approved', version: chainIndex },
        newValues: { status: 'approved', version: chainIndex + 1, note: 'Called the member; all is well.' },
        metadata: { role: 'admin' }, ipAddress: '203.0.113.7', userAgent: 'Mozilla/5.0', requestId: randomUUID(),
      }; // prettier-ignore
      const hash = hashEntry(entry);
      yield `${[entry.id, entry.userId, 3, entry.actor, entityType, entityId, entry.action, entry.oldValues, entry.newValues, 't', null, entry.metadata, entry.ipAddress, entry.userAgent, entry.requestId, entry.createdAt, chainIndex, previousHash, hash].map(field).join('\t')}\n`;
      previousHash = hash;
      if (chainIndex === length || made + 1 === wanted)
        heads.push(`${entityType}\t${entityId}\t${chainIndex}\t${hash}\n`);
    }
  }
}

await withThrowawayServer(async (cluster) => {
  const service = await startTestService({ cluster });
  const sql = postgres(service.databaseUrl, { max: 1, onnotice: () => {} });
  try {
    const heads: string[] = [];
    const into =
      await sql`COPY user_audit_logs (id, user_id, admin_id, actor, entity_type, entity_id, action, old_values,
      new_values, success, error_message, metadata, ip_address, user_agent, request_id, created_at, chain_index,
      previous_hash, hash) FROM STDIN`.writable();
    await pipeline(Readable.from(rows(heads)), into);
    await pipeline(
      Readable.from(heads),
      await sql`COPY audit_chains (entity_type, entity_id, length, hash) FROM STDIN`.writable(),
    );
    await sql`ANALYZE user_audit_logs, audit_chains`;
    const seconds = (since: number) => ((performance.now() - since) / 1000).toFixed(1);
    let since = performance.now();
    await service.services.checkpoints.make();
    console.log(`Checkpoint over ${heads.length} chains: ${seconds(since)} s.`);
    since = performance.now();
    const result = await service.services.audit.verify();
    console.log(`Verification: ${seconds(since)} s.`, JSON.stringify(result));
    if (!result.valid) process.exitCode = 1;
  } finally {
    await sql.end();
    await service.stop();
  }
});
