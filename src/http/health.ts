import { Router, type Request, type Response } from 'express';
import type { Callers } from '../auth/callers.ts';
import type { Database } from '../db/client.ts';
import { isMigrated } from '../db/migrations.ts';
import { schemaFaults } from '../db/schema-check.ts';
import type { Clock } from '../kernel/clock.ts';
import { errorFields, type Logger } from '../kernel/logger.ts';
import { refuseAllButGet } from './error-reply.ts';

const CHECK_LIMIT_MS = 2000;
const REMEMBER_MS = 3000;

export interface HealthDependencies {
  database: Database;
  callers: Callers;
  clock: Clock;
  logger: Logger;
  email: { isUp(): Promise<boolean> };
  scheduler: { readonly isRunning: boolean; readonly expected: boolean };
  /** What else this instance has been given to work with: without it the service goes on, degraded. */
  more?: Partial<Record<MoreParts, () => Promise<boolean>>>;
}

type MoreParts = 'queue' | 'redis' | 'replica';

interface Readiness {
  ready: boolean;
  services: { database: boolean; migrations: boolean };
  faults: string[];
}

/** /health and /ready: bounded in time, remembered for a few seconds, and saying nothing that a stranger could use. */
export class Health {
  readonly #deps: HealthDependencies;
  #stopping = false;
  /** What is known of a check that failed, for signed-in staff. */
  readonly #faults = new Map<string, string>();
  readonly #checked = new Map<string, { at: number; value: Promise<unknown> }>();

  constructor(deps: HealthDependencies) {
    this.#deps = deps;
  }

  /** From now on not ready: a balancer sends nothing more. */
  stop(): void {
    this.#stopping = true;
  }

  routes(): Router {
    const router = Router();
    router.get('/health', (request, response) => this.#health(request, response));
    router.get('/ready', (request, response) => this.#ready(request, response));
    router.all(['/health', '/ready'], refuseAllButGet);
    return router;
  }

  async #health(request: Request, response: Response): Promise<void> {
    const { clock, scheduler, more = {} } = this.#deps;
    const isUp = (kind: string, check: () => Promise<boolean>) =>
      this.#remembered(kind, () => this.#isUp(kind, check));
    const names = Object.keys(more) as MoreParts[];
    const [database, email, ...others] = await Promise.all([
      isUp('database', async () => (await this.#deps.database.sql`SELECT 1`).length === 1),
      isUp('email', () => this.#deps.email.isUp()),
      ...names.map((name) => isUp(name, async () => (await more[name]?.()) === true)),
    ]);
    const schedulerDown = scheduler.expected && !scheduler.isRunning;
    const down = [
      ...(database ? [] : ['database']),
      ...(email ? [] : ['email']),
      ...(schedulerDown ? ['scheduler'] : []),
      ...names.filter((_, index) => !others[index]),
    ];
    const tell = database && down.length > 0 && (await this.#isStaff(request));
    const checks = {
      database: upOrDown(database),
      email: upOrDown(email),
      scheduler: scheduler.isRunning ? 'running' : 'stopped',
      ...Object.fromEntries(names.map((name, index) => [name, upOrDown(others[index] ?? false)])),
    };
    response
      .status(database ? 200 : 503)
      .setHeader('Cache-Control', 'no-store')
      .json({
        status: !database ? 'unhealthy' : down.length === 0 ? 'healthy' : 'degraded',
        timestamp: clock.now().toISOString(),
        checks,
        ...(tell ? { faults: down.map((name) => this.#faults.get(name) ?? `${name} is down`) } : {}),
      });
  }

  async #ready(request: Request, response: Response): Promise<void> {
    const readiness = await this.#remembered('readiness', () => this.#readiness());
    const ready = readiness.ready && !this.#stopping;
    // Without the database nobody can be known, and a probe must not wait for that.
    const tell = readiness.services.database && readiness.faults.length > 0 && (await this.#isStaff(request));
    const faults = tell ? { faults: readiness.faults } : {};
    response
      .status(ready ? 200 : 503)
      .setHeader('Cache-Control', 'no-store')
      .json({ ready, services: readiness.services, ...faults });
  }

  async #readiness(): Promise<Readiness> {
    const { database, logger } = this.#deps;
    try {
      const [migrations, faults] = await bounded(
        Promise.all([isMigrated(database.sql), schemaFaults(database.sql)]),
      );
      if (faults.length > 0)
        logger.error('The shared schema is not as the service needs it.', { reason: faults.join('; ') });
      return {
        ready: migrations && faults.length === 0,
        services: { database: true, migrations: migrations && faults.length === 0 },
        faults,
      };
    } catch (error) {
      logger.error('The database does not answer.', errorFields(error));
      return {
        ready: false,
        services: { database: false, migrations: false },
        faults: ['The database does not answer.'],
      };
    }
  }

  async #isStaff(request: Request): Promise<boolean> {
    const caller = this.#deps.callers.identify(request.headers);
    return (await bounded(caller).catch(() => null))?.actor.kind === 'staff';
  }

  async #isUp(kind: string, check: () => Promise<boolean>): Promise<boolean> {
    try {
      const isUp = await bounded(check());
      if (isUp) this.#faults.delete(kind);
      else this.#faults.set(kind, `${kind} is down`);
      return isUp;
    } catch (error) {
      const fields = errorFields(error);
      this.#faults.set(kind, `${kind}: ${String(fields['sqlState'] ?? fields['errorName'])}`);
      this.#deps.logger.warn('A health check failed.', { kind, ...fields });
      return false;
    }
  }

  /** One check at a time, and none again within a few seconds: health must not load what it looks at. */
  #remembered<T>(name: string, check: () => Promise<T>): Promise<T> {
    const known = this.#checked.get(name);
    const now = performance.now();
    if (known && now - known.at < REMEMBER_MS) return known.value as Promise<T>;
    const value = check();
    this.#checked.set(name, { at: now, value });
    return value;
  }
}

const upOrDown = (isUp: boolean): 'up' | 'down' => (isUp ? 'up' : 'down');

async function bounded<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('The check took too long.')), CHECK_LIMIT_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
