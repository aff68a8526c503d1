import type { RequestListener, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { config as readDotenv } from 'dotenv';
import { createApp, createMetricsApp, SERVICE_VERSION } from './app.ts';
import { ConfigError, loadConfig, type Config } from './config.ts';
import { DecryptionError } from './crypto/envelope.ts';
import { Database } from './db/client.ts';
import { DatabaseWatch } from './db/database-watch.ts';
import { startEmbeddedServer, type EmbeddedServer } from './db/embedded-server.ts';
import { databaseFault, isConnectionFailure } from './db/errors.ts';
import { migrateUp } from './db/migrations.ts';
import { prepareEmbedded } from './db/embedded-databases.ts';
import { connectRedis, type Redis } from './db/redis.ts';
import { ReplicaReports } from './db/report-source.ts';
import { holdsDemoData } from './demo/demo-clock.ts';
import { greetingFor } from './demo/greeting.ts';
import { seedDemo } from './demo/seed.ts';
import { Health } from './http/health.ts';
import { createHttpServer } from './http/http-server.ts';
import { Metrics } from './http/metrics.ts';
import { answerStarting } from './http/starting.ts';
import { Stopping } from './http/stopping.ts';
import { MovableClock } from './kernel/clock.ts';
import { armCrashPoint } from './kernel/crash-points.ts';
import { createLogger, errorFields, type Logger } from './kernel/logger.ts';
import { queueDepth } from './notifications/mail-queue.ts';
import { createServices, type Services } from './services.ts';

/** A fault at start with one line that says what to do. */
export class StartError extends Error {}

export interface RunningService {
  url: string;
  greeting: string;
  logger: Logger;
  services: Services;
  stop(): Promise<void>;
}

/** Of the ten seconds in which all must have stopped, what requests and jobs may take; the rest is for closing. */
const DRAIN_MS = 8000;
const REPLICA_POOL_SIZE = 4;
/** As the alert QueueStuck has it: all attempts at a message take half of that. */
const QUEUE_STUCK_SECONDS = 1800;

/** Reads the configuration, brings up database, services and HTTP. Throws ConfigError or StartError. */
export async function startService(env: NodeJS.ProcessEnv): Promise<RunningService> {
  readDotenv({ processEnv: env as Record<string, string>, quiet: true });
  const config = loadConfig(env);
  const logger = createLogger(config.logLevel);
  const undo: (() => Promise<unknown>)[] = [];
  const stop = onceOnly(async () => {
    for (const step of undo.reverse())
      await step().catch((error: unknown) => logger.warn('Stopping went wrong.', errorFields(error)));
  });
  try {
    return await bringUp(config, logger, undo, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function bringUp(
  config: Config,
  logger: Logger,
  undo: (() => Promise<unknown>)[],
  stop: () => Promise<void>,
): Promise<RunningService> {
  if (config.tracesUrl !== undefined) {
    // Loaded only now: a start without traces pays nothing for them.
    const { startTracing } = await import('./tracing.ts');
    undo.push(startTracing(config.tracesUrl, SERVICE_VERSION));
  }
  const { server, port, publicUrl, open } = await listen(config);
  const stopping = new Stopping(server);
  undo.push(() => stopping.finish(0));
  const connections = await openDatabases(config, undo);
  const { database } = connections;
  const redis = await openRedis(config, logger, undo);
  const replica = await openReplica(config, database, logger, undo);
  const clock = new MovableClock();
  const services = createServices({
    config,
    logger,
    clock,
    publicUrl,
    ...connections,
    redis,
    reportSource: replica,
  });
  undo.push(async () => services.mailer.close());
  undo.push(() => services.renderer.stop());
  await assertOurKeys(services, logger);
  const demo = await holdsDemoData(database);
  if (config.production && demo) {
    throw new StartError(
      'This database holds demo data: production does not start on it. Use another DATABASE_URL.',
    );
  }
  if (demo) undo.push(await followClock(services, logger));
  const watch = new DatabaseWatch(database, logger);
  watch.start();
  undo.push(async () => watch.stop());
  const health = new Health({
    database,
    callers: services.callers,
    clock,
    logger,
    email: services.mailer,
    scheduler: { expected: config.jobs, get isRunning() { return services.jobs.isRunning; } }, // prettier-ignore
    more: {
      queue: async () => (await queueDepth(database.reader)).oldestSeconds < QUEUE_STUCK_SECONDS,
      ...(redis ? { redis: async () => (await redis.ping()) === 'PONG' } : {}),
      ...(replica ? { replica: async () => replica.isGoodEnough } : {}),
    },
  });
  const metrics = config.metrics.enabled ? new Metrics(config.metrics.token, services.figures) : undefined;
  const options = { config, clock, logger, health, publicUrl, demo, watch, metrics, redis };
  open(createApp(services, options));
  if (metrics && config.metrics.port !== undefined)
    undo.push(await serveMetrics(createMetricsApp(metrics, options), config.host, config.metrics.port));
  if (config.jobs) {
    services.jobs.start();
    await services.delivery.start();
    services.queueKeeper.start();
    services.checkpointLoop.start();
  }
  services.instanceWatch.start();
  undo.push(() => services.instanceWatch.stop());
  undo.push(() => drain({ config, services, health, stopping }));
  if (config.crashPoint) armCrashPoint(config.crashPoint.point, config.crashPoint.passes);
  const url = `http://localhost:${port}`;
  logger.info('The service is up.', { address: url, port });
  return { url, logger, services, stop, greeting: greetingFor({ url, demo, config }) };
}

/**
 * Not ready; then everything is answered for a while still, until the balancer has seen it; then what runs is finished.
 * Jobs begin none anew from the start.
 */
async function drain(parts: {
  config: Config;
  services: Services;
  health: Health;
  stopping: Stopping;
}): Promise<void> {
  const { config, services, health, stopping } = parts;
  const deadline = performance.now() + DRAIN_MS;
  health.stop();
  const requests = sleep(config.stopDelayMs).then(() => stopping.finish(deadline - performance.now()));
  const background = config.jobs
    ? [
        services.jobs.stop(),
        services.delivery.stop(),
        services.queueKeeper.stop(),
        services.checkpointLoop.stop(),
      ]
    : [];
  const inTime = Promise.race([Promise.allSettled(background), sleep(DRAIN_MS, undefined, { ref: false })]);
  await Promise.all([requests, inTime]);
}

/** Takes the port first: a taken one is told before anything is started. Until all is up it answers 503. */
async function listen(
  config: Config,
): Promise<{ server: Server; port: number; publicUrl: string; open: (app: RequestListener) => void }> {
  const portOf = () => (server.address() as AddressInfo).port;
  const urlOf = () => config.auth.url ?? `http://localhost:${portOf()}`;
  const starting = answerStarting(urlOf);
  const server = createHttpServer(starting);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(
        error.code === 'EADDRINUSE'
          ? new StartError(
              `Port ${config.port} is taken. Set PORT to a free one, such as PORT=${config.port + 1} npm start.`,
            )
          : new StartError(
              `Cannot listen on ${config.host}:${config.port} (${error.code}). Set HOST and PORT.`,
            ),
      );
    });
    server.listen(config.port, config.host, resolve);
  });
  const open = (app: RequestListener) => server.off('request', starting).on('request', app);
  return { server, port: portOf(), publicUrl: urlOf(), open };
}

/** Returns what ends it. */
async function serveMetrics(app: RequestListener, host: string, port: number): Promise<() => Promise<void>> {
  const server = createHttpServer(app);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(new StartError(`Cannot listen on METRICS_PORT ${port} (${error.code}).`)),
    );
    server.listen(port, host, resolve);
  });
  return async () => {
    server.closeAllConnections();
    server.close();
  };
}

async function openRedis(
  config: Config,
  logger: Logger,
  undo: (() => Promise<unknown>)[],
): Promise<Redis | undefined> {
  if (config.redisUrl === undefined) return undefined;
  const redis = await connectRedis(config.redisUrl, logger);
  undo.push(async () => redis.disconnect());
  return redis;
}

async function openReplica(
  config: Config,
  database: Database,
  logger: Logger,
  undo: (() => Promise<unknown>)[],
): Promise<ReplicaReports | undefined> {
  const url = config.database.replicaUrl;
  if (url === undefined) return undefined;
  const setRole = config.database.url === config.database.migrationUrl;
  const connections = new Database({
    url,
    poolSize: REPLICA_POOL_SIZE,
    role: setRole ? 'payout_service' : undefined,
    applicationName: 'payout-service reports',
  });
  undo.push(() => connections.close());
  const replica = new ReplicaReports(database, connections, logger);
  undo.push(async () => replica.stop());
  await replica.start();
  return replica;
}

interface Connections {
  database: Database;
  mainApp: Database | undefined;
}

async function openDatabases(config: Config, undo: (() => Promise<unknown>)[]): Promise<Connections> {
  const urls =
    config.database.url === undefined
      ? await startEmbedded(config, undo)
      : externalUrls(config, config.database.url);
  try {
    await migrateUp(urls.migration);
  } catch (error) {
    throw isConnectionFailure(error) || isWrongLogin(error)
      ? new StartError(
          'The database in DATABASE_URL cannot be reached. Check address, name, user and password, and that the server runs.',
        )
      : error;
  }
  const database = new Database({
    url: urls.service,
    poolSize: config.database.poolSize,
    role: urls.setRole ? 'payout_service' : undefined,
  });
  undo.push(() => database.close());
  const standsIn = config.auth.handler || config.subscriptionService.url === undefined;
  const mainApp = standsIn
    ? new Database({ url: urls.migration, poolSize: 4, role: 'payout_main_app' })
    : undefined;
  if (mainApp) undo.push(() => mainApp.close());
  return { database, mainApp };
}

/** A start with another master key than the one of this database would write what nobody can read together. */
async function assertOurKeys(services: Services, logger: Logger): Promise<void> {
  try {
    await services.fingerprints.load();
  } catch (error) {
    if (error instanceof DecryptionError) {
      throw new StartError(
        'The master key is not the one of this database. Set the ENCRYPTION_KEY, ENCRYPTION_KEYS_OLD or KMS_KEY_ID that it had.',
        { cause: error },
      );
    }
    // Most of the service needs no key; what does says 503 until the key service is back.
    logger.warn('The key service cannot be reached.', errorFields(error));
  }
}

/** SQLSTATE class 28 and 3D000: the server answers, but not to us. */
const isWrongLogin = (error: unknown): boolean => /^(28|3D)/.test(databaseFault(error)?.code ?? '');

interface Urls {
  service: string;
  migration: string;
  /** Both are one user: the service's connections give up the owner's rights. */
  setRole: boolean;
}

function externalUrls(config: Config, url: string): Urls {
  const migration = config.database.migrationUrl ?? url;
  return { service: url, migration, setRole: migration === url };
}

async function startEmbedded(config: Config, undo: (() => Promise<unknown>)[]): Promise<Urls> {
  const password = config.database.embeddedPassword;
  if (password === undefined) throw new ConfigError(['DATABASE_URL is missing']);
  let server: EmbeddedServer;
  try {
    server = await startEmbeddedServer({
      dataDirectory: join(config.dataDirectory, 'postgres'),
      password,
      note: (line) => process.stderr.write(`${line}\n`),
    });
  } catch (error) {
    throw new StartError(error instanceof Error ? error.message : String(error), { cause: error });
  }
  undo.push(() => server.stop());
  const migration = await prepareEmbedded(server, (url) => seedDemo(config, url));
  return { service: migration, migration, setRole: true };
}

/** Other instances may move the demo clock. */
const followClock = (services: Services, logger: Logger): Promise<() => Promise<void>> =>
  services.demoClock.keepFollowing((error) =>
    logger.debug('The demo clock could not be read.', errorFields(error)),
  );

function onceOnly(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => (done ??= work());
}
