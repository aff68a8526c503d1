import { Gauge, type Registry } from 'prom-client';
import type { Database } from '../db/client.ts';
import type { ReplicaState } from '../db/report-source.ts';
import type { Clock } from '../kernel/clock.ts';
import { errorFields, type Logger } from '../kernel/logger.ts';
import { PAYOUT_STATUSES } from '../kernel/payout-lifecycle.ts';
import { queueDepth } from '../notifications/mail-queue.ts';
import { jobFigures, otherFigures, payoutFigures } from './figures-store.ts';

/** Scrapes of several watchers must not load the database. */
const REMEMBER_MS = 10_000;
const READ_LIMIT_MS = 5000;

export interface FigureDependencies {
  database: Database;
  clock: Clock;
  logger: Logger;
  scheduler: { readonly isRunning: boolean };
  redis: { readonly status: string } | undefined;
  replica: { readonly state: ReplicaState; readonly isGoodEnough: boolean } | undefined;
  /** The circuit breaker before the subscription service; undefined where there is none. */
  breaker: () => 'closed' | 'open' | 'half-open' | undefined;
}

/**
 * What the service and its database say of themselves. Figures of the database are the same from every instance: add
 * none up over instances.
 */
export class ServiceFigures {
  readonly #deps: FigureDependencies;
  readonly #gauges = new Map<string, Gauge>();
  #read: { at: number; done: Promise<void> } | undefined;

  constructor(deps: FigureDependencies) {
    this.#deps = deps;
  }

  register(registry: Registry): void {
    for (const [name, [help, ...labelNames]] of Object.entries(GAUGES)) {
      this.#gauges.set(
        name,
        new Gauge({ name: `payout_service_${name}`, help, labelNames, registers: [registry] }),
      );
    }
  }

  /** Brings the gauges up to date. While the database is away, `database_up` is 0 and what it last said is gone. */
  async read(): Promise<void> {
    this.#readOwn();
    const now = performance.now();
    if (!this.#read || now - this.#read.at > REMEMBER_MS)
      this.#read = { at: now, done: this.#readDatabase() };
    await this.#read.done;
  }

  #set(name: GaugeName, value: number, labels: Record<string, string> = {}): void {
    this.#gauges.get(name)?.set(labels, value);
  }

  #readOwn(): void {
    const { database, scheduler, redis, replica } = this.#deps;
    const { connections, transactions } = database.load;
    this.#set('database_pool_connections', connections);
    this.#set('database_pool_limit', database.poolSize);
    this.#set('database_transactions', transactions);
    this.#set('scheduler_running', scheduler.isRunning ? 1 : 0);
    if (redis) this.#set('redis_up', redis.status === 'ready' ? 1 : 0);
    if (replica) {
      this.#set('replica_up', replica.state.isUp ? 1 : 0);
      this.#set('replica_used', replica.isGoodEnough ? 1 : 0);
      this.#set('replica_lag_seconds', replica.state.lagSeconds ?? Number.NaN);
    }
    const breaker = this.#deps.breaker();
    for (const state of ['closed', 'open', 'half-open'])
      if (breaker) this.#set('circuit_breaker', breaker === state ? 1 : 0, { state });
  }

  async #readDatabase(): Promise<void> {
    const { database, clock, logger } = this.#deps;
    const { reader } = database;
    const now = clock.now();
    const startedAt = Date.now();
    try {
      const [payouts, jobs, depth, other] = await within(
        Promise.all([
          payoutFigures(reader, now),
          jobFigures(reader, now),
          queueDepth(reader),
          otherFigures(reader),
        ]),
      );
      const endedAt = Date.now();
      for (const name of FROM_DATABASE) this.#gauges.get(name)?.reset();
      this.#set('database_up', 1);
      for (const status of PAYOUT_STATUSES) {
        const row = payouts.find((other) => other.status === status);
        this.#set('payouts', row?.count ?? 0, { status });
        this.#set('payouts_dollars', row?.grossDollars ?? 0, { status });
        this.#set('payouts_oldest_seconds', row?.oldestSeconds ?? 0, { status });
      }
      for (const { job, lastSuccess, lastFailed, runningSeconds, durationSeconds } of jobs) {
        this.#set('job_last_success_timestamp_seconds', lastSuccess ?? 0, { job });
        this.#set('job_last_failed', lastFailed ? 1 : 0, { job });
        this.#set('job_running_seconds', runningSeconds, { job });
        this.#set('job_duration_seconds', durationSeconds ?? 0, { job });
      }
      for (const state of ['waiting', 'retrying', 'active', 'dead'] as const)
        this.#set('queue_depth', depth[state], { state });
      this.#set('queue_oldest_seconds', depth.oldestSeconds);
      if (!other) return;
      for (const status of ['queued', 'sending', 'sent', 'failed'])
        this.#set('mails', other.mails[status] ?? 0, { status });
      for (const severity of ['info', 'warning', 'critical'])
        this.#set('alerts_open', other.alerts[severity] ?? 0, { severity });
      for (const [state, count] of Object.entries(other.sessions))
        this.#set('database_sessions', count, { state });
      this.#set('audit_entries', other.auditEntries);
      this.#set('audit_valid', other.auditValid === false ? 0 : 1);
      this.#set('audit_verified_timestamp_seconds', other.auditVerifiedAt ?? 0);
      this.#set('database_bytes', other.databaseBytes);
      // Between asking and being told; what lies outside of that is the difference of the clocks.
      const at = other.databaseTime * 1000;
      const skewMs = at < startedAt ? at - startedAt : Math.max(0, at - endedAt);
      this.#set('clock_skew_seconds', skewMs / 1000);
    } catch (error) {
      logger.warn('The figures could not be read from the database.', errorFields(error));
      for (const name of FROM_DATABASE) this.#gauges.get(name)?.reset();
      this.#set('database_up', 0);
    }
  }
}

/** Help, and the names of labels. */
const GAUGES = {
  database_up: ['1 while the database answers.'],
  database_pool_connections: ['Connections that this instance has open.'],
  database_pool_limit: ['Connections that this instance may open (DATABASE_POOL_SIZE).'],
  database_transactions: ['Transactions of this instance that run or wait for a connection.'],
  database_sessions: ['Sessions of all instances in the database, by state.', 'state'],
  database_bytes: ['The size of the database.'],
  clock_skew_seconds: ['How far the database’s clock is ahead of this instance’s.'],
  redis_up: ['1 while Redis answers. Only with REDIS_URL.'],
  replica_up: ['1 while the replica answers. Only with DATABASE_REPLICA_URL.'],
  replica_used: ['1 while reports read the replica.'],
  replica_lag_seconds: ['How far the replica is behind.'],
  scheduler_running: ['1 while this instance runs jobs.'],
  circuit_breaker: ['1 for the state of the circuit breaker before the subscription service.', 'state'],
  payouts: ['Payouts by status.', 'status'],
  payouts_dollars: ['Gross amount of payouts in dollars, by status.', 'status'],
  payouts_oldest_seconds: [
    'Since when the payout that has not moved for longest has not, by status.',
    'status',
  ],
  job_last_success_timestamp_seconds: ['When the job last ended well; 0: never.', 'job'],
  job_last_failed: ['1 when the job’s last run failed.', 'job'],
  job_running_seconds: ['For how long the job has been running; 0 when it is not.', 'job'],
  job_duration_seconds: ['How long its last run took.', 'job'],
  queue_depth: ['Messages in the queue, by state.', 'state'],
  queue_oldest_seconds: ['Age of the oldest message that is not sent.'],
  mails: ['Messages by status.', 'status'],
  alerts_open: ['Alerts that nobody has acknowledged and whose cause is not gone, by severity.', 'severity'],
  audit_entries: ['Entries of the audit log.'],
  audit_valid: ['0 when the last verification found the audit log broken.'],
  audit_verified_timestamp_seconds: ['When the audit log was last verified; 0: never.'],
} satisfies Record<string, [help: string, ...labels: string[]]>;

type GaugeName = keyof typeof GAUGES;

const OWN: ReadonlySet<string> = new Set<GaugeName>([
  'database_pool_connections',
  'database_pool_limit',
  'database_transactions',
  'redis_up',
  'replica_up',
  'replica_used',
  'replica_lag_seconds',
  'scheduler_running',
  'circuit_breaker',
]);
const FROM_DATABASE = Object.keys(GAUGES).filter((name) => !OWN.has(name)) as GaugeName[];

async function within<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('The figures took too long.')), READ_LIMIT_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
