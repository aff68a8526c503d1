import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const CONNECT_LIMIT_MS = 5000;
/** Longer than any statement may take, so a server that lives has said something by then. */
const SILENCE_LIMIT_MS = 40_000;

/**
 * Opens the connections of the pool. Without a limit of ours, one whose server has vanished without a word would hold
 * its request for a quarter of an hour: so long TCP repeats itself.
 */
export async function databaseSocket(options: unknown): Promise<Socket> {
  const { host, port, path } = options as { host: string[]; port: number[]; path?: string | false };
  if (path) return connected(connect({ path }));
  for (const [index, name] of host.entries()) {
    try {
      const socket = await connected(connect({ host: name, port: port[index] ?? 5432 }));
      // The driver looks here for the name that the server's certificate must have.
      return Object.assign(socket, { host: name });
    } catch (error) {
      if (index === host.length - 1) throw error;
    }
  }
  throw new Error('The database URL names no host.');
}

async function connected(socket: Socket): Promise<Socket> {
  const silent = (code: string) =>
    socket.destroy(Object.assign(new Error('The database is silent.'), { code }));
  const connecting = setTimeout(() => silent('CONNECT_TIMEOUT'), CONNECT_LIMIT_MS);
  try {
    await once(socket, 'connect');
  } finally {
    clearTimeout(connecting);
  }
  socket.setNoDelay(true);
  return socket.setTimeout(SILENCE_LIMIT_MS, () => silent('ETIMEDOUT'));
}
