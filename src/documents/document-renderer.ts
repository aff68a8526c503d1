import { availableParallelism } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import { DomainError } from '../kernel/errors.ts';
import { Turns } from '../kernel/turns.ts';
import type { DocumentOrder } from './document-order.ts';
import { RenderThread } from './render-thread.ts';

const ATTEMPTS = 3;
const MOST_THREADS = 2;
/** A document takes some 30 ms, a thread's start half a second; a busy machine makes both many times that. */
const LIMITS = {
  // One processor is left to the event loop.
  threads: Math.max(1, Math.min(MOST_THREADS, availableParallelism() - 1)),
  startMs: 30_000,
  drawMs: 10_000,
  memoryMb: 128,
  mostWaiting: 100,
};

/**
 * Draws documents in threads of their own, so that whoever else waits on this process is not kept waiting. Threads start
 * with the first document, and each parses the fonts once. A thread that fails or takes too long is replaced, and only
 * the document that it was drawing is concerned.
 */
export class DocumentRenderer {
  readonly #limits: typeof LIMITS;
  readonly #idle: RenderThread[] = [];
  readonly #busy = new Set<RenderThread>();
  /** One order has one thread. */
  readonly #turns: Turns;
  readonly #orders = new Set<Promise<Buffer>>();
  #isStopping = false;
  #isStopped = false;

  constructor(limits: Partial<typeof LIMITS> = {}) {
    this.#limits = { ...LIMITS, ...limits };
    this.#turns = new Turns(this.#limits.threads);
  }

  /** Throws UNAVAILABLE where too many wait or the service stops; an Error when drawing failed, its cause the last fault. */
  async render(order: DocumentOrder): Promise<Buffer> {
    if (this.#isStopping || this.#turns.waiting >= this.#limits.mostWaiting)
      throw new DomainError('UNAVAILABLE', 'No more documents can be made now. Try again shortly.');
    const drawn = this.#turns.take(() => renderWithRetries(() => this.#attempt(order)));
    this.#orders.add(drawn);
    try {
      return await drawn;
    } finally {
      this.#orders.delete(drawn);
    }
  }

  /** Takes no more, waits for what is being made, at most so long, and ends the threads. */
  async stop(mostMs = 1000): Promise<void> {
    this.#isStopping = true;
    const late = new AbortController();
    await Promise.race([
      Promise.allSettled(this.#orders),
      wait(mostMs, undefined, { signal: late.signal }).catch(() => undefined),
    ]);
    late.abort();
    this.#isStopped = true;
    await Promise.all([...this.#idle.splice(0), ...this.#busy].map((thread) => thread.end()));
  }

  async #attempt(order: DocumentOrder): Promise<Buffer> {
    if (this.#isStopped) throw new Error('The service has stopped.');
    const thread = this.#takeThread();
    this.#busy.add(thread);
    try {
      return await thread.render(order);
    } finally {
      this.#busy.delete(thread);
      if (thread.isFit && !this.#isStopped) this.#idle.push(thread);
      else await thread.end();
    }
  }

  #takeThread(): RenderThread {
    for (let thread = this.#idle.pop(); thread; thread = this.#idle.pop()) if (thread.isFit) return thread;
    return new RenderThread(this.#limits);
  }
}

/**
 * Runs `render`, and after a failure twice again at once (design document: 'PDF Generation: Retry 2 times
 * immediately'). Throws an Error whose cause is the last failure.
 */
export async function renderWithRetries<T>(render: () => T | Promise<T>): Promise<T> {
  let lastError: unknown;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    try {
      return await render();
    } catch (error) {
      lastError = error;
    }
  }
  throw new Error(`The PDF could not be rendered in ${ATTEMPTS} attempts.`, { cause: lastError });
}
