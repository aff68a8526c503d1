/** What our stack is compared with: Express, the same statement prepared, and nothing else. Prints its port. */
import type { AddressInfo } from 'node:net';
import express from 'express';
import postgres from 'postgres';

const [text, values] = JSON.parse(process.env['BENCH_STATEMENT'] ?? '[]') as [string, (string | number)[]];
const sql = postgres(process.env['DATABASE_URL'] ?? '', {
  max: 10,
  connection: { jit: false, plan_cache_mode: 'force_custom_plan', role: 'payout_service' },
});
const app = express();
app.get('/', async (_request, response) => {
  response.json({ data: await sql.unsafe(text, values, { prepare: true }) });
});
const server = app.listen(0, '127.0.0.1', () =>
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`),
);
