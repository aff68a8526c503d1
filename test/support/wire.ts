import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import certificateForTests from 'smtp-server/lib/tls-options.js';
import { startTestService, type TestService } from './test-service.ts';

/** A way to PostgreSQL, a port of its own, that can fall silent, be cut, and come back. */
export class Wire {
  /** Under which the database is reached over it. */
  readonly url: string;
  readonly #server: Server;
  readonly #port: number;
  readonly #lines: { socket: Socket; near: Duplex; far: Socket | undefined }[] = [];
  #answers: 'all' | 'none' | 'the end' = 'all';

  private constructor(server: Server, url: string, port: number) {
    this.#server = server;
    this.#port = port;
    this.url = url;
  }

  /** With TLS it answers every connection's question for it with yes. */
  static async to(databaseUrl: string, { withTls = false } = {}): Promise<Wire> {
    const url = new URL(databaseUrl);
    const [host, port] = [url.hostname, Number(url.port || 5432)];
    const server = createServer();
    await listen(server, 0);
    const own = (server.address() as AddressInfo).port;
    url.hostname = '127.0.0.1';
    url.port = String(own);
    if (withTls) url.searchParams.set('sslmode', 'require');
    const wire = new Wire(server, url.href, own);
    server.on('connection', (socket) => {
      socket.on('error', () => undefined);
      if (wire.#answers === 'the end') socket.resume().end();
      if (wire.#answers !== 'all') return void wire.#lines.push({ socket, near: socket, far: undefined });
      if (!withTls) return wire.#join(socket, socket, connect(port, host));
      socket.once('data', () => {
        socket.pause();
        socket.write('S');
        const near = new TLSSocket(socket, { isServer: true, ...certificateForTests() });
        wire.#join(socket, near, connect(port, host));
      });
    });
    return wire;
  }

  /** Another instance on the database of this one, which it reaches over a wire. */
  static async toInstance(service: TestService): Promise<{ wire: Wire; instance: TestService }> {
    const wire = await Wire.to(service.databaseUrl);
    const beside = { ...service, databaseUrl: wire.url } as unknown as TestService;
    return { wire, instance: await startTestService({ beside }) };
  }

  #join(socket: Socket, near: Duplex, far: Socket): void {
    this.#lines.push({ socket, near, far });
    near.on('error', () => far.destroy()).on('close', () => far.destroy());
    far.on('error', () => near.destroy()).on('close', () => near.destroy());
    near.pipe(far).pipe(near);
  }

  /** The far end of the client's connections, in the order in which they were opened. */
  get sockets(): readonly Socket[] {
    return this.#lines.map(({ socket }) => socket);
  }

  /** Nothing more comes through on the connections that are open, and neither side is told. */
  silence(): void {
    for (const { near, far } of this.#lines) {
      if (!far) continue;
      near.unpipe(far);
      far.unpipe(near);
      far.pause();
    }
  }

  /** From now on connections are taken and never answered, or closed at once; those that are open end. */
  refuse(answers: 'none' | 'the end'): void {
    this.#answers = answers;
    this.#destroyAll();
  }

  async cut(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#destroyAll();
    await closed;
  }

  /** Behind a cut: under the same address. */
  mend(): Promise<void> {
    return listen(this.#server, this.#port);
  }

  #destroyAll(): void {
    for (const { socket, near } of this.#lines) {
      near.destroy();
      socket.destroy();
    }
  }
}

const listen = (server: Server, port: number) =>
  new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, '127.0.0.1', resolve);
  });
