import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTracing } from '../../src/tracing.ts';
import { Stories, startCast, type Cast } from '../support/stories.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';

interface Span {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  attributes: { key: string; value: { stringValue?: string; intValue?: number } }[];
}

/** A collector that keeps what it is sent, as OTLP's JSON. */
const spans: Span[] = [];
const texts: string[] = [];
let collector: Server;
let cast: Cast;
let stopTracing: () => Promise<void>;

beforeAll(async () => {
  collector = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      const text = (request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body).toString();
      texts.push(`${request.url} ${text}`);
      for (const { scopeSpans } of JSON.parse(text).resourceSpans)
        for (const scope of scopeSpans) spans.push(...scope.spans);
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  });
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
  stopTracing = startTracing(`http://127.0.0.1:${(collector.address() as AddressInfo).port}`, 'test');
  cast = await startCast();
});

afterAll(async () => {
  await stopTracing();
  await cast.service.stop();
  await new Promise((resolve) => collector.close(resolve));
});

describe('traces', () => {
  it('go from the caller through route, transaction, statements, queue and mail, and hold no number', async () => {
    const stories = new Stories(cast);
    const { payoutId, member, name } = await stories.approved();
    const answer = await member.post(`/api/members/${member.userId}/bank-info`, stories.bankInfo(name), {
      traceparent: `00-${TRACE}-${PARENT}-01`,
    });
    expect(answer.status).toBe(200);
    await cast.service.services.mailDelivery.deliver();
    const line = cast.service.logLines
      .map((text) => JSON.parse(text) as Record<string, unknown>)
      .find(({ route }) => route === '/api/members/:userId/bank-info');
    expect(line).toMatchObject({ traceId: TRACE, requestId: expect.any(String) });

    await stopTracing();
    const ours = spans.filter(({ traceId }) => traceId === TRACE);
    const byName = (wanted: string) => ours.filter((span) => span.name === wanted);
    const [request] = byName('POST /api/members/:userId/bank-info');
    expect(request).toMatchObject({ kind: 2, parentSpanId: PARENT });
    const [transaction] = byName('transaction');
    expect(transaction?.parentSpanId).toBe(request?.spanId);
    const updates = byName('UPDATE');
    expect(updates.length).toBeGreaterThan(0);
    expect(updates.map(({ parentSpanId }) => parentSpanId)).toContain(transaction?.spanId);
    const delivered = spans.filter((span) => span.name === 'deliver message').map(({ spanId }) => spanId);
    const sent = spans.find((span) => span.name === 'send mail');
    expect(delivered).toContain(sent?.parentSpanId);
    expect(texts.every((text) => text.startsWith('/v1/traces '))).toBe(true);
    for (const secret of ['000123456789', member.token, member.email, payoutId])
      expect(texts.join('')).not.toContain(secret);
  });

  it('are over when they are stopped, and every line of the log has a trace still', async () => {
    const before = spans.length;
    await cast.service.stranger.get('/health', { traceparent: `00-${TRACE}-${PARENT}-01` });
    const answer = await cast.service.stranger.get('/health', { traceparent: 'nonsense' });
    expect(answer.status).toBe(200);
    expect(spans).toHaveLength(before);
    const lines = cast.service.logLines.slice(-2).map((text) => JSON.parse(text));
    expect(lines[0].traceId).toBe(TRACE);
    expect(lines[1].traceId).toMatch(/^[0-9a-f]{32}$/);
  });
});
