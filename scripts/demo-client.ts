/** A caller of the service over HTTP, who prints what they do. */
import { setTimeout as sleep } from 'node:timers/promises';
import { DEMO_PASSWORD } from '../src/demo/people.ts';

export type Json = Record<string, unknown>;

/** A request that did not end as the demo needs it. */
export class DemoError extends Error {}

const START_LIMIT_MS = 120_000;
const LOOK_EVERY_MS = 500;

/** Waits for a service that has only just been started. Throws DemoError where there is none. */
export async function untilUp(url: string): Promise<void> {
  const giveUpAt = performance.now() + START_LIMIT_MS;
  for (let told = false; ; told = true) {
    const answer = await fetch(`${url}/health`).catch(() => {
      throw new DemoError(`No service answers at ${url}. Start one with npm start, or set DEMO_URL.`);
    });
    if (answer.status !== 503) return;
    if (performance.now() > giveUpAt)
      throw new DemoError(`The service at ${url} does not come up: ${await answer.text()}`);
    if (!told) process.stdout.write(`The service at ${url} is not up yet. Waiting for it …\n`);
    await sleep(LOOK_EVERY_MS);
  }
}

export class DemoClient {
  readonly #url: string;
  readonly name: string;
  readonly #token: string;
  readonly userId: string;

  private constructor(url: string, name: string, token: string, userId: string) {
    this.#url = url;
    this.name = name;
    this.#token = token;
    this.userId = userId;
  }

  static async signIn(url: string, email: string): Promise<DemoClient> {
    const answer = await fetch(`${url}/api/auth/sign-in/email`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email, password: DEMO_PASSWORD }),
    });
    const body = (await answer.json()) as { user?: { id: string } };
    const token = answer.headers.get('set-auth-token');
    if (!answer.ok || !token || !body.user) {
      throw new DemoError(
        `${email} cannot sign in (${answer.status}). The demo needs a service with demo data.`,
      );
    }
    return new DemoClient(url, email.split('@')[0] ?? email, token, body.user.id);
  }

  get<T = Json>(path: string): Promise<T> {
    return this.#json<T>('GET', path);
  }

  post<T = Json>(path: string, body: Json = {}): Promise<T> {
    return this.#json<T>('POST', path, body);
  }

  async pdf(path: string): Promise<Buffer> {
    const answer = await this.#send('GET', path);
    this.#print('GET', path, answer.status, '');
    if (!answer.ok) throw new DemoError(await answer.text());
    return Buffer.from(await answer.arrayBuffer());
  }

  async #json<T>(method: string, path: string, body?: Json): Promise<T> {
    const answer = await this.#send(method, path, body);
    const reply = (await answer.json()) as T;
    this.#print(method, path, answer.status, factsOf(reply));
    if (!answer.ok) throw new DemoError(`${method} ${path} was refused: ${JSON.stringify(reply)}`);
    return reply;
  }

  #send(method: string, path: string, body?: Json): Promise<Response> {
    return fetch(`${this.#url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.#token}`,
        ...(body ? { 'content-type': 'application/json' } : {}),
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
  }

  #print(method: string, path: string, status: number, facts: string): void {
    process.stdout.write(
      `  ${this.name.padEnd(12)} ${method.padEnd(4)} ${path}  → ${status}${facts ? `  ${facts}` : ''}\n`,
    );
  }
}

/** Status and amounts, where an answer has them. */
function factsOf(reply: unknown): string {
  const body = (reply ?? {}) as Json;
  const first = Array.isArray(body['data']) && body['data'].length === 1 ? (body['data'][0] as Json) : body;
  const facts = ['status', 'now', 'availableSlots', 'amount', 'netAmount', 'scheduledRemovalDate', 'isActive']
    .filter((name) => first[name] !== undefined && first[name] !== null)
    .map((name) => `${name}=${String(first[name])}`);
  return facts.join(' ');
}
