/** A subscription service that keeps its contract, and of whose calls some fail, time out, or are answered twice. */
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

const MOODS = [
  'fails before',
  'fails after',
  'mute before',
  'mute after',
  'done twice',
  'answers twice',
] as const;
type Mood = (typeof MOODS)[number];

export class MoodyService {
  /** How often each member's membership was really ended. */
  readonly ended = new Map<string, number>();
  /** The keys with which it was asked, by member. */
  readonly keys = new Map<string, Set<string>>();
  readonly moods = new Map<Mood, number>(MOODS.map((mood) => [mood, 0]));
  calls = 0;
  readonly #share: number;
  readonly #end: (userId: string) => Promise<void>;
  readonly #done = new Set<string>();
  readonly #server: Server;

  private constructor(share: number, end: (userId: string) => Promise<void>) {
    this.#share = share;
    this.#end = end;
    this.#server = createServer((request, response) => {
      const userId = decodeURIComponent(
        /^\/memberships\/([^/]+)\/cancel$/.exec(request.url ?? '')?.[1] ?? '',
      );
      const key = String(request.headers['idempotency-key']);
      request.resume().on('end', () => void this.#answer(userId, key, response));
    });
  }

  /** `share` of the calls meet one of its moods; `end` does to the shared tables what the main app does. */
  static async start(share: number, end: (userId: string) => Promise<void>): Promise<MoodyService> {
    const service = new MoodyService(share, end);
    await new Promise<void>((up) => service.#server.listen(0, '127.0.0.1', up));
    return service;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #answer(userId: string, key: string, response: ServerResponse): Promise<void> {
    this.calls += 1;
    this.keys.set(userId, (this.keys.get(userId) ?? new Set()).add(key));
    const mood = Math.random() < this.#share ? MOODS[Math.floor(Math.random() * MOODS.length)] : undefined;
    if (mood) this.moods.set(mood, (this.moods.get(mood) ?? 0) + 1);
    if (mood === 'mute before') return;
    if (mood === 'fails before') return void response.writeHead(500).end();
    if (mood === 'done twice') await Promise.all([this.#once(userId, key), this.#once(userId, key)]);
    else await this.#once(userId, key);
    if (mood === 'mute after') return;
    if (mood === 'answers twice') response.socket?.write('HTTP/1.1 204 No Content\r\n\r\n');
    response.writeHead(mood === 'fails after' ? 503 : 204).end();
  }

  /** By the key, as the contract has it. */
  async #once(userId: string, key: string): Promise<void> {
    if (this.#done.has(key)) return;
    this.#done.add(key);
    this.ended.set(userId, (this.ended.get(userId) ?? 0) + 1);
    await this.#end(userId);
  }
}
