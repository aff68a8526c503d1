import { get } from 'node:http';
import postgres from 'postgres';
import { Database } from '../../src/db/client.ts';
import { listEntries, type AuditFilter } from '../../src/audit/audit-store.ts';
import type { EmbeddedServer } from '../../src/db/embedded-server.ts';
import { keptDatabase, userId } from './data.ts';
import { startServiceOn } from './http.ts';
import { residentMemory } from './processes.ts';
import { median, times } from './timing.ts';

export interface AuditTimes {
  /** Milliseconds of a page of 50, from the call to its answer. */
  pages: Record<string, number>;
  /** An export by the service, which has a heap of 256 MB: entries, seconds, and its memory before and after. */
  export: { entries: number; seconds: number; beforeMiB: number; afterMiB: number };
}

const SECONDS_APART = 20;
const EXPORTED = 200_000;

/** The audit log with so many entries, ten to a chain, one every twenty seconds. */
export async function measureAuditLog(
  server: EmbeddedServer,
  folder: string,
  entries: number,
): Promise<AuditTimes> {
  const url = await keptDatabase(server, `bench_audit_${entries}`, (unfinished) => fill(unfinished, entries));
  const database = new Database({ url, poolSize: 2, role: 'payout_service' });
  try {
    const { sql, reader } = database;
    const [middle] = await sql<{ sequence: string; id: string; at: string }[]>`
      SELECT sequence, entity_id AS id, created_at AS at FROM user_audit_logs WHERE sequence >= ${entries / 2} ORDER BY sequence LIMIT 1`;
    if (!middle) throw new Error('The log is empty.');
    const at = new Date(middle.at);
    const day = (days: number) => new Date(at.getTime() + days * 86_400_000);
    const asked: Record<string, Omit<AuditFilter, 'limit'>> = {
      newest: {},
      'from the middle on': {
        cursor: Buffer.from(JSON.stringify([at.toISOString(), Number(middle.sequence)])).toString(
          'base64url',
        ),
      },
      'of one payout': { entityType: 'payout', entityId: middle.id },
      'of one admin': { adminId: 7 },
      'of a rare action': { action: 'revealed' },
      'of a month, years ago': { from: day(-30), to: at },
      'all before a day, years ago': { to: at },
      'of one admin in a month': { adminId: 7, from: day(-30), to: at },
    };
    const pages: Record<string, number> = {};
    for (const [what, filter] of Object.entries(asked)) {
      const found = await listEntries(reader, { ...filter, limit: 50 });
      if (found.length === 0) throw new Error(`There are no entries ${what}.`);
      pages[what] = median(await times(20, () => listEntries(reader, { ...filter, limit: 50 })));
    }
    return { pages, export: await measureExport(url, folder, at) };
  } finally {
    await database.close();
  }
}

async function measureExport(url: string, folder: string, to: Date): Promise<AuditTimes['export']> {
  const service = await startServiceOn(url, folder);
  try {
    const beforeMiB = await residentMemory(service.child);
    const from = new Date(to.getTime() - EXPORTED * SECONDS_APART * 1000);
    const address = `${service.url}/api/reports/audit-log?format=csv&from=${from.toISOString()}&to=${to.toISOString()}`;
    const began = performance.now();
    let lines = 0;
    await new Promise<void>((resolve, reject) => {
      get(address, { headers: service.headers }, (response) => {
        if (response.statusCode !== 200) reject(new Error(`The export answered ${response.statusCode}.`));
        response.on('data', (chunk: Buffer) => {
          for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, end + 1)) lines += 1;
        });
        response.once('end', resolve);
        response.once('error', reject);
      }).once('error', reject);
    });
    const seconds = (performance.now() - began) / 1000;
    return { entries: lines - 1, seconds, beforeMiB, afterMiB: await residentMemory(service.child) };
  } finally {
    await service.stop();
  }
}

/** Without indexes and triggers while it is filled. */
async function fill(url: string, entries: number): Promise<void> {
  const sql = postgres(url, {
    max: 1,
    onnotice: () => {},
    connection: { maintenance_work_mem: '512MB', statement_timeout: 0 },
  });
  try {
    const indexes = await sql<{ name: string; definition: string }[]>`
      SELECT indexname AS name, indexdef AS definition FROM pg_indexes
       WHERE tablename = 'user_audit_logs' AND indexname NOT LIKE '%pkey'`;
    for (const { name } of indexes) await sql.unsafe(`DROP INDEX "${name}"`);
    await sql.unsafe(`SET session_replication_role = replica;
      INSERT INTO users (id, email) VALUES (${userId("'staff'")}, 'staff@example.com');
      INSERT INTO admin_users (user_id, role) VALUES (${userId("'staff'")}, 'admin');
      INSERT INTO user_audit_logs (id, admin_id, actor, entity_type, entity_id, action, new_values, success, metadata, created_at,
          chain_index, previous_hash, hash)
        SELECT gen_random_uuid(), n % 100, 'staff:' || n % 100, 'payout', 'PO-2026-' || lpad((n / 10)::text, 8, '0'),
               CASE WHEN n % 10000 = 0 THEN 'revealed' ELSE 'changed' END, '{"status":"approved"}', true, '{}',
               timestamptz '2026-11-01Z' - (${entries} - n) * interval '${SECONDS_APART} seconds', n % 10 + 1, md5(n::text),
               md5((n + 1)::text)
          FROM generate_series(1, ${entries}) n`);
    for (const { definition } of indexes) await sql.unsafe(definition);
    await sql.unsafe('VACUUM ANALYZE user_audit_logs');
  } finally {
    await sql.end();
  }
}
