/** OpenTelemetry behind the seam of kernel/tracing.ts. Loaded only where OTEL_EXPORTER_OTLP_ENDPOINT is set. */
import {
  context,
  propagation,
  ROOT_CONTEXT,
  SpanKind as Kind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import { traceWith, type Span, type SpanKind, type Tracer } from './kernel/tracing.ts';

const KINDS: Record<SpanKind, Kind> = {
  internal: Kind.INTERNAL,
  server: Kind.SERVER,
  client: Kind.CLIENT,
  producer: Kind.PRODUCER,
  consumer: Kind.CONSUMER,
};
/** A collector that is away must not hold up the stop. */
const FLUSH_LIMIT_MS = 1000;

/** Sends spans to `<endpoint>/v1/traces` in batches. Returns what sends the last of them and ends it. */
export function startTracing(endpoint: string, version: string): () => Promise<void> {
  const exporter = new OTLPTraceExporter({
    url: `${endpoint.replace(/\/$/, '')}/v1/traces`,
    timeoutMillis: FLUSH_LIMIT_MS,
  });
  const provider = new NodeTracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'payout-service', 'service.version': version }),
    spanProcessors: [new BatchSpanProcessor(exporter, { exportTimeoutMillis: FLUSH_LIMIT_MS })],
  });
  provider.register();
  traceWith(openTelemetry(provider.getTracer('payout-service', version)));
  return async () => {
    traceWith(undefined);
    await provider.shutdown().catch(() => undefined);
    trace.disable();
    context.disable();
    propagation.disable();
  };
}

const openTelemetry = (tracer: ReturnType<NodeTracerProvider['getTracer']>): Tracer => ({
  begin: (name, kind, facts) => spanOf(tracer.startSpan(name, { kind: KINDS[kind], attributes: facts })),
  within({ name, kind, facts, parent }, work) {
    const above =
      parent === undefined
        ? context.active()
        : propagation.extract(ROOT_CONTEXT, { traceparent: parent }, undefined);
    const span = tracer.startSpan(name, { kind: KINDS[kind], attributes: facts }, above);
    return context.with(trace.setSpan(above, span), () => work(spanOf(span)));
  },
  traceId: () => trace.getActiveSpan()?.spanContext().traceId,
  traceparent() {
    const carrier: Record<string, string> = {};
    propagation.inject(context.active(), carrier);
    return carrier['traceparent'];
  },
});

const spanOf = (span: ReturnType<ReturnType<NodeTracerProvider['getTracer']>['startSpan']>): Span => ({
  end({ facts, error, name } = {}) {
    if (name !== undefined) span.updateName(name);
    if (facts) span.setAttributes(facts);
    if (error !== undefined) {
      // Never its message: a driver's can hold the parameters of a query.
      span.setAttribute('error.type', error instanceof Error ? error.name : typeof error);
      span.setStatus({ code: SpanStatusCode.ERROR });
    }
    span.end();
  },
});
