import { createServer, type RequestListener, type Server } from 'node:http';

export interface ServerTimes {
  /** For all headers of a request. */
  headersMs: number;
  /** For a whole request, its body too. */
  requestMs: number;
  /** How long a connection may lie still, while an answer is written too. */
  idleMs: number;
  /** How often is looked. */
  checkMs: number;
}

const TIMES: ServerTimes = { headersMs: 15_000, requestMs: 30_000, idleMs: 120_000, checkMs: 5000 };
const KEEP_ALIVE_MS = 65_000;
const MOST_HEADERS = 100;
const HEADER_BYTES = 16_384;

/** A server that waits for nobody for long: who sends or reads too slowly is cut off, and holds no place. */
export function createHttpServer(listener: RequestListener, times: ServerTimes = TIMES): Server {
  const server = createServer(
    {
      headersTimeout: times.headersMs,
      requestTimeout: times.requestMs,
      connectionsCheckingInterval: times.checkMs,
      keepAliveTimeout: KEEP_ALIVE_MS,
      maxHeaderSize: HEADER_BYTES,
    },
    listener,
  );
  server.maxHeadersCount = MOST_HEADERS;
  server.setTimeout(times.idleMs);
  return server;
}
