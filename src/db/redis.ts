import type { Redis } from 'ioredis';
import { errorFields, type Logger } from '../kernel/logger.ts';

export type { Redis };

const CONNECT_LIMIT_MS = 2000;
const COMMAND_LIMIT_MS = 1000;
const MOST_WAIT_MS = 1000;

/**
 * The Redis of REDIS_URL. What asks it must do without: a command fails at once while it is away, and a Redis that is
 * not there keeps no instance from starting. The package is loaded only where there is one.
 */
export async function connectRedis(url: string, logger: Logger): Promise<Redis> {
  const { Redis: Client } = await import('ioredis');
  const redis = new Client(url, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    connectTimeout: CONNECT_LIMIT_MS,
    commandTimeout: COMMAND_LIMIT_MS,
    // One that takes commands and answers nothing is left, and then is away like any other: nobody else waits for it.
    socketTimeout: COMMAND_LIMIT_MS,
    retryStrategy: (attempt) => Math.min(attempt * 100, MOST_WAIT_MS),
  });
  let isTold = false;
  redis.on('error', (error: unknown) => {
    if (!isTold) logger.warn('Redis cannot be reached; going on without it.', errorFields(error));
    isTold = true;
  });
  redis.on('ready', () => {
    if (isTold) logger.info('Redis is back.');
    isTold = false;
  });
  // The first connection is waited for, so that what starts next finds it; but not for long.
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, CONNECT_LIMIT_MS);
    redis.once('ready', () => {
      clearTimeout(timer);
      resolve();
    });
  });
  return redis;
}
