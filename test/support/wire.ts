import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { startTestService, type TestService } from './test-service.ts';

/** Stands between a service and its PostgreSQL: a port that can be cut, or left open without an answer. */
export class Wire {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #silent = false;

  private constructor(host: string, port: number) {
    this.#server = createServer((near) => {
      this.#sockets.add(near);
      near.on('error', () => {});
      if (this.#silent) return;
      const far = connect(port, host);
      this.#sockets.add(far);
      far.on('error', () => near.destroy()).on('close', () => near.destroy());
      near.on('close', () => far.destroy());
      near.pipe(far).pipe(near);
    });
  }

  /** Another instance on the database of this one, which it reaches over a wire. */
  static async to(service: TestService): Promise<{ wire: Wire; instance: TestService }> {
    const address = new URL(service.databaseUrl);
    const wire = new Wire(address.hostname, Number(address.port || 5432));
    await new Promise<void>((resolve) => wire.#server.listen(0, '127.0.0.1', resolve));
    address.hostname = '127.0.0.1';
    address.port = String((wire.#server.address() as AddressInfo).port);
    const beside = { ...service, databaseUrl: address.href } as unknown as TestService;
    return { wire, instance: await startTestService({ beside }) };
  }

  /** From now on connections are taken and never answered. */
  silence(): void {
    this.#silent = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  async cut(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}
