/** A throw-away PostgreSQL that keeps its word, and can be killed. The services see it at one address all the time. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile, rm } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import {
  discardEmbeddedServer,
  startEmbeddedServer,
  type EmbeddedServer,
} from '../../src/db/embedded-server.ts';
import { migrateUp } from '../../src/db/migrations.ts';
import { makeTestFolder } from '../../test/support/cluster.ts';
import { createDatabase } from '../../test/support/databases.ts';

const DATABASE = 'crash';

export class CrashDatabase {
  readonly folder: string;
  /** The owner's, by way of the door. */
  readonly url: string;
  readonly #options: { dataDirectory: string; password: string };
  readonly #handles: EmbeddedServer[];
  readonly #door: Server;
  readonly #sockets: Set<Socket>;

  private constructor(parts: {
    folder: string;
    options: { dataDirectory: string; password: string };
    handles: EmbeddedServer[];
    door: Server;
    sockets: Set<Socket>;
  }) {
    this.folder = parts.folder;
    this.#options = parts.options;
    this.#handles = parts.handles;
    this.#door = parts.door;
    this.#sockets = parts.sockets;
    const { port } = parts.door.address() as AddressInfo;
    this.url = `postgres://postgres:${parts.options.password}@127.0.0.1:${port}/${DATABASE}`;
  }

  static async start(): Promise<CrashDatabase> {
    const folder = await makeTestFolder();
    const options = { dataDirectory: join(folder, 'postgres'), password: randomBytes(16).toString('hex') };
    const handles = [await startEmbeddedServer({ ...options, durable: true, maxConnections: 200 })];
    const sockets = new Set<Socket>();
    // After a restart the server has another port, so the services go through a door that stays where it is.
    const door = createServer((inner) => {
      const outer = connect(handles.at(-1)?.port ?? 0, '127.0.0.1');
      for (const [socket, other] of [
        [inner, outer],
        [outer, inner],
      ] as const) {
        sockets.add(socket);
        socket.pipe(other);
        socket.on('error', () => other.destroy());
        socket.on('close', () => {
          sockets.delete(socket);
          other.destroy();
        });
      }
    }).listen(0, '127.0.0.1');
    await once(door, 'listening');
    const database = new CrashDatabase({ folder, options, handles, door, sockets });
    await createDatabase(handles[0]?.url('postgres') ?? '', DATABASE);
    await migrateUp(database.url);
    return database;
  }

  /** kill -9 of the server's first process, as the out-of-memory killer would do; then a start and its recovery. */
  async crash(downMs: number): Promise<void> {
    const current = this.#handles.at(-1);
    if (!current) throw new Error('There is no server.');
    const lines = (await readFile(join(current.dataDirectory, 'postmaster.pid'), 'utf8')).split('\n');
    process.kill(Number(lines[0]), 'SIGKILL');
    await new Promise((done) => setTimeout(done, downMs));
    this.#handles.push(await startEmbeddedServer({ ...this.#options, durable: true, maxConnections: 200 }));
  }

  async discard(): Promise<void> {
    this.#door.close();
    for (const socket of this.#sockets) socket.destroy();
    for (const handle of this.#handles) await handle.stop();
    await discardEmbeddedServer(this.#options.dataDirectory);
    await rm(this.folder, { recursive: true, force: true });
  }
}
