/** A client that never gives up: the same request with the same key, until there is an answer. */
import { setTimeout as sleep } from 'node:timers/promises';

export interface Request {
  path: string;
  token: string;
  key: string;
  body: Record<string, unknown>;
}

export interface Answer {
  status: number;
  text: string;
  replayed: boolean;
}

const PAUSE_MS = 40;
const LIMIT_MS = 60_000;
const REQUEST_LIMIT_MS = 20_000;

/** Undefined when the connection broke before the whole answer was there. */
async function ask(url: string, request: Request): Promise<Answer | undefined> {
  try {
    const answer = await fetch(`${url}${request.path}`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${request.token}`,
        'content-type': 'application/json',
        'idempotency-key': request.key,
      },
      body: JSON.stringify(request.body),
      signal: AbortSignal.timeout(REQUEST_LIMIT_MS),
    });
    const text = await answer.text();
    return { status: answer.status, text, replayed: answer.headers.get('idempotency-replayed') === 'true' };
  } catch {
    return undefined;
  }
}

/** "Not now" is no answer: another try runs still, or the database is away. */
const isFinal = ({ status, text }: Answer): boolean =>
  status < 500 && !(status === 409 && text.includes('IDEMPOTENCY_IN_PROGRESS'));

/** Asks until there is a final answer; undefined when the service has died. `turnedAway` hears of each that is not. */
export async function insist(
  url: string,
  request: Request,
  turnedAway: (answer: Answer) => void = () => undefined,
): Promise<Answer | undefined> {
  const deadline = Date.now() + LIMIT_MS;
  for (;;) {
    const answer = await ask(url, request);
    if (answer === undefined || isFinal(answer)) return answer;
    turnedAway(answer);
    if (Date.now() > deadline) throw new Error(`No answer to ${request.path} in a minute: ${answer.text}`);
    await sleep(PAUSE_MS);
  }
}
