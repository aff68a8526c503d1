import winston from 'winston';
import { currentContext } from './request-context.ts';
import { currentTracer } from './tracing.ts';

/** The only fields that a log line may carry beside its message. Anything else is dropped before it is written. */
const ALLOWED_FIELDS = new Set([
  'adminId', 'action', 'address', 'alert', 'attempt', 'category', 'code', 'count', 'database', 'docs', 'durationMs',
  'entityId', 'entityType', 'errorName', 'formId', 'job', 'kind', 'method', 'notificationId', 'path', 'payoutId',
  'port', 'reason', 'requestId', 'role', 'route', 'signal', 'slot', 'sqlState', 'constraint', 'stack', 'status',
  'table', 'taxYear', 'traceId', 'userId', 'version',
]); // prettier-ignore

export type LogFields = Record<string, unknown>;

export interface Logger {
  error(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
}

const allowListed = winston.format((info) => {
  for (const key of Object.keys(info)) {
    if (key !== 'level' && key !== 'message' && key !== 'timestamp' && !ALLOWED_FIELDS.has(key))
      delete info[key];
  }
  const context = currentContext();
  if (context && info['requestId'] === undefined) info['requestId'] = context.requestId;
  const traceId = currentTracer()?.traceId() ?? context?.traceId;
  if (traceId !== undefined) info['traceId'] = traceId;
  return info;
});

/** Structured JSON lines on standard error, one an event, stamped by the system's own clock. */
export function createLogger(level: string, stream?: NodeJS.WritableStream): Logger {
  return winston.createLogger({
    level,
    format: winston.format.combine(allowListed(), winston.format.timestamp(), winston.format.json()),
    transports: [
      stream
        ? new winston.transports.Stream({ stream })
        : new winston.transports.Console({ stderrLevels: ['error', 'warn', 'info', 'debug'] }),
    ],
  });
}

export const silentLogger: Logger = { error() {}, warn() {}, info() {}, debug() {} };

/**
 * What may be logged of an unknown error: its name, SQLSTATE, constraint and stack frames. Never its message, because a
 * database driver's message can hold every parameter of the query.
 */
export function errorFields(error: unknown): LogFields {
  if (!(error instanceof Error)) return { errorName: typeof error };
  const cause = error.cause instanceof Error ? error.cause : error;
  const database = cause as { code?: unknown; constraint_name?: unknown; table_name?: unknown };
  const frames = error.stack?.split('\n').filter((line) => line.trimStart().startsWith('at ')) ?? [];
  return {
    errorName: cause.name,
    ...(typeof database.code === 'string' ? { sqlState: database.code } : {}),
    ...(typeof database.constraint_name === 'string' ? { constraint: database.constraint_name } : {}),
    ...(typeof database.table_name === 'string' ? { table: database.table_name } : {}),
    stack: frames.slice(0, 8).join('\n'),
  };
}
