import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createHmac, randomBytes } from 'node:crypto';
import { Agent, request } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { readCandidates } from '../../src/queue/queue-store.ts';
import type { DataSet } from './data.ts';
import { cpuMs, residentMemory } from './processes.ts';
import { statementOf } from './queue-reads.ts';
import { median, quantile } from './timing.ts';

export interface HttpTimes {
  /** Requests a second of ours as a share of bare Express with the same query. */
  share: number;
  /** 95th percentiles in milliseconds: ours, and bare Express. */
  p95at8: [number, number];
  p95at50: [number, number];
  /** Of the process's processor time for one request, in milliseconds: ours, and bare Express. */
  cpuMs: [number, number];
  /** Of the service's process at the end, in MiB. */
  memory: number;
}

const HEAP_MB = 256;
const ROUNDS = 3;
const MOST_CONNECTIONS = 50;
const WARM_REQUESTS = 4000;

export interface ServiceUnderTest {
  child: ChildProcess;
  url: string;
  /** Of the staff in the data. */
  headers: Record<string, string>;
  signIn: (email: string) => Promise<Record<string, string>>;
  /** Ends when it has ended. */
  stop: () => Promise<void>;
}

/** The service as it is started, with little memory; its log goes into a file. */
export async function startServiceOn(url: string, folder: string): Promise<ServiceUnderTest> {
  const secret = randomBytes(32).toString('hex');
  const port = await freePort();
  const log = await open(join(folder, 'service.log'), 'w');
  const child = spawn(process.execPath, ['--import', 'tsx', 'src/main.ts'], {
    env: {
      ...process.env,
      DATABASE_URL: url,
      NODE_OPTIONS: `--max-old-space-size=${HEAP_MB}`,
      PORT: String(port),
      DATA_DIR: join(folder, 'service'),
      BETTER_AUTH_SECRET: secret,
      BUSINESS_LAUNCH_DATE: '2024-01-01',
      RATE_LIMIT_STAFF: '0',
      RATE_LIMIT_APPROVALS: '0',
      RATE_LIMIT_ADDRESS: '0',
      JOBS: 'false',
      LOG_LEVEL: 'info',
    },
    stdio: ['ignore', 'ignore', log.fd],
  });
  await log.close();
  const stop = async () => {
    const ended = once(child, 'exit');
    if (child.exitCode === null && child.signalCode === null && child.kill()) await ended;
  };
  try {
    const address = `http://127.0.0.1:${port}`;
    const signInHere = (email: string) => signIn(url, secret, email);
    const headers = await signInHere('staff@example.com');
    await answers({ url: `${address}/api/payouts/eligibility`, headers });
    return { child, url: address, headers, signIn: signInHere, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The service against bare Express; each in turn, several times. */
export async function measureHttp(data: DataSet, folder: string, seconds: number): Promise<HttpTimes> {
  const service = await startServiceOn(data.url, folder);
  const bare = spawn(process.execPath, ['--import', 'tsx', 'scripts/bench/bare-express.ts'], {
    env: {
      ...process.env,
      DATABASE_URL: data.url,
      BENCH_STATEMENT: JSON.stringify(statementOf((reader) => readCandidates(reader, { limit: 11 }))),
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const barePort = await firstLine(bare);
    const ours = {
      url: `${service.url}/api/payouts/eligible-members?limit=10`,
      headers: service.headers,
      // Sessions of requests that come at once are read together, and the same one only once.
      people: await Promise.all(
        Array.from({ length: MOST_CONNECTIONS }, () => service.signIn('staff@example.com')),
      ),
    };
    const floor = { url: `http://127.0.0.1:${barePort}/`, headers: {} };
    await answers(floor);
    // Until V8 has compiled what is called often.
    for (const target of [ours, floor]) await load(target, 8, { requests: WARM_REQUESTS });
    const cpuEach: [number[], number[]] = [[], []];
    const shares: number[] = [];
    const at8: [number[], number[]] = [[], []];
    const at50: [number[], number[]] = [[], []];
    for (let round = 0; round < ROUNDS; round += 1) {
      const cpu = [await cpuMs(service.child), await cpuMs(bare)] as const;
      const [our8, bare8] = [await load(ours, 8, { seconds }), await load(floor, 8, { seconds })];
      const [ourCpu, bareCpu] = [(await cpuMs(service.child)) - cpu[0], (await cpuMs(bare)) - cpu[1]];
      cpuEach[0].push(ourCpu / our8.length);
      cpuEach[1].push(bareCpu / bare8.length);
      const [our50, bare50] = [
        await load(ours, MOST_CONNECTIONS, { seconds }),
        await load(floor, MOST_CONNECTIONS, { seconds }),
      ];
      shares.push(our8.length / bare8.length, our50.length / bare50.length);
      at8[0].push(quantile(our8, 0.95));
      at8[1].push(quantile(bare8, 0.95));
      at50[0].push(quantile(our50, 0.95));
      at50[1].push(quantile(bare50, 0.95));
    }
    return {
      share: median(shares),
      p95at8: [median(at8[0]), median(at8[1])],
      p95at50: [median(at50[0]), median(at50[1])],
      cpuMs: [median(cpuEach[0]), median(cpuEach[1])],
      memory: await residentMemory(service.child),
    };
  } finally {
    await service.stop();
    bare.kill();
  }
}

/** A session as a sign-in leaves it, as its header. */
async function signIn(url: string, secret: string, email: string): Promise<Record<string, string>> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    const token = randomBytes(24).toString('hex');
    await sql`INSERT INTO sessions (user_id, token, expires_at)
      SELECT id, ${token}, now() + interval '1 day' FROM users WHERE email = ${email}`;
    const signature = createHmac('sha256', secret).update(token).digest('base64');
    return { authorization: `Bearer ${token}.${signature}` };
  } finally {
    await sql.end();
  }
}

export interface Target {
  /** Where each request has an address of its own, that of the next, until there is none. */
  url: string | (() => string | undefined);
  headers: Record<string, string>;
  /** Where each connection is somebody's own, in turn: headers beside those. */
  people?: readonly Record<string, string>[];
  method?: 'GET' | 'POST';
}

/** Keeps so many connections busy for so many seconds, or requests; the time of each answer in milliseconds. */
export async function load(
  target: Target,
  connections: number,
  { seconds = Number.POSITIVE_INFINITY, requests = Number.POSITIVE_INFINITY },
): Promise<number[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const deadline = performance.now() + seconds * 1000;
  const all: number[] = [];
  try {
    await Promise.all(
      Array.from({ length: connections }, async (_, connection) => {
        const headers = { ...target.headers, ...target.people?.[connection % target.people.length] };
        while (performance.now() < deadline && all.length < requests) {
          const url = typeof target.url === 'string' ? target.url : target.url();
          if (url === undefined) return;
          const began = performance.now();
          const status = await ask(url, { ...target, headers }, agent);
          if (status !== 200) throw new Error(`${url} answered ${status}.`);
          all.push(performance.now() - began);
        }
      }),
    );
  } finally {
    agent.destroy();
  }
  return all;
}

const ask = (url: string, { headers, method = 'GET' }: Target, agent?: Agent): Promise<number> =>
  new Promise((resolve, reject) => {
    const body = method === 'POST' ? '{}' : undefined;
    request(
      url,
      {
        method,
        headers: body
          ? { ...headers, 'content-type': 'application/json', 'content-length': body.length }
          : headers,
        ...(agent ? { agent } : {}),
      },
      (response) => {
        response.resume();
        response.once('end', () => resolve(response.statusCode ?? 0));
      },
    )
      .once('error', reject)
      .end(body);
  });

async function answers(target: { url: string; headers: Record<string, string> }): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt += 1) {
    if ((await ask(target.url, target).catch(() => 0)) === 200) return;
    await sleep(200);
  }
  throw new Error(`${target.url} does not answer.`);
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((done) => probe.listen(0, '127.0.0.1', done));
  const { port } = probe.address() as AddressInfo;
  await new Promise((done) => probe.close(done));
  return port;
}

const firstLine = (child: ChildProcess): Promise<string> =>
  new Promise((resolve, reject) => {
    child.stdout?.once('data', (chunk: Buffer) => resolve(chunk.toString().trim()));
    child.once('exit', (code) => reject(new Error(`It ended with ${code}.`)));
  });
