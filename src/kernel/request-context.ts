import { AsyncLocalStorage } from 'node:async_hooks';

/** What is known of the request (or job run) that is being worked on. Log lines and audit entries take it from here. */
export interface RequestContext {
  requestId: string;
  /** Of the caller's `traceparent`, or made: 32 hexadecimal digits. Where there is tracing, the span's counts. */
  traceId?: string | undefined;
  ipAddress?: string | undefined;
  userAgent?: string | undefined;
}

const storage = new AsyncLocalStorage<RequestContext>();

export const runInContext = <T>(context: RequestContext, work: () => T): T => storage.run(context, work);
export const currentContext = (): RequestContext | undefined => storage.getStore();
