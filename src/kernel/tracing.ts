/**
 * The seam to tracing. Nothing is traced, and nothing of OpenTelemetry loaded, until `traceWith` is given a tracer
 * (src/tracing.ts, when OTEL_EXPORTER_OTLP_ENDPOINT is set).
 */

export type SpanKind = 'internal' | 'server' | 'client' | 'producer' | 'consumer';
/** Names and numbers alone: never a parameter of a query, a body or an address. */
export type SpanFacts = Record<string, string | number | boolean>;

export interface Span {
  /** Facts that are known at the end only. `error` marks it as failed; its message is not kept. */
  end(outcome?: { facts?: SpanFacts; error?: unknown; name?: string }): void;
}

export interface Tracer {
  /** Begins a span below the one that is going on. */
  begin(name: string, kind: SpanKind, facts: SpanFacts): Span;
  /** Runs `work` as the span: what begins within is below it. `parent` is a `traceparent` header. */
  within<T>(
    span: { name: string; kind: SpanKind; facts: SpanFacts; parent?: string | undefined },
    work: (span: Span) => T,
  ): T;
  /** Of the span that is going on: 32 hexadecimal digits. */
  traceId(): string | undefined;
  /** The `traceparent` header for what we call. */
  traceparent(): string | undefined;
}

let tracer: Tracer | undefined;

export function traceWith(given: Tracer | undefined): void {
  tracer = given;
}

export const currentTracer = (): Tracer | undefined => tracer;

/** Runs `work` as a span, where there is tracing. */
export async function traced<T>(
  name: string,
  kind: SpanKind,
  facts: SpanFacts,
  work: () => Promise<T>,
): Promise<T> {
  if (!tracer) return work();
  return tracer.within({ name, kind, facts }, async (span) => {
    try {
      const result = await work();
      span.end();
      return result;
    } catch (error) {
      span.end({ error });
      throw error;
    }
  });
}
