import type { Readable } from 'node:stream';
import { z } from 'zod';
import type { CallerActor } from '../kernel/actor.ts';
import type { ErrorCode } from '../kernel/errors.ts';
import type { Permission } from '../kernel/permissions.ts';

/** A file in the answer instead of JSON. */
export class Download {
  readonly contentType: string;
  readonly fileName: string;
  readonly content: Buffer | Readable;

  constructor(contentType: string, fileName: string, content: Buffer | Readable) {
    this.contentType = contentType;
    this.fileName = fileName;
    this.content = content;
  }
}

/** What a refused request was about, for the audit log. */
export interface RouteSubject {
  entityType: 'payout' | 'tax_form';
  entityId: string;
}

interface Input<P extends z.ZodObject, Q extends z.ZodObject, B extends z.ZodObject> {
  actor: CallerActor;
  params: z.output<P>;
  query: z.output<Q>;
  body: z.output<B>;
}

/**
 * A route as a value. The router, the permission check, the validation of what comes in and goes out, and the OpenAPI
 * document all read this same object.
 */
export interface RouteDefinition<
  P extends z.ZodObject,
  Q extends z.ZodObject,
  B extends z.ZodObject,
  R extends z.ZodType,
> {
  method: 'get' | 'post';
  /** As OpenAPI and Express 5 both can be given it, with `:name` for parameters. */
  path: string;
  tag: string;
  summary: string;
  description?: string;
  needs: Permission;
  params?: P;
  query?: Q;
  body?: B;
  /** The JSON answer; what the handler returns is checked against it before it leaves. */
  reply?: R;
  /** Media types of a file that the route may answer with, such as `application/pdf`. */
  files?: readonly string[];
  status?: 200 | 201;
  /** Refusals beyond those that every route may give. */
  errors?: readonly ErrorCode[];
  /** Examples for the document; a test holds them against the schemas. */
  example?: { body?: z.input<B>; reply?: z.input<R> };
  /** What to name in the audit entry of a refusal. */
  subject?: (params: Record<string, string>) => RouteSubject;
  /**
   * How an Idempotency-Key is honoured: in the effect's own transaction unless said; `recorded` for work of many
   * transactions; `never` where the answer shows a number that must not be stored.
   */
  idempotency?: 'recorded' | 'never';
  /** The key is kept for ever. */
  keepsKey?: true;
  /** A tighter rate limit than the caller's own (specification, section 11). */
  limit?: 'approvals';
  /** It moves money or shows numbers: the session must have been signed in within STEP_UP_MINUTES. */
  stepUp?: true;
  handle(input: Input<P, Q, B>): Promise<z.input<R> | Download>;
}

const nothing = z.strictObject({});
type Nothing = typeof nothing;

/** Declares a route; the types of the handler follow from its schemas. Bodies and queries must be strict objects. */
export function route<
  R extends z.ZodType,
  P extends z.ZodObject = Nothing,
  Q extends z.ZodObject = Nothing,
  B extends z.ZodObject = Nothing,
>(definition: RouteDefinition<P, Q, B, R>): Route {
  return {
    ...definition,
    params: definition.params ?? nothing,
    query: definition.query ?? nothing,
    body: definition.body ?? nothing,
  } as unknown as Route;
}

/** A route with its types forgotten, as the router and the OpenAPI document take it. */
export interface Route
  extends
    Required<
      Pick<RouteDefinition<z.ZodObject, z.ZodObject, z.ZodObject, z.ZodType>, 'params' | 'query' | 'body'>
    >,
    Omit<
      RouteDefinition<z.ZodObject, z.ZodObject, z.ZodObject, z.ZodType>,
      'params' | 'query' | 'body' | 'handle'
    > {
  handle(input: { actor: CallerActor; params: unknown; query: unknown; body: unknown }): Promise<unknown>;
}

export const isMutation = (route: Pick<Route, 'method'>): boolean => route.method !== 'get';
