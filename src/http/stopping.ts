import { Server as NetServer, type Socket } from 'node:net';
import type { Server, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** A client that has a connection open and is busy with it comes back within so long. */
const IDLE_MS = 1000;
const LOOK_EVERY_MS = 25;
/** A turn of the event loop in which there was nothing to do. */
const QUICK_TURN_MS = 0.03;
const LULL_LIMIT_MS = 500;

/**
 * Ends a server without dropping what it accepted. First the door: who has a connection keeps it until then, so that
 * nobody needs a new one just when it closes. From then on every answer asks its client to leave, what comes on open
 * connections is answered still, and each is closed when its client has gone or has been silent for a while: closing
 * it at once could meet a request that is on its way on it.
 */
export class Stopping {
  readonly #server: Server;
  readonly #lastUsed = new Map<Socket, number>();
  readonly #open = new Map<ServerResponse, Socket>();
  #connections = 0;
  #hasBegun = false;

  constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket) => {
      this.#connections += 1;
      this.#lastUsed.set(socket, performance.now());
      socket.once('close', () => this.#lastUsed.delete(socket));
    });
    // Before any other listener, as the first may answer at once.
    server.prependListener('request', ({ socket }, response) => {
      this.#open.set(response, socket);
      if (this.#hasBegun) response.setHeader('Connection', 'close');
      response.once('close', () => {
        this.#open.delete(response);
        if (this.#lastUsed.has(socket)) this.#lastUsed.set(socket, performance.now());
      });
    });
  }

  /** Resolves when every connection is closed; at the latest after `limitMs`, with what runs still cut off. */
  async finish(limitMs: number): Promise<void> {
    const deadline = performance.now() + limitMs;
    let isClosed = false;
    let closed: Promise<void> = Promise.resolve();
    await this.#inALull(Math.min(limitMs, LULL_LIMIT_MS), () => {
      // http.Server's own close would destroy idle connections at once.
      closed = new Promise<void>((resolve) => {
        NetServer.prototype.close.call(this.#server, () => {
          isClosed = true;
          resolve();
        });
      });
    });
    this.#hasBegun = true;
    for (const response of this.#open.keys())
      if (!response.headersSent) response.setHeader('Connection', 'close');
    while (!isClosed && performance.now() < deadline) {
      const silentSince = performance.now() - IDLE_MS;
      const busy = new Set(this.#open.values());
      for (const [socket, lastUsed] of this.#lastUsed)
        if (!busy.has(socket) && lastUsed <= silentSince) socket.destroySoon();
      await Promise.race([closed, sleep(LOOK_EVERY_MS)]);
    }
    this.#server.closeAllConnections();
    // Its own close, too, ends the timer that looks after slow requests.
    this.#server.close();
    await closed;
  }

  /**
   * The kernel sends away whoever has come to the door and was not let in when it closes, and Node lets in few in a turn of
   * its loop. So it is closed right after a turn in which nobody came and nothing else was done: what is left are the
   * microseconds since.
   */
  #inALull(limitMs: number, close: () => void): Promise<void> {
    return new Promise((resolve) => {
      const deadline = performance.now() + limitMs;
      let known = this.#connections;
      let turnedAt = Number.NEGATIVE_INFINITY;
      const look = (): void => {
        const now = performance.now();
        if ((this.#connections === known && now - turnedAt < QUICK_TURN_MS) || now >= deadline) {
          close();
          resolve();
          return;
        }
        known = this.#connections;
        turnedAt = now;
        setImmediate(look);
      };
      setImmediate(look);
    });
  }
}
