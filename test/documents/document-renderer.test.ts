import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, describe, expect, it, vi } from 'vitest';
import type { DocumentOrder } from '../../src/documents/document-order.ts';
import { DocumentRenderer, renderWithRetries } from '../../src/documents/document-renderer.ts';
import { render1099Misc } from '../../src/documents/form-1099-document.ts';
import { renderPaymentInstructions } from '../../src/documents/payment-instructions-document.ts';
import { renderReceipt } from '../../src/documents/receipt-document.ts';
import { achInstructions, achReceipt, recipientForm } from './samples.ts';

const receipt: DocumentOrder = { kind: 'receipt', input: achReceipt };
/** More than a thread's memory holds. */
const enormous: DocumentOrder = {
  kind: '1099-MISC',
  input: {
    ...recipientForm,
    recipient: {
      ...recipientForm.recipient,
      addressLines: Array(1_500_000).fill('x'.repeat(60)) as string[],
    },
  },
};
/** What cannot be drawn: a date that is none. */
const impossible: DocumentOrder = {
  kind: 'receipt',
  input: { ...achReceipt, issuedAt: new Date(Number.NaN) },
};

describe('documents drawn in threads', () => {
  const renderer = new DocumentRenderer();
  afterAll(() => renderer.stop());

  it('are the same bytes as drawn here', async () => {
    const drawn = await Promise.all([
      renderer.render(receipt),
      renderer.render({ kind: 'instructions', input: achInstructions }),
      renderer.render({ kind: '1099-MISC', input: recipientForm }),
    ]);
    const here = [
      await renderReceipt(achReceipt),
      await renderPaymentInstructions(achInstructions),
      await render1099Misc(recipientForm),
    ];
    for (const [index, pdf] of drawn.entries()) expect(pdf.equals(here[index] ?? Buffer.alloc(0))).toBe(true);
  });

  it('leave the event loop to others', async () => {
    /** Turns of the event loop, in each of which a request could have been taken. */
    const turnsDuring = async (work: Promise<unknown>): Promise<number> => {
      let [turns, isDone] = [0, false];
      void work.then(() => (isDone = true));
      for (; !isDone; turns += 1) await turn();
      return turns;
    };
    const inThreads = await turnsDuring(renderer.render(receipt));
    const here = await turnsDuring(renderReceipt(achReceipt));
    expect(here).toBeLessThan(20);
    expect(inThreads).toBeGreaterThan(10 * here);
  });

  it('say why when they cannot be drawn, after three attempts, and others go on', async () => {
    const [refused, drawn] = await Promise.allSettled([
      renderer.render(impossible),
      renderer.render(receipt),
    ]);
    expect(refused).toMatchObject({
      reason: {
        message: 'The PDF could not be rendered in 3 attempts.',
        cause: expect.any(RangeError) as Error,
      },
    });
    expect(drawn.status).toBe('fulfilled');
  });
});

describe('a thread', () => {
  it('that dies concerns the document that it was drawing, and no other', async () => {
    const renderer = new DocumentRenderer({ threads: 2, memoryMb: 64 });
    const [killer, ...others] = await Promise.allSettled([
      renderer.render(enormous),
      renderer.render(receipt),
      renderer.render(receipt),
    ]);
    expect(killer).toMatchObject({
      reason: {
        message: 'The PDF could not be rendered in 3 attempts.',
        cause: { code: 'ERR_WORKER_OUT_OF_MEMORY' },
      },
    });
    expect(others.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
    expect((await renderer.render(receipt)).length).toBeGreaterThan(1000);
    await renderer.stop();
  });

  it('that does not answer is replaced', async () => {
    const renderer = new DocumentRenderer({ drawMs: 1 });
    await expect(renderer.render(receipt)).rejects.toMatchObject({
      cause: { message: 'The thread did not answer within 1 ms.' },
    });
    await renderer.stop();
  });

  it('finishes what it draws before it ends, and what waits; nothing new is taken', async () => {
    const renderer = new DocumentRenderer({ threads: 2, mostWaiting: 1 });
    const drawn = [renderer.render(receipt), renderer.render(receipt), renderer.render(receipt)];
    // Two are drawn and one waits: one more would be too many.
    await expect(renderer.render(receipt)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    const stopped = renderer.stop(30_000);
    await expect(renderer.render(receipt)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await stopped;
    const outcomes = await Promise.allSettled(drawn);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled']);
  });

  it('is not waited for longer than was said', async () => {
    const renderer = new DocumentRenderer();
    const drawn = renderer.render(receipt);
    drawn.catch(() => undefined);
    await renderer.stop(1);
    await expect(drawn).rejects.toThrow('could not be rendered');
  });
});

describe('a failing rendering', () => {
  it('is tried three times at once, and its last error is the cause', async () => {
    const render = vi.fn((): Promise<Buffer> =>
      Promise.reject(new Error(`broken ${render.mock.calls.length}`)),
    );
    const error = await renderWithRetries(render).catch((thrown: unknown) => thrown);
    expect(render).toHaveBeenCalledTimes(3);
    expect(error).toMatchObject({ message: 'The PDF could not be rendered in 3 attempts.' });
    expect((error as Error).cause).toEqual(new Error('broken 3'));
  });

  it('gives its result when the third attempt works, and is not tried again', async () => {
    const render = vi.fn<() => string>(() => 'done');
    render.mockImplementationOnce(() => {
      throw new Error('thrown at once');
    });
    render.mockRejectedValueOnce(new Error('rejected') as never);
    await expect(renderWithRetries(render)).resolves.toBe('done');
    expect(render).toHaveBeenCalledTimes(3);
  });
});
