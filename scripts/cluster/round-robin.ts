/** A balancer for one machine: takes turns among the instances that say they are ready. */
import {
  Agent,
  createServer,
  get,
  request as call,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';

const ANSWER_LIMIT_MS = 2000;

interface Target {
  url: URL;
  isReady: boolean;
  answered: number;
}

export class RoundRobin {
  readonly #server: Server;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 });
  readonly #lookEveryMs: number;
  #targets: Target[] = [];
  #turn = 0;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;
  /** Requests that an instance took and did not answer. */
  readonly broken: string[] = [];

  constructor(lookEveryMs = 200) {
    this.#lookEveryMs = lookEveryMs;
    this.#server = createServer((request, response) => this.#forward(request, response));
  }

  async listen(port: number): Promise<string> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject).listen(port, '127.0.0.1', resolve);
    });
    void this.#watch();
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Sends it requests from its first "ready" on. */
  async add(url: string): Promise<void> {
    const target = { url: new URL(url), isReady: false, answered: 0 };
    await this.#look(target);
    this.#targets.push(target);
  }

  remove(url: string): void {
    this.#targets = this.#targets.filter((target) => target.url.origin !== new URL(url).origin);
  }

  /** How many requests each instance has answered. */
  get shares(): number[] {
    return this.#targets.map(({ answered }) => answered);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#agent.destroy();
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  async #watch(): Promise<void> {
    await Promise.all(this.#targets.map((target) => this.#look(target)));
    if (!this.#isClosed) this.#timer = setTimeout(() => void this.#watch(), this.#lookEveryMs);
  }

  /** On a connection of its own: a kept one would be among those that an instance waits for when it stops. */
  #look(target: Target): Promise<void> {
    return new Promise((resolve) => {
      const done = (isReady: boolean) => {
        target.isReady = isReady;
        resolve();
      };
      get(new URL('/ready', target.url), { agent: false, timeout: ANSWER_LIMIT_MS }, (answer) => {
        answer.resume();
        done(answer.statusCode === 200);
      })
        .on('timeout', () => done(false))
        .on('error', () => done(false));
    });
  }

  #next(tried: ReadonlySet<Target>): Target | undefined {
    const ready = this.#targets.filter((target) => target.isReady && !tried.has(target));
    this.#turn += 1;
    return ready[this.#turn % Math.max(1, ready.length)];
  }

  #forward(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => this.#send(request, Buffer.concat(chunks), response, new Set()));
  }

  #send(request: IncomingMessage, body: Buffer, response: ServerResponse, tried: Set<Target>): void {
    const target = this.#next(tried);
    if (!target) {
      response.writeHead(503, { 'retry-after': '1' }).end('No instance is ready.');
      return;
    }
    tried.add(target);
    const { hostname, port } = target.url;
    const from = request.socket.remoteAddress ?? '';
    const headers = { ...request.headers, 'x-forwarded-for': from };
    delete headers.connection;
    const outward = call(
      { hostname, port, method: request.method, path: request.url, headers, agent: this.#agent },
      (answer) => {
        target.answered += 1;
        const { connection: _connection, 'keep-alive': _keepAlive, ...rest } = answer.headers;
        response.writeHead(answer.statusCode ?? 502, rest);
        answer.on('error', () => response.destroy());
        answer.pipe(response);
      },
    );
    outward.on('error', (error: NodeJS.ErrnoException) => {
      // Never accepted, so another may have it. Anything else may have had its effect: the caller must know.
      if (error.code === 'ECONNREFUSED') return this.#send(request, body, response, tried);
      this.broken.push(`${request.method} ${request.url}: ${error.code ?? error.message}`);
      if (response.headersSent) response.destroy();
      else response.writeHead(502).end();
    });
    outward.end(body);
  }
}
