/** The thread in which documents are drawn: it parses the fonts once, then draws what it is sent. */
import { parentPort } from 'node:worker_threads';
import type { DocumentOrder, ThreadAnswer } from './document-order.ts';
import { render1099Misc } from './form-1099-document.ts';
import { renderPaymentInstructions } from './payment-instructions-document.ts';
import { fonts } from './pdf-text.ts';
import { renderReceipt } from './receipt-document.ts';

function draw({ kind, input }: DocumentOrder): Promise<Buffer> {
  switch (kind) {
    case 'receipt':
      return renderReceipt(input);
    case 'instructions':
      return renderPaymentInstructions(input);
    case '1099-MISC':
      return render1099Misc(input);
  }
}

async function answer(order: DocumentOrder): Promise<void> {
  try {
    // A copy that can be handed over: the drawing's own bytes may be a part of a larger piece of memory.
    const pdf = new Uint8Array(await draw(order));
    tell({ pdf }, [pdf.buffer]);
  } catch (error) {
    tell({ error: error instanceof Error ? error : new Error(String(error)) });
  }
}

const tell = (message: ThreadAnswer, handOver: ArrayBuffer[] = []): void =>
  parentPort?.postMessage(message, handOver);

fonts();
parentPort?.on('message', (order: DocumentOrder) => void answer(order));
tell('ready');
