import { Server as NetServer, type Socket } from 'node:net';
import type { Server, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** A client that has a connection open and is busy with it comes back within so long. */
const IDLE_MS = 1000;
const LOOK_EVERY_MS = 25;

/**
 * Ends a server without dropping what it accepted. From `begin` on every answer asks its client to leave, and
 * everything is answered still; `finish` takes no new connections, answers what comes on those that are open, and
 * closes each when its client has gone or has been silent for a while. Closing one at once could meet a request that
 * is on its way on it.
 */
export class Stopping {
  readonly #server: Server;
  readonly #lastUsed = new Map<Socket, number>();
  readonly #open = new Map<ServerResponse, Socket>();
  #hasBegun = false;

  constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket) => {
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

  begin(): void {
    this.#hasBegun = true;
    for (const response of this.#open.keys())
      if (!response.headersSent) response.setHeader('Connection', 'close');
  }

  /** Resolves when every connection is closed; at the latest after `limitMs`, with what runs still cut off. */
  async finish(limitMs: number): Promise<void> {
    this.begin();
    const deadline = performance.now() + limitMs;
    let isClosed = false;
    // Right after the loop has taken what waited at the door: whoever stands there at the close is sent away.
    await new Promise<void>((resolve) => setImmediate(resolve));
    // http.Server's own close would destroy idle connections at once.
    const closed = new Promise<void>((resolve) => {
      NetServer.prototype.close.call(this.#server, () => {
        isClosed = true;
        resolve();
      });
    });
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
}
