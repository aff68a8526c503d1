import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const CONNECT_LIMIT_MS = 5000;
/** Longer than any statement may take, and than the driver keeps an idle connection. */
const SILENCE_LIMIT_MS = 40_000;
const LOOK_EVERY_MS = 2000;

/**
 * The connections of a pool. One whose server has vanished without a word is cut off: TCP itself repeats for a quarter
 * of an hour, and its request would wait so long.
 */
export class DatabaseSockets {
  readonly #heard = new Map<Socket, { bytes: number; at: number }>();
  readonly #silenceLimitMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(silenceLimitMs = SILENCE_LIMIT_MS) {
    this.#silenceLimitMs = silenceLimitMs;
  }

  get count(): number {
    return [...this.#heard.keys()].filter((socket) => !socket.destroyed).length;
  }

  /** What the driver calls for each connection, with its options. */
  open = async (options: unknown): Promise<Socket> => {
    const { host, port, path } = options as { host: string[]; port: number[]; path?: string | false };
    if (path) return this.#watched(await connected(connect({ path })));
    for (const [index, name] of host.entries()) {
      try {
        const socket = await connected(connect({ host: name, port: port[index] ?? 5432 }));
        // The driver looks here for the name that the server's certificate must have.
        return Object.assign(this.#watched(socket), { host: name });
      } catch (error) {
        if (index === host.length - 1) throw error;
      }
    }
    throw new Error('The database URL names no host.');
  };

  #watched(socket: Socket): Socket {
    this.#heard.set(socket, { bytes: 0, at: performance.now() });
    const everyMs = Math.min(LOOK_EVERY_MS, this.#silenceLimitMs / 2);
    this.#timer ??= setInterval(() => this.#look(), everyMs).unref();
    return socket;
  }

  // No listeners: under TLS the driver takes all of them away.
  #look(): void {
    const now = performance.now();
    for (const [socket, heard] of this.#heard) {
      if (socket.destroyed) this.#heard.delete(socket);
      else if (socket.bytesRead !== heard.bytes)
        this.#heard.set(socket, { bytes: socket.bytesRead, at: now });
      else if (now - heard.at > this.#silenceLimitMs)
        socket.destroy(Object.assign(new Error('The database is silent.'), { code: 'ETIMEDOUT' }));
    }
    if (this.#heard.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

async function connected(socket: Socket): Promise<Socket> {
  const timer = setTimeout(
    () =>
      socket.destroy(
        Object.assign(new Error('The database does not take the call.'), { code: 'CONNECT_TIMEOUT' }),
      ),
    CONNECT_LIMIT_MS,
  );
  try {
    await once(socket, 'connect');
    return socket;
  } finally {
    clearTimeout(timer);
  }
}
