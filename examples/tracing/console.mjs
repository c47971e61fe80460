// Prints the server's spans to its standard error. Loaded before the server itself:
//
//   NODE_OPTIONS="--import ./examples/tracing/console.mjs" npm start
//
// For a collector, put an OTLP exporter (@opentelemetry/exporter-trace-otlp-http) in the place of the one below.
import {
  BatchSpanProcessor,
  NodeTracerProvider,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-node';

/** One line a span, as a person reads it. @type {import('@opentelemetry/sdk-trace-node').SpanExporter} */
const lines = {
  export(spans, done) {
    for (const span of spans) {
      const [seconds, nanoseconds] = span.duration;
      const ms = (seconds * 1e3 + nanoseconds / 1e6).toFixed(1).padStart(9);
      const about = Object.entries(span.attributes).map(([name, value]) => `${name}=${value}`);
      process.stderr.write(`${span.spanContext().traceId} ${ms} ms  ${span.name}  ${about.join(' ')}\n`);
    }
    done({ code: 0 });
  },
  shutdown: async () => undefined,
};

const provider = new NodeTracerProvider({
  // What a caller decided holds; of what nobody decided, all.
  sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(1) }),
  spanProcessors: [new BatchSpanProcessor(lines, { scheduledDelayMillis: 500 })],
});
provider.register();

// What has not been written yet is written before the process ends.
process.once('beforeExit', () => void provider.shutdown());
