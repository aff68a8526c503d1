import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { DocumentRenderer } from '../../src/documents/document-renderer.ts';
import { renderReceipt } from '../../src/documents/receipt-document.ts';
import { achReceipt } from '../../test/documents/samples.ts';

export interface DocumentTimes {
  perSecond: number;
  /** Of processor time for one, all threads together. */
  cpuMs: number;
  /** How long the event loop did nothing else: 99th percentile, and the longest. */
  blockedMs: number;
  blockedMostMs: number;
}

const TOGETHER = 4;

/**
 * Receipts, some at a time: in the service's threads, and as it was on the event loop; and how long the machine lets an
 * event loop wait that has nothing to do (`idleMs`, 99th percentile), which nobody can be better than.
 */
export async function measureDocuments(
  count: number,
): Promise<{ inThreads: DocumentTimes; onTheLoop: DocumentTimes; idleMs: number }> {
  const renderer = new DocumentRenderer();
  try {
    const inThreads = await measure(count, () => renderer.render({ kind: 'receipt', input: achReceipt }));
    const onTheLoop = await measure(count, () => renderReceipt(achReceipt));
    const idle = monitorEventLoopDelay({ resolution: 1 });
    idle.enable();
    await sleep(5000);
    idle.disable();
    return { inThreads, onTheLoop, idleMs: idle.percentile(99) / 1e6 };
  } finally {
    await renderer.stop();
  }
}

async function measure(count: number, render: () => Promise<Buffer>): Promise<DocumentTimes> {
  const some = async (many: number) => {
    let left = many;
    const one = async () => {
      for (; left > 0;) {
        left -= 1;
        await render();
        // As between two requests: without a turn of the loop nobody would see how long it was blocked.
        await turn();
      }
    };
    await Promise.all(Array.from({ length: TOGETHER }, one));
  };
  await some(20);
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const began = performance.now();
  const cpu = process.cpuUsage();
  await some(count);
  const seconds = (performance.now() - began) / 1000;
  delay.disable();
  const { user, system } = process.cpuUsage(cpu);
  return {
    perSecond: count / seconds,
    cpuMs: (user + system) / 1000 / count,
    blockedMs: delay.percentile(99) / 1e6,
    blockedMostMs: delay.max / 1e6,
  };
}
