import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import { renderReceipt } from '../../src/documents/receipt-document.ts';
import { achReceipt } from '../../test/documents/samples.ts';

export interface DocumentTimes {
  perSecond: number;
  /** Of processor time for one, whatever else the machine does. */
  cpuMs: number;
  /** How long the event loop did nothing else; 99th percentile. */
  blockedMs: number;
}

/** Receipts, one after the other. */
export async function measureDocuments(count: number): Promise<DocumentTimes> {
  for (let warm = 0; warm < 10; warm += 1) await renderReceipt(achReceipt);
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const began = performance.now();
  const cpu = process.cpuUsage();
  for (let made = 0; made < count; made += 1) {
    await renderReceipt(achReceipt);
    await turn();
  }
  const seconds = (performance.now() - began) / 1000;
  delay.disable();
  const { user, system } = process.cpuUsage(cpu);
  return {
    perSecond: count / seconds,
    cpuMs: (user + system) / 1000 / count,
    blockedMs: delay.percentile(99) / 1e6,
  };
}
