/**
 * Binds a route's descriptor to its handler: authenticates, authorises, parses, calls, answers. Everything a handler could get
 * wrong about HTTP is decided here, once.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Context, Hono } from 'hono';
import { HEADERS, LIMITS } from '../../contract/constants.ts';
import type { Route } from '../../contract/route.ts';
import type { Principal } from '../kernel/principal.ts';
import { ProblemError } from '../kernel/problem-error.ts';
import { isStorable, parseWith, readJsonBody } from './body.ts';
import type { Answer, Exchange, Handler, NodeEnv } from './exchange.ts';
import { asProblem, problemBody } from './on-error.ts';
import {
  parseIdempotencyKey,
  parseIfMatch,
  parseRequestId,
  parseTraceparent,
  parseWaitSeconds,
} from './request-headers.ts';

export interface Gate {
  /** The caller behind an Authorization header; rejects with unauthenticated or token_expired. */
  authenticate(authorization: string | undefined, remoteAddress: string): Promise<Principal>;
  /** Rejects when the caller may not call this route for these path parameters. */
  authorise(caller: Principal, route: Route, params: Readonly<Record<string, string>>): void;
  /** Rejects when the caller has used up its share. Returns headers that tell it how much is left. */
  limit(caller: Principal): Promise<Readonly<Record<string, string>>>;
}

export interface RouteObserver {
  observe(route: Route, status: number, seconds: number): void;
  onProblem(problem: ProblemError, fields: { readonly requestId: string; readonly route: string }): void;
}

export interface Binder {
  readonly app: Hono<NodeEnv>;
  readonly gate: Gate;
  readonly observer: RouteObserver;
  readonly signal: AbortSignal;
}

export type Bind = <R extends Route>(route: R, handler: Handler<R>) => void;

export function createBind(binder: Binder): Bind {
  return (route, handler) => {
    const path = route.path.replaceAll(/\{(\w+)\}/g, ':$1');
    binder.app.on(route.method.toUpperCase(), path, async (context) => {
      const startedAt = performance.now();
      const requestId = parseRequestId(headerOf(context.env.incoming, HEADERS.requestId)) ?? randomUUID();
      const answer = await respond(binder, route, handler as Handler<Route>, context, requestId);
      binder.observer.observe(route, answer.status, (performance.now() - startedAt) / 1000);
      return write(context, requestId, answer);
    });
  };
}

async function respond(
  binder: Binder,
  route: Route,
  handler: Handler<Route>,
  context: Context<NodeEnv>,
  requestId: string,
): Promise<Answer> {
  try {
    // Health answers to the very end; everything else is told to come back, to another server.
    if (binder.signal.aborted && route.access !== 'open') throw draining();
    const { exchange, headers } = await admit(binder, route, context, requestId);
    const answer = await handler(exchange);
    const { waitSeconds } = exchange;
    const applied = waitSeconds === null ? {} : { [HEADERS.preferenceApplied]: `wait=${waitSeconds}` };
    return { ...answer, headers: { ...headers, ...applied, ...answer.headers } };
  } catch (error) {
    const problem = asProblem(error);
    binder.observer.onProblem(problem, { requestId, route: route.operationId });
    return {
      status: problem.status,
      headers: problem.headers,
      raw: { body: JSON.stringify(problemBody(problem, requestId)), contentType: 'application/problem+json' },
    };
  }
}

function draining(): ProblemError {
  return new ProblemError('draining', 'This server is shutting down; retry.', {
    headers: { 'Retry-After': '1', Connection: 'close' },
  });
}

/** Who is calling comes first, then whether they may, and only then what they sent. */
async function admit(
  binder: Binder,
  route: Route,
  context: Context<NodeEnv>,
  requestId: string,
): Promise<{ exchange: Exchange; headers: Readonly<Record<string, string>> }> {
  const { gate } = binder;
  const { incoming } = context.env;
  const remoteAddress = incoming.socket.remoteAddress ?? '';
  const { authorization } = incoming.headers;
  // An open route hears who asks only where that can matter: health must not fail with the look-up of a credential.
  const isHeard = authorization !== undefined && route.problems.includes('unauthenticated');
  const isAnonymous = route.access === 'open' && !isHeard;
  const caller = isAnonymous ? null : await gate.authenticate(authorization, remoteAddress);
  const headers = caller === null ? {} : await gate.limit(caller);
  const params = route.params ? parseWith(route.params, storableParams(context), 'path') : {};
  if (caller !== null) gate.authorise(caller, route, params as Record<string, string>);
  const waitSeconds = route.isWaitable ? parseWaitSeconds(headerOf(incoming, HEADERS.prefer)) : null;
  const exchange = {
    route,
    params,
    query: route.query ? parseWith(route.query, queryOf(context), 'query') : {},
    body: route.body ? parseWith(route.body, await readJsonBody(incoming, route), 'body') : {},
    caller,
    requestId,
    waitSeconds,
    idempotencyKey: route.isIdempotent
      ? parseIdempotencyKey(headerOf(incoming, HEADERS.idempotencyKey))
      : null,
    ifMatchVersion: route.isConditional ? parseIfMatch(incoming.headers['if-match']) : null,
    traceparent: parseTraceparent(headerOf(incoming, HEADERS.traceparent)),
    remoteAddress,
    ...connectionOf(binder, context, waitSeconds),
  };
  return { exchange: exchange as Exchange, headers };
}

/** Read from Node's request: asking the framework would build a Headers object for every request. */
function headerOf(incoming: IncomingMessage, name: string): string | undefined {
  const value = incoming.headers[name.toLowerCase()];
  return Array.isArray(value) ? value.join(', ') : value;
}

/** A signal that ends with the client or the server. Made only for requests that wait: the others end by themselves. */
function connectionOf(binder: Binder, context: Context<NodeEnv>, waitSeconds: number | null) {
  const { incoming, outgoing } = context.env;
  let signal = binder.signal;
  if (waitSeconds !== null) {
    const gone = new AbortController();
    outgoing.once('close', () => gone.abort());
    if (incoming.socket.destroyed) gone.abort();
    signal = AbortSignal.any([binder.signal, gone.signal]);
  }
  return {
    signal,
    isConnected: () => !incoming.socket.destroyed && !outgoing.destroyed,
    onUndelivered: (callback: () => void) => {
      if (outgoing.destroyed || incoming.socket.destroyed) callback();
      else outgoing.once('close', () => outgoing.writableFinished || callback());
    },
  };
}

function storableParams(context: Context<NodeEnv>): Record<string, string> {
  const params = context.req.param();
  for (const value of Object.values(params)) assertStorableParameter(value);
  return params;
}

function queryOf(context: Context<NodeEnv>): Record<string, string> {
  const query: Record<string, string> = {};
  for (const [name, values] of Object.entries(context.req.queries())) {
    const [value = ''] = values;
    if (values.length > 1)
      throw new ProblemError(
        'invalid_request',
        `The query parameter ${JSON.stringify(name)} is given twice.`,
      );
    assertStorableParameter(value);
    query[name] = value;
  }
  return query;
}

function assertStorableParameter(value: string): void {
  if (!isStorable(value))
    throw new ProblemError('invalid_request', 'A parameter holds characters that cannot be stored.');
}

function write(context: Context<NodeEnv>, requestId: string, answer: Answer): Response {
  const headers: Record<string, string> = {
    [HEADERS.requestId]: requestId,
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...answer.headers,
  };
  if (answer.raw)
    return context.body(answer.raw.body as string, answer.status as 200, {
      ...headers,
      'Content-Type': answer.raw.contentType,
    });
  if (answer.body === undefined) return context.body(null, answer.status as 204, headers);
  return context.body(JSON.stringify(answer.body), answer.status as 200, {
    ...headers,
    'Content-Type': 'application/json',
  });
}

/** What a list may return at once, from its query. */
export function pageRows(query: { readonly limit?: string | undefined }): number {
  return query.limit === undefined ? LIMITS.pageRowsDefault : Number(query.limit);
}
