import express, { type Request, type Response } from 'express';
import type { z } from 'zod';
import { DomainError } from '../kernel/errors.ts';
import type { Route } from './route.ts';

const BODY_LIMIT = '64kb';
const MAX_DEPTH = 12;
const parseJson = express.json({ limit: BODY_LIMIT, strict: true, type: () => true });

interface Issue {
  path: string;
  message: string;
}

const invalid = (issues: Issue[]): DomainError =>
  new DomainError(
    'VALIDATION_ERROR',
    `The request is not valid: ${issues
      .slice(0, 5)
      .map(({ path, message }) => `${path} ${message}`)
      .join('; ')}.`,
    { issues },
  );

/** Reads the JSON body of a mutation; none is `{}`. Throws UNSUPPORTED_MEDIA_TYPE, PAYLOAD_TOO_LARGE, VALIDATION_ERROR. */
export async function readBody(request: Request, response: Response): Promise<unknown> {
  const empty =
    request.headers['transfer-encoding'] === undefined &&
    Number(request.headers['content-length'] ?? 0) === 0;
  if (empty) return {};
  if (!/^application\/json\s*(;|$)/i.test(request.headers['content-type'] ?? '')) {
    throw new DomainError('UNSUPPORTED_MEDIA_TYPE', 'Send the body as application/json.');
  }
  await new Promise<void>((resolve, reject) => {
    parseJson(request, response, (error?: Error) => (error ? reject(error) : resolve()));
  });
  const body: unknown = request.body ?? {};
  const fault = hostileText(body, 'body', 0);
  if (fault) throw invalid([fault]);
  return body;
}

/** PostgreSQL takes no NUL and no half of a surrogate pair; nobody needs either, nor a key named __proto__. */
function hostileText(value: unknown, path: string, depth: number): Issue | undefined {
  if (depth > MAX_DEPTH) return { path, message: 'is nested too deeply' };
  if (typeof value === 'string') {
    return value.includes('\0') || !value.isWellFormed()
      ? { path, message: 'contains characters that cannot be stored' }
      : undefined;
  }
  if (value === null || typeof value !== 'object') return undefined;
  for (const [key, item] of Object.entries(value)) {
    const at = Array.isArray(value) ? `${path}.${key}` : `${path}.${key.slice(0, 60)}`;
    if (key === '__proto__') return { path: at, message: 'is not known' };
    const fault = hostileText(key, at, depth) ?? hostileText(item, at, depth + 1);
    if (fault) return fault;
  }
  return undefined;
}

/** Validates all three parts at once, so that every fault is told in one answer. Throws VALIDATION_ERROR. */
export async function readInput(
  route: Route,
  request: Request,
  body: unknown,
): Promise<{ params: unknown; query: unknown; body: unknown }> {
  const [params, query, parsedBody] = await Promise.all([
    route.params.safeParseAsync(request.params),
    route.query.safeParseAsync({ ...request.query }),
    route.body.safeParseAsync(body),
  ]);
  const issues = [...issuesOf('path', params), ...issuesOf('query', query), ...issuesOf('body', parsedBody)];
  if (issues.length > 0) throw invalid(issues);
  return { params: params.data, query: query.data, body: parsedBody.data };
}

function issuesOf(part: string, result: z.ZodSafeParseResult<unknown>): Issue[] {
  if (result.success) return [];
  return result.error.issues.flatMap((issue) => {
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({
        path: [part, ...issue.path, key.slice(0, 60)].join('.'),
        message: 'is not known',
      }));
    }
    return [
      { path: [part, ...issue.path].join('.'), message: issue.message.replace(/^Invalid input: /, '') },
    ];
  });
}
