/**
 * Spans of what this server does, for whoever has registered an OpenTelemetry SDK in its process (node --import). Without one nothing here is ever
 * called. A span is made when what it tells of is over, from what was written down: a run may begin on one server and end on another, and no span
 * has to survive either. Of work, the parent is the trace of the request that created the task.
 */
import {
  type Attributes,
  type Context,
  ProxyTracerProvider,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';

export interface RequestFacts {
  readonly operation: string;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly seconds: number;
  /** The request's own, as it came: not yet judged. */
  readonly traceparent: string | null;
}

interface WorkFacts {
  readonly board: string;
  readonly taskId: string;
  readonly runId: string;
  readonly lane: string;
  readonly worker: string;
  readonly attempt: number;
  readonly traceparent: string | null;
}

export interface ClaimFacts extends WorkFacts {
  /** RFC 3339. */
  readonly claimedAt: string;
  /** How long it had been ready. */
  readonly waitedSeconds: number;
}

export interface RunFacts extends WorkFacts {
  readonly startedAt: string;
  readonly endedAt: string;
  readonly outcome: string;
}

export interface DeliveryFacts {
  readonly board: string;
  readonly deliveryId: string;
  readonly kind: string;
  readonly platform: string;
  readonly mode: string;
  readonly status: 'acked' | 'dead';
  readonly attempt: number;
  readonly createdAt: string;
  readonly finishedAt: string;
  readonly traceparent: string | null;
}

export interface WatchFacts {
  readonly board: string;
  readonly seconds: number;
}

export type Tracing = ReturnType<typeof tracingWith>;

/** Ends by which nobody is worse off than before. */
const GOOD_OUTCOMES: readonly string[] = [
  'completed',
  'released',
  'blocked',
  'changes_requested',
  'reclaimed',
  'cancelled',
];
const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})/;

/** null: nobody has registered an SDK, and spans would go nowhere. */
export function createTracing(version: string): Tracing | null {
  const provider = trace.getTracerProvider();
  // Until an SDK is registered, the global provider is a stand-in without anybody behind it.
  if (provider instanceof ProxyTracerProvider && provider.getDelegateTracer('lanekeeper') === undefined)
    return null;
  return tracingWith(version);
}

function tracingWith(version: string) {
  const tracer = trace.getTracer('lanekeeper', version);
  const record = (
    name: string,
    about: {
      readonly kind: SpanKind;
      readonly from: Date;
      readonly to: Date;
      readonly parent: Context;
      readonly attributes: Attributes;
      readonly error?: string | undefined;
    },
  ): void => {
    const { kind, from, to, parent, attributes, error } = about;
    const span = tracer.startSpan(name, { kind, startTime: from, attributes }, parent);
    if (error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: error });
    span.end(to);
  };
  return {
    /** From its first byte to its answer; a long poll with its wait. */
    request({ operation, method, path, status, seconds, traceparent }: RequestFacts): void {
      record(operation, {
        kind: SpanKind.SERVER,
        ...untilNow(seconds),
        parent: contextOf(traceparent),
        attributes: {
          'http.request.method': method.toUpperCase(),
          'http.route': path,
          'http.response.status_code': status,
        },
        error: status >= 500 ? `HTTP ${status}` : undefined,
      });
    },
    /** From ready to claimed: what the queue cost. */
    claim(facts: ClaimFacts): void {
      const to = new Date(facts.claimedAt);
      record('lanekeeper.claim', {
        kind: SpanKind.PRODUCER,
        from: new Date(to.getTime() - facts.waitedSeconds * 1000),
        to,
        parent: contextOf(facts.traceparent),
        attributes: attributesOf(facts),
      });
    },
    /** From the claim to the end of it. */
    run(facts: RunFacts): void {
      const { startedAt, endedAt, outcome } = facts;
      record('lanekeeper.run', {
        kind: SpanKind.CONSUMER,
        from: new Date(startedAt),
        to: new Date(endedAt),
        parent: contextOf(facts.traceparent),
        attributes: { ...attributesOf(facts), 'lanekeeper.outcome': outcome },
        error: GOOD_OUTCOMES.includes(outcome) ? undefined : outcome,
      });
    },
    /** From the event to the ack, or to where nobody tries again. */
    delivery(facts: DeliveryFacts): void {
      record('lanekeeper.delivery', {
        kind: SpanKind.PRODUCER,
        from: new Date(facts.createdAt),
        to: new Date(facts.finishedAt),
        parent: contextOf(facts.traceparent),
        attributes: {
          'lanekeeper.board': facts.board,
          'lanekeeper.delivery': facts.deliveryId,
          'lanekeeper.event': facts.kind,
          'lanekeeper.platform': facts.platform,
          'lanekeeper.mode': facts.mode,
          'lanekeeper.attempt': facts.attempt,
        },
        error: facts.status === 'dead' ? 'dead' : undefined,
      });
    },
    /** A socket from its upgrade to its close. */
    watch({ board, seconds }: WatchFacts): void {
      record('lanekeeper.watch', {
        kind: SpanKind.SERVER,
        ...untilNow(seconds),
        parent: ROOT_CONTEXT,
        attributes: { 'lanekeeper.board': board },
      });
    },
  };
}

function untilNow(seconds: number): { readonly from: Date; readonly to: Date } {
  const to = new Date();
  return { from: new Date(to.getTime() - seconds * 1000), to };
}

function attributesOf({ board, taskId, runId, lane, worker, attempt }: WorkFacts): Attributes {
  return {
    'lanekeeper.board': board,
    'lanekeeper.task': taskId,
    'lanekeeper.run': runId,
    'lanekeeper.lane': lane,
    'lanekeeper.worker': worker,
    'lanekeeper.attempt': attempt,
  };
}

/** A W3C traceparent as the parent of a span; without a good one the span begins a trace of its own. */
function contextOf(traceparent: string | null): Context {
  const [, traceId, spanId, flags] = TRACEPARENT.exec(traceparent ?? '') ?? [];
  if (traceId === undefined || spanId === undefined) return ROOT_CONTEXT;
  const traceFlags = Number.parseInt(flags ?? '00', 16);
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags, isRemote: true });
}
