import type { Request, Response } from 'express';
import { domainErrorFromDatabase } from '../db/errors.ts';
import { DomainError, type ErrorCode } from '../kernel/errors.ts';
import { ERROR_CATALOGUE } from './error-catalogue.ts';

/** The document's ErrorResponse. */
export interface ErrorReply {
  error: {
    code: ErrorCode;
    message: string;
    details: Record<string, unknown> & { docUrl: string };
    timestamp: string;
    requestId: string;
  };
}

/** What body-parser calls the faults of a body, and what we call them. */
const BODY_FAULTS: Record<string, [ErrorCode, string]> = {
  'entity.too.large': ['PAYLOAD_TOO_LARGE', 'The body is larger than 64 KiB.'],
  'entity.parse.failed': ['VALIDATION_ERROR', 'The body is not valid JSON.'],
  'charset.unsupported': ['UNSUPPORTED_MEDIA_TYPE', 'The body must be UTF-8.'],
  'encoding.unsupported': ['UNSUPPORTED_MEDIA_TYPE', 'The encoding of the body is not supported.'],
  'request.size.invalid': ['VALIDATION_ERROR', 'The body does not have the length that it says.'],
  'request.aborted': ['VALIDATION_ERROR', 'The request broke off.'],
};

/** Names any error that reaches the edge. What is unknown becomes INTERNAL and says nothing of itself. */
export function nameError(error: unknown): DomainError {
  const known = domainErrorFromDatabase(error);
  if (known instanceof DomainError) return known;
  if (error instanceof URIError)
    return new DomainError('VALIDATION_ERROR', 'The path is not properly encoded.');
  const { type, status } = (error ?? {}) as { type?: unknown; status?: unknown };
  const fault = typeof type === 'string' ? BODY_FAULTS[type] : undefined;
  if (fault) return new DomainError(fault[0], fault[1]);
  // Such as a body that says it is gzip and is not.
  if (status === 400) return new DomainError('VALIDATION_ERROR', 'The request cannot be read.');
  return new DomainError(
    'INTERNAL',
    'Something failed that should not. Report it with the requestId.',
    undefined,
    {
      cause: error,
    },
  );
}

/** For other methods of an address that only GET reads. Throws METHOD_NOT_ALLOWED. */
export function refuseAllButGet(_request: Request, response: Response): never {
  response.setHeader('Allow', 'GET, HEAD');
  throw new DomainError('METHOD_NOT_ALLOWED', 'Use GET or HEAD here.');
}

export const statusOf = (error: DomainError): number => ERROR_CATALOGUE[error.code].status;

export function errorReply(
  error: DomainError,
  context: { requestId: string; now: Date; publicUrl: string },
): ErrorReply {
  return {
    error: {
      code: error.code,
      message: error.message,
      details: { ...error.details, docUrl: `${context.publicUrl}/docs/errors#${error.code}` },
      timestamp: context.now.toISOString(),
      requestId: context.requestId,
    },
  };
}
