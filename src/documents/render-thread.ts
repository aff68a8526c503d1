import { Worker } from 'node:worker_threads';
import type { DocumentOrder, ThreadAnswer } from './document-order.ts';

export interface ThreadLimits {
  /** How long a thread may take to start and parse the fonts, and then to draw one document. */
  startMs: number;
  drawMs: number;
  memoryMb: number;
}

/** A thread that draws documents, one at a time. Once it ended or was too slow it is not fit for another. */
export class RenderThread {
  readonly #worker: Worker;
  readonly #ready: Promise<unknown>;
  readonly #drawMs: number;
  #fault: Error | undefined;
  #settle: ((outcome: ThreadAnswer | Error) => void) | undefined;

  constructor({ startMs, drawMs, memoryMb }: ThreadLimits) {
    this.#drawMs = drawMs;
    this.#worker = new Worker(threadFile, {
      execArgv: ['--enable-source-maps'],
      // It needs none of the settings, and so knows no secret.
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: memoryMb },
    });
    this.#worker.on('message', (answer: ThreadAnswer) => this.#settle?.(answer));
    this.#worker.on('error', (error) => this.#break(asError(error)));
    this.#worker.on('exit', (code) => this.#break(new Error(`The thread ended with ${code}.`)));
    this.#ready = this.#next(startMs);
    // Told to whoever asks for a document.
    this.#ready.catch(() => undefined);
  }

  get isFit(): boolean {
    return this.#fault === undefined;
  }

  async render(order: DocumentOrder): Promise<Buffer> {
    // It keeps the process alive only while somebody waits for it.
    this.#worker.ref();
    try {
      await this.#ready;
      const drawn = this.#next(this.#drawMs);
      this.#worker.postMessage(order);
      const answer = await drawn;
      if (answer === 'ready') throw new Error('The thread began anew.');
      if ('error' in answer) throw answer.error;
      return Buffer.from(answer.pdf.buffer);
    } finally {
      this.#worker.unref();
    }
  }

  async end(): Promise<void> {
    this.#break(new Error('The thread was ended.'));
    await this.#worker.terminate();
  }

  /** The thread's next answer. Rejects when it ends before, or takes too long. */
  async #next(limitMs: number): Promise<ThreadAnswer> {
    if (this.#fault) throw this.#fault;
    const tooLate = () => this.#break(new Error(`The thread did not answer within ${limitMs} ms.`));
    const timer = setTimeout(tooLate, limitMs);
    try {
      const outcome = await new Promise<ThreadAnswer | Error>((settle) => (this.#settle = settle));
      if (outcome instanceof Error) throw outcome;
      return outcome;
    } finally {
      clearTimeout(timer);
      this.#settle = undefined;
    }
  }

  #break(fault: Error): void {
    this.#fault ??= fault;
    this.#settle?.(this.#fault);
  }
}

/** Beside this file, compiled where this one is. */
const isCompiled = import.meta.url.endsWith('.js');
const threadFile = new URL(
  isCompiled ? './document-worker.js' : './document-worker-from-source.mjs',
  import.meta.url,
);

const asError = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(String(thrown)));
