import { request as httpRequest } from 'node:http';

export interface Answer<T = any> {
  status: number;
  headers: Headers;
  body: T;
}

/** Someone who calls the service over HTTP; without a token, a stranger. */
export class Caller {
  readonly #url: string;
  readonly #token: string | undefined;
  readonly email: string;
  readonly userId: string;
  /** For staff: the number that approvals record. */
  readonly adminId: number;

  constructor(url: string, who: { token?: string; email?: string; userId?: string; adminId?: number } = {}) {
    this.#url = url;
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
    const answer = await fetch(`${this.#url}${path}`, { headers: this.#headers() });
    return {
      status: answer.status,
      content: Buffer.from(await answer.arrayBuffer()),
      headers: answer.headers,
    };
  }

  /** Sends exactly these headers and bytes. */
  raw(
    method: string,
    path: string,
    headers: Record<string, string>,
    body?: string | Buffer,
  ): Promise<Answer> {
    const { hostname, port } = new URL(this.#url);
    return new Promise((resolve, reject) => {
      const request = httpRequest(
        { hostname, port, method, path, headers: { ...this.#headers(), ...headers } },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString('utf8');
            const answerHeaders = new Headers(
              Object.entries(response.headers).map(
                ([name, value]) => [name, String(value)] as [string, string],
              ),
            );
            resolve({ status: response.statusCode ?? 0, headers: answerHeaders, body: parsed(text) });
          });
        },
      );
      request.on('error', reject);
      request.end(body);
    });
  }

  #headers(): Record<string, string> {
    return this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` };
  }

  async #call(method: string, path: string, body: unknown, headers: Record<string, string>): Promise<Answer> {
    const answer = await fetch(`${this.#url}${path}`, {
      method,
      redirect: 'manual',
      headers: {
        ...this.#headers(),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: answer.status, headers: answer.headers, body: parsed(await answer.text()) };
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
