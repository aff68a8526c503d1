import { request as httpRequest, type IncomingMessage } from 'node:http';

export interface Answer<T = any> {
  status: number;
  headers: Headers;
  body: T;
}

/** Someone who calls the service over HTTP; without a token, a stranger. */
export class Caller {
  readonly #address: { hostname: string; port: string };
  readonly #token: string | undefined;
  readonly email: string;
  readonly userId: string;
  /** For staff: the number that approvals record. */
  readonly adminId: number;

  constructor(url: string, who: { token?: string; email?: string; userId?: string; adminId?: number } = {}) {
    const { hostname, port } = new URL(url);
    this.#address = { hostname, port };
    this.#token = who.token;
    this.email = who.email ?? '';
    this.userId = who.userId ?? '';
    this.adminId = who.adminId ?? 0;
  }

  get token(): string {
    return this.#token ?? '';
  }

  get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    return this.#call('GET', path, undefined, headers);
  }

  post(path: string, body: unknown = {}, headers: Record<string, string> = {}): Promise<Answer> {
    return this.#call('POST', path, body, headers);
  }

  async pdf(path: string): Promise<{ status: number; content: Buffer; headers: Headers }> {
    return this.#exchange('GET', pathOf(path), {});
  }

  /** Sends exactly these headers and bytes. */
  async raw(
    method: string,
    path: string,
    headers: Record<string, string>,
    body?: string | Buffer,
  ): Promise<Answer> {
    return answerOf(await this.#exchange(method, path, headers, body));
  }

  #headers(): Record<string, string> {
    return this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` };
  }

  async #call(method: string, path: string, body: unknown, headers: Record<string, string>): Promise<Answer> {
    const type: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' };
    const text = body === undefined ? undefined : JSON.stringify(body);
    return answerOf(await this.#exchange(method, pathOf(path), { ...type, ...headers }, text));
  }

  /** By `node:http`, whose agent keeps connections: `fetch` takes more of the processor than what it asks for. */
  #exchange(
    method: string,
    path: string,
    headers: Record<string, string>,
    body?: string | Buffer,
  ): Promise<Exchange> {
    const { hostname, port } = this.#address;
    return new Promise((resolve, reject) => {
      const request = httpRequest(
        { hostname, port, method, path, headers: { ...this.#headers(), ...headers } },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => resolve(new Exchange(response, Buffer.concat(chunks))));
        },
      );
      request.on('error', reject);
      request.end(body);
    });
  }
}

class Exchange {
  readonly status: number;
  readonly content: Buffer;
  readonly #rawHeaders: string[];

  constructor(response: IncomingMessage, content: Buffer) {
    this.status = response.statusCode ?? 0;
    this.content = content;
    this.#rawHeaders = response.rawHeaders;
  }

  /** Made when they are asked for, which is seldom. */
  get headers(): Headers {
    const headers = new Headers();
    for (let index = 0; index < this.#rawHeaders.length; index += 2)
      headers.append(this.#rawHeaders[index] ?? '', this.#rawHeaders[index + 1] ?? '');
    return headers;
  }
}

const answerOf = (exchange: Exchange): Answer => ({
  status: exchange.status,
  body: parsed(exchange.content.toString('utf8')),
  get headers() {
    return exchange.headers;
  },
});

/** As a browser would send it: escaped, and without dots that lead upwards. */
function pathOf(path: string): string {
  const { pathname, search } = new URL(path, 'http://service');
  return `${pathname}${search}`;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
