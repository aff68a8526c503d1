import express, { type Request, type Response } from 'express';
import type { z } from 'zod';
import { DomainError } from '../kernel/errors.ts';
import type { Route } from './route.ts';
import { JsonFault, parseStrictJson } from './strict-json-rules.ts';

const BODY_LIMIT = '64kb';
const readBytes = express.raw({ limit: BODY_LIMIT, type: () => true });
const utf8 = new TextDecoder('utf-8', { fatal: true });

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
  const { headers } = request;
  const empty = headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0;
  const type = headers['content-type'];
  // Without saying its origin a page of another site can send a form alone, and a form always has a type of its own.
  if (empty && (type === undefined || isJson(type) || headers.cookie === undefined)) return {};
  if (!isJson(type ?? '')) {
    throw new DomainError('UNSUPPORTED_MEDIA_TYPE', 'Send the body as application/json, in UTF-8.');
  }
  await new Promise<void>((resolve, reject) => {
    readBytes(request, response, (error?: Error) => (error ? reject(error) : resolve()));
  });
  const body: unknown = request.body;
  return Buffer.isBuffer(body) && body.length > 0 ? parsed(body) : {};
}

const isJson = (type: string): boolean =>
  /^application\/json\s*(;\s*charset\s*=\s*"?utf-8"?\s*)?;?\s*$/i.test(type);

function parsed(body: Buffer): unknown {
  try {
    return parseStrictJson(utf8.decode(body));
  } catch (error) {
    if (error instanceof JsonFault) throw invalid([{ path: error.path, message: error.message }]);
    throw invalid([{ path: 'body', message: 'is not valid UTF-8' }]);
  }
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
        path: [part, ...issue.path, withoutNumbers(key.slice(0, 60))].join('.'),
        message: 'is not known',
      }));
    }
    return [
      { path: [part, ...issue.path].join('.'), message: issue.message.replace(/^Invalid input: /, '') },
    ];
  });
}

/** The name of a field comes from the caller and goes into the log of refusals: it may be a number put in the wrong place. */
const withoutNumbers = (name: string): string => name.replace(/\d(?:[\s._-]?\d){3,}/g, '…');
