/**
 * Sends requests that nobody foresaw to a running service, made from its own OpenAPI document, as every kind of caller,
 * and holds each answer against that document.
 */
import { Agent, request as httpRequest } from 'node:http';
import { z } from 'zod';
import { PERMISSIONS } from '../../src/kernel/permissions.ts';

export type Json = Record<string, any>;

export interface FuzzCaller {
  name: string;
  /** As the table of permissions knows them: a staff role, or none. */
  role: 'admin' | 'finance_manager' | 'viewer' | 'member' | 'machine' | 'nobody';
  token: string | undefined;
  scopes?: readonly string[];
  /** Whose sight in an answer would be a leak: other members' names, addresses and ids. */
  foreign: readonly string[];
  /** What a member would ask for: their own id and payout, by the name of the parameter. */
  own?: Record<string, string>;
}

export interface FuzzWorld {
  url: string;
  document: Json;
  callers: readonly FuzzCaller[];
  /** Values for parameters and fields, by name; the most are of things that exist. */
  known: Record<string, readonly string[]>;
  /** What must never stand in any answer. */
  secrets: readonly string[];
  /** Full account and taxpayer numbers: finance may see them where the document says so. */
  numbers: readonly string[];
  random: () => number;
}

interface Operation {
  method: string;
  path: string;
  parameters: readonly Json[];
  body: Json | undefined;
  responses: Json;
  permission: keyof typeof PERMISSIONS | undefined;
}

interface Sent {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string | Buffer | undefined;
}

interface Got {
  status: number;
  type: string;
  text: string;
}

const HOSTILE = [
  '', ' ', '0', '-1', '1e309', 'null', 'undefined', 'NaN', '../../etc/passwd', '%00', "'; DROP TABLE users; --", '" OR ""="',
  '{{7*7}}', '${7*7}', '<script>alert(1)</script>', '\u202e', '\ufeff', '🏦'.repeat(50), 'A'.repeat(3000), '=HYPERLINK("x")',
  '\r\nSet-Cookie: a=b', '__proto__', 'constructor', '2026-02-30', '0000-00-00', '99999-01-01', '-9223372036854775809',
  '00000000-0000-0000-0000-000000000000', 'PO-2026-IIIIIIII', 'PO-9999-ZZZZZZZZ', '\u0000', '\ud800',
]; // prettier-ignore

const RAW_BODIES: readonly (string | Buffer)[] = [
  '{', '[]', 'null', '"x"', '{"a":1,"a":2}', '{"__proto__":{"admin":true}}', '{"note":"a\\u0000"}', '{"note":"\\ud800"}',
  '{"userIds":1e999}', `{"a":${'9'.repeat(400)}}`, '['.repeat(5000), `{"a":"${'x'.repeat(70_000)}"}`, '{"note":"x"}{}',
  Buffer.from([0x7b, 0xff, 0x7d]), '{"constructor":{"prototype":{}}}', 'note=x', '\ufeff{}',
]; // prettier-ignore

/** Words of the inside that no answer says. */
const INSIDE =
  /node_modules|\bat \S+ \(|\.ts:\d+|PostgresError|DrizzleQueryError|\bSELECT\b.+\bFROM\b|pg_catalog|ECONNREFUSED/;

/** Slow to make: asked for, but seldom. */
const HEAVY =
  /\/(instructions|receipt|pdf)$|\/run$|audit-log$|check-eligibility$|generate-instructions$|demo\/clock$/;

const PAYOUT = '/api/payouts/{id}';
/** Of one kind. */
const MOST_KNOWN = 60;

const agent = new Agent({ keepAlive: true, maxSockets: 16 });

export class Fuzzer {
  readonly faults: string[] = [];
  readonly statuses = new Map<number, number>();
  /** Operations that were answered with success at least once. */
  readonly reached = new Set<string>();
  readonly #world: FuzzWorld;
  readonly #operations: readonly Operation[];
  readonly #known: Map<string, string[]>;
  #isStopped = false;
  #own: Record<string, string> = {};
  #ownShare = 0;
  readonly #schemas = new Map<string, z.ZodType>();

  constructor(world: FuzzWorld) {
    this.#world = world;
    this.#operations = operationsOf(world.document);
    this.#known = new Map(Object.entries(world.known).map(([kind, values]) => [kind, [...values]]));
  }

  get operations(): readonly string[] {
    return this.#operations.map(({ method, path }) => `${method} ${path}`);
  }

  /** Gives how many were sent: fewer when it is stopped, or finds too many faults. */
  async run(count: number, lanes = 8): Promise<number> {
    let sent = 0;
    await Promise.all(
      Array.from({ length: lanes }, async () => {
        while (sent < count && !this.#isStopped && this.faults.length < 20) {
          sent += 1;
          await (this.#chance(0.15) ? this.#led() : this.#one());
        }
      }),
    );
    return sent;
  }

  stop(): void {
    this.#isStopped = true;
  }

  close(): void {
    agent.destroy();
  }

  async #one(): Promise<void> {
    const operation = this.#operation();
    const welcome = this.#world.callers.filter((someone) => mayAsk(operation, someone));
    const caller = this.#pick(this.#chance(0.6) && welcome.length > 0 ? welcome : this.#world.callers);
    await this.#try(operation, caller, this.#chance(0.35));
  }

  /** Does what the service says that somebody may do to a payout now, so that lives go on and new states are met. */
  async #led(): Promise<void> {
    const staff = this.#world.callers.filter(({ role }) => role === 'admin' || role === 'finance_manager');
    const caller = this.#pick(staff);
    const payout = this.#operations.find(({ method, path }) => method === 'get' && path === PAYOUT);
    if (!payout) throw new Error(`The document has no ${PAYOUT}.`);
    const id = this.#pick(this.#known.get('id payouts') ?? []);
    const { text } = await this.#try(payout, { ...caller, own: { 'id payouts': id } }, false, 1);
    const { allowedActions = [] } = JSON.parse(text) as {
      allowedActions?: { action: string; allowed: boolean }[];
    };
    // A life that is ended goes on no more.
    const open = allowedActions.filter(
      ({ action, allowed }) => allowed && !/^(cancel|reject|hold)$/.test(action),
    );
    const next = open.length > 0 ? this.#pick(open).action : 'notes';
    const step = this.#operations.find(
      ({ method, path }) => method === 'post' && path === `${PAYOUT}/${next}`,
    );
    if (step) await this.#try(step, { ...caller, own: { 'id payouts': id } }, false, 1);
  }

  /** `ownShare`: how often what the caller owns is named, where a parameter can name it. */
  async #try(operation: Operation, caller: FuzzCaller, hostile: boolean, ownShare = 0.7): Promise<Got> {
    this.#own = caller.own ?? {};
    const sent = this.#request(operation, caller, hostile, ownShare);
    const got = await exchange(this.#world.url, sent);
    this.statuses.set(got.status, (this.statuses.get(got.status) ?? 0) + 1);
    if (got.status < 300) this.reached.add(`${operation.method} ${operation.path}`);
    if (got.status < 300 && got.type.startsWith('application/json')) this.#learn(operation, got.text);
    for (const fault of this.#faultsOf(operation, caller, sent, got)) {
      const body = typeof sent.body === 'string' ? sent.body.slice(0, 300) : '(bytes)';
      this.faults.push(`${fault}\n  ${caller.name}: ${sent.method} ${sent.path} ${JSON.stringify(sent.headers)} ${body}\n  ${got.status} ${got.text.slice(0, 400)}`);
    }
    return got;
  } // prettier-ignore

  /** Ids of what has come up since, so that it is asked for too. */
  #learn({ path }: Operation, text: string): void {
    const note = (kind: string, id: string) => {
      const pool = this.#known.get(kind) ?? [];
      if (pool.includes(id)) return;
      if (pool.length < MOST_KNOWN) pool.push(id);
      else pool[Math.floor(this.#world.random() * pool.length)] = id;
      this.#known.set(kind, pool);
    };
    for (const [, kind = '', id = ''] of text.matchAll(/"(payoutId|formId)":"([^"]+)"/g))
      note(kind === 'payoutId' ? 'id payouts' : kind, id);
    if (!/^\/api\/(notifications|admin-alerts)$/.test(path)) return;
    for (const { id } of (JSON.parse(text) as { data: { id: string }[] }).data)
      note(`id ${path.split('/')[2]}`, String(id));
  }

  #operation(): Operation {
    for (;;) {
      const operation = this.#pick(this.#operations);
      if (!HEAVY.test(operation.path) || this.#chance(0.08)) return operation;
    }
  }

  #faultsOf(operation: Operation, caller: FuzzCaller, sent: Sent, got: Got): string[] {
    const { status, text, type } = got;
    const faults: string[] = [];
    if (status >= 500) faults.push('A fault of the service.');
    if (status < 300 && !mayAsk(operation, caller)) faults.push('Somebody was let in who may not.');
    if (INSIDE.test(text) && !type.includes('pdf')) faults.push('The inside shows.');
    for (const secret of this.#world.secrets) if (text.includes(secret)) faults.push(`A secret shows: ${secret.slice(0, 8)}…`);
    const mayShow = operation.path.endsWith('reveal') || (operation.path.endsWith('tax-forms/{year}') && type.includes('csv'));
    if (!(mayShow && caller.role === 'finance_manager'))
      for (const number of this.#world.numbers)
        if (text.includes(number) && !carries(sent, number)) faults.push('A full number shows.');
    if (status < 300)
      for (const word of caller.foreign) if (text.includes(word) && !carries(sent, word)) faults.push(`Another member’s data shows: ${word}`);
    // Whatever was asked with another method, or at an address that is none, is not in the document.
    if (sent.method.toLowerCase() !== operation.method || !sent.path.startsWith('/api/')) return faults;
    return [...faults, ...this.#againstDocument(operation, got)];
  } // prettier-ignore

  #againstDocument(operation: Operation, { status, type, text }: Got): string[] {
    const response = resolve(this.#world.document, operation.responses[String(status)]);
    // An encoded slash makes another address, which answers 404 for itself.
    if (!response) return status === 404 ? [] : [`The document has no ${status} here.`];
    const media = type.split(';')[0] ?? '';
    const content = (response['content'] ?? {}) as Json;
    if (!content[media]) return [`The document has no ${media} for ${status} here.`];
    if (media !== 'application/json') return [];
    const checked = this.#schema(content[media].schema).safeParse(JSON.parse(text));
    if (checked.success) return [];
    return [`The answer is not of the form in the document: ${checked.error.issues.slice(0, 3).map((issue) => `${issue.path.join('.')} ${issue.message}`).join('; ')}`]; // prettier-ignore
  }

  #schema(schema: Json): z.ZodType {
    const key = JSON.stringify(schema);
    let made = this.#schemas.get(key);
    if (!made) {
      const whole = JSON.stringify({ ...schema, $defs: this.#world.document['components'].schemas });
      // Zod's format wants a version of RFC 9562; the pattern beside it says what is taken.
      const known = whole.replaceAll('"format":"uuid",', '').replaceAll('#/components/schemas/', '#/$defs/');
      made = z.fromJSONSchema(JSON.parse(known) as Json);
      this.#schemas.set(key, made);
    }
    return made;
  }

  #request(operation: Operation, caller: FuzzCaller, hostile: boolean, ownShare: number): Sent {
    this.#ownShare = ownShare;
    const query = new URLSearchParams();
    let path = operation.path;
    for (const { name, in: place, required } of operation.parameters) {
      if (place === 'path') path = path.replace(`{${name}}`, encode(this.#named(name, operation.path, hostile)));
      else if (place === 'query' && (required || this.#chance(0.3))) query.append(name, wellFormed(this.#named(name, operation.path, hostile)));
    }
    if (hostile && this.#chance(0.1)) query.append(this.#pick(['limit', 'x', '__proto__', 'cursor']), this.#pick(HOSTILE).toWellFormed());
    const headers: Record<string, string> = caller.token === undefined ? {} : { authorization: `Bearer ${caller.token}` };
    const body = operation.method === 'post' ? this.#body(operation, hostile) : undefined;
    if (body !== undefined) headers['content-type'] = 'application/json';
    if (hostile) Object.assign(headers, this.#oddHeaders());
    if (this.#chance(0.15)) headers['idempotency-key'] = this.#pick(['one', 'two', `k${Math.floor(this.#world.random() * 1e6)}`, '\u00e9', ' ']);
    const method = hostile && this.#chance(0.03) ? this.#pick(['PUT', 'DELETE', 'PATCH', 'OPTIONS']) : operation.method.toUpperCase();
    const search = query.size > 0 ? `?${query.toString()}` : '';
    return { method, path: `${path}${search}`, headers, body: method === 'GET' ? undefined : body };
  } // prettier-ignore

  #oddHeaders(): Record<string, string> {
    return this.#pick<Record<string, string>>([
      {},
      {},
      { 'content-type': 'text/plain' },
      { 'content-type': 'application/json; charset=utf-16' },
      { 'content-encoding': 'gzip' },
      { origin: 'https://evil.example' },
      { cookie: 'better-auth.session_token=x.y', 'sec-fetch-site': 'cross-site' },
      { 'x-request-id': 'A'.repeat(500) },
      { 'x-forwarded-for': "203.0.113.1'; --" },
      { 'user-agent': '<script>' },
      { 'if-none-match': '*' },
      { range: 'bytes=0-1' },
      { 'x-http-method-override': 'DELETE' },
    ]);
  }

  #body(operation: Operation, hostile: boolean): string | Buffer | undefined {
    if (hostile && this.#chance(0.3)) return this.#pick(RAW_BODIES);
    if (!operation.body) return '{}';
    const made = this.#value(operation.body, '', operation.path, hostile, 0);
    if (made === null || typeof made !== 'object' || Array.isArray(made)) return JSON.stringify(made);
    const value = made as Json;
    if (this.#chance(0.1))
      value[this.#pick(['extra', 'role', 'adminId', 'isActive', 'amount'])] = this.#pick(HOSTILE);
    const names = Object.keys(value);
    if (names.length > 0 && this.#chance(0.1)) delete value[this.#pick(names)];
    return JSON.stringify(value);
  }

  #value(given: Json, name: string, path: string, hostile: boolean, depth: number): unknown {
    const schema = resolve(this.#world.document, given) ?? {};
    if (hostile && this.#chance(0.2)) return this.#pick<unknown>([...HOSTILE, null, true, -1, 1.5, [], {}, [[]], 1e300]);
    if (schema['const'] !== undefined) return schema['const'];
    if (schema['enum']) return this.#pick(schema['enum'] as unknown[]);
    const choices = (schema['anyOf'] ?? schema['oneOf']) as Json[] | undefined;
    if (choices) return this.#value(this.#pick(choices), name, path, hostile, depth);
    const type = Array.isArray(schema['type']) ? this.#pick(schema['type'] as string[]) : schema['type'];
    if (type === 'object') {
      const required = new Set((schema['required'] ?? []) as string[]);
      return Object.fromEntries(
        Object.entries((schema['properties'] ?? {}) as Record<string, Json>)
          .filter(([key]) => required.has(key) || this.#chance(0.6))
          .map(([key, item]) => [key, this.#value(item, key, path, hostile, depth + 1)]),
      );
    }
    if (type === 'array') return Array.from({ length: 1 + Math.floor(this.#world.random() * 2) }, () => this.#value((schema['items'] ?? {}) as Json, name, path, hostile, depth + 1));
    if (type === 'integer' || type === 'number') return this.#pick([0, 1, 2, 3, 100, -1]);
    if (type === 'boolean') return this.#chance(0.6);
    if (type === 'null') return null;
    return this.#named(name, path, hostile);
  } // prettier-ignore

  #named(name: string, path: string, hostile: boolean): string {
    if (hostile && this.#chance(0.4)) return this.#pick(HOSTILE);
    const kind = name === 'id' ? `id ${path.split('/')[2]}` : name;
    const own = this.#own[kind];
    if (own !== undefined && this.#chance(this.#ownShare)) return own;
    return this.#pick(this.#known.get(kind) ?? this.#known.get('text') ?? ['x']);
  }

  #pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.#world.random() * items.length)] as T;
  }

  #chance(share: number): boolean {
    return this.#world.random() < share;
  }
}

/** Does the table of permissions let such a caller in at all, if only to what is their own? */
function mayAsk({ permission }: Operation, { role, scopes = [] }: FuzzCaller): boolean {
  if (permission === undefined) return true;
  const grant: { staff: readonly string[]; own?: boolean; scope?: string } = PERMISSIONS[permission];
  if (role === 'nobody') return false;
  if (role === 'machine') return grant.scope !== undefined && scopes.includes(grant.scope);
  return grant.own === true || grant.staff.includes(role);
}

/** What the caller said themselves may be said back. */
const carries = ({ path, body }: Sent, word: string): boolean =>
  decodeURIComponentSafely(path).includes(word) || (typeof body === 'string' && body.includes(word));

function decodeURIComponentSafely(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const wellFormed = (text: string): string => text.toWellFormed();
const encode = (text: string): string => (text === '' ? '%20' : encodeURIComponent(wellFormed(text)));

function resolve(document: Json, node: Json | undefined): Json | undefined {
  let found = node;
  while (found && typeof found['$ref'] === 'string') {
    let next: Json = document;
    for (const part of found['$ref'].slice(2).split('/')) next = next[part] as Json;
    found = next;
  }
  return found;
}

function operationsOf(document: Json): Operation[] {
  return Object.entries(document['paths'] as Record<string, Json>)
    .filter(([path]) => path.startsWith('/api/') && !path.startsWith('/api/auth/'))
    .flatMap(([path, item]) =>
      ['get', 'post'].flatMap((method) => {
        const operation = item[method] as Json | undefined;
        if (!operation) return [];
        const parameters = [
          ...((item['parameters'] ?? []) as Json[]),
          ...((operation['parameters'] ?? []) as Json[]),
        ];
        return {
          method,
          path,
          parameters: parameters.flatMap((parameter) => resolve(document, parameter) ?? []),
          body: resolve(document, operation['requestBody'])?.['content']['application/json'].schema as
            Json | undefined,
          responses: operation['responses'] as Json,
          permission: operation['x-permission'] as keyof typeof PERMISSIONS | undefined,
        };
      }),
    );
}

function exchange(url: string, { method, path, headers, body }: Sent): Promise<Got> {
  const { hostname, port } = new URL(url);
  return new Promise((resolvePromise, reject) => {
    const request = httpRequest(
      { agent, hostname, port, method, path, headers: sendable(headers) },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () =>
          resolvePromise({
            status: response.statusCode ?? 0,
            type: response.headers['content-type'] ?? '',
            text: Buffer.concat(chunks).toString('utf8'),
          }),
        );
      },
    );
    request.on('error', (error: NodeJS.ErrnoException) => {
      // The server closed a kept connection just as it was taken again: nothing was read of the request.
      if (error.code === 'ECONNRESET' && request.reusedSocket)
        exchange(url, { method, path, headers, body }).then(resolvePromise, reject);
      else reject(error);
    });
    request.end(body);
  });
}

/** Node sends no header with a line break or another script in it: those are kept away from us by every client. */
const sendable = (headers: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).filter(([, value]) => /^[\t\x20-\x7e\x80-\xff]*$/.test(value)));
