import type postgres from 'postgres';
import { currentTracer } from '../kernel/tracing.ts';

type Sql = postgres.Sql;

/** The driver as Drizzle uses it, with a span for each statement where there is tracing. */
export function tracedClient<T extends Sql | postgres.TransactionSql>(client: T): T {
  return new Proxy(client, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      if (name === 'unsafe')
        return (...args: Parameters<Sql['unsafe']>) => watched(target.unsafe(...args), args[0]);
      if (name === 'begin' || name === 'savepoint') {
        return (...args: unknown[]) => {
          const work = args.pop() as (tx: postgres.TransactionSql) => unknown;
          return Reflect.apply(member, target, [
            ...args,
            (tx: postgres.TransactionSql) => work(tracedClient(tx)),
          ]) as unknown;
        };
      }
      return member.bind(target) as unknown;
    },
  });
}

function watched<Q extends Promise<unknown>>(query: Q, text: string): Q {
  const tracer = currentTracer();
  if (!tracer) return query;
  const operation = /^\W*(\w+)/.exec(text)?.[1]?.toUpperCase() ?? 'QUERY';
  const span = tracer.begin(operation, 'client', {
    'db.system.name': 'postgresql',
    'db.operation.name': operation,
    'db.query.text': text.slice(0, 2000),
  });
  // The driver's own `then` would send the query, before its caller has said how it wants the rows.
  void Promise.prototype.then.call(
    query,
    () => span.end(),
    (error: unknown) => span.end({ error }),
  );
  return query;
}
