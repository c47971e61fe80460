/**
 * Binds a route's descriptor to its handler: authenticates, authorises, parses, calls, answers. Everything a handler could get
 * wrong about HTTP is decided here, once.
 */
import type { IncomingMessage } from 'node:http';
import { HEADERS } from '../../contract/constants.ts';
import type { Route } from '../../contract/route.ts';
import type { Principal } from '../kernel/principal.ts';
import { ProblemError } from '../kernel/problem-error.ts';
import type { App, Call } from './app.ts';
import { parseWith, readJsonBody } from './body.ts';
import { BodyRoom, type HeldBody } from './body-room.ts';
import type { Answer, EventStreamRequest, Exchange, Handler } from './exchange.ts';
import { asProblem, problemAnswer } from './on-error.ts';
import { onceClosed } from './once-closed.ts';
import type { Peers } from './peers.ts';
import {
  parseIdempotencyKey,
  parseIfMatch,
  parseOrigin,
  parseTraceparent,
  parseWaitSeconds,
  prefersEventStream,
  requestIdOf,
} from './request-headers.ts';
import { queryOf, storableParams } from './request-parameters.ts';
import type { RequestPlace, RequestTurns } from './request-turns.ts';
import { writeAnswer } from './write-answer.ts';

/** Where a request comes from, for those who are told of it. */
export type RequestOrigin = Pick<Exchange, 'remoteAddress' | 'requestId'>;

export interface Gate {
  /** The caller behind an Authorization header; rejects with unauthenticated or token_expired. */
  authenticate(authorization: string | undefined, remoteAddress: string): Promise<Principal>;
  /** Whom a key was for when it was last looked up here, within an hour; null: it was not. For when it cannot be looked up. */
  lastKnown(authorization: string | undefined): Principal | null;
  /** The same for a credential that was good a moment ago: a refusal is no sign of guessing. */
  verify(authorization: string | undefined): Promise<Principal>;
  /** Calls back when the credential of a request that waits no longer holds; returns the way to leave. */
  watchOver(authorization: string | undefined, refuse: (problem: ProblemError) => void): () => void;
  /** Rejects when the caller may not call this route for these path parameters. */
  authorise(
    caller: Principal,
    operationId: string,
    params: Readonly<Record<string, string>>,
    from: RequestOrigin,
  ): void;
  /** Rejects when the caller has used up its share. Returns headers that tell it how much is left. */
  limit(caller: Principal): Promise<Readonly<Record<string, string>>>;
}

export interface RouteObserver {
  /** @param traceparent Of the request, as it came. */
  observe(route: Route, status: number, seconds: number, traceparent: string | undefined): void;
  onProblem(problem: ProblemError, fields: { readonly requestId: string; readonly route: string }): void;
}

interface Binder {
  readonly app: App;
  readonly gate: Gate;
  readonly turns: RequestTurns;
  readonly observer: RouteObserver;
  readonly peers: Peers;
  /** Aborted with the problem that newcomers are told when the server begins to stop. */
  readonly signal: AbortSignal;
}

export type Bind = <R extends Route>(route: R, handler: Handler<R>, options?: BindOptions) => void;

export interface BindOptions {
  /**
   * Whether what this request asks for is gathered with others of its kind, in a queue of their own. All else that changes something has
   * a transaction of its own, and waits for its turn. Default: never.
   */
  readonly isGathered?: (request: Pick<Exchange, 'caller' | 'idempotencyKey'>) => boolean;
  /** It may take as long as a long poll, whatever it prefers: it ends with its client and its credential, and takes no turn. */
  readonly isLasting?: boolean;
}

export function createBind(binder: Binder): Bind {
  const room = new BodyRoom();
  return (route, handler, { isGathered = never, isLasting = false } = {}) => {
    binder.app.on(route.method.toUpperCase(), route.path, async (call) => {
      const startedAt = performance.now();
      const requestId = requestIdOf(call.incoming);
      const arrival = { call, requestId, held: room.begin(), isGathered, isLasting, place: null };
      const answer = await respond(binder, route, handler as Handler<Route>, arrival);
      const seconds = (performance.now() - startedAt) / 1000;
      binder.observer.observe(route, answer.status, seconds, headerOf(call.incoming, HEADERS.traceparent));
      writeAnswer(call.outgoing, requestId, answer);
    });
  };
}

interface Arrival {
  readonly call: Call;
  readonly requestId: string;
  readonly held: HeldBody;
  readonly isGathered: NonNullable<BindOptions['isGathered']>;
  readonly isLasting: boolean;
  /** Among the requests of its caller; null: it needs none. */
  place: RequestPlace | null;
}

export const never = (): boolean => false;

async function respond(
  binder: Binder,
  route: Route,
  handler: Handler<Route>,
  arrival: Arrival,
): Promise<Answer> {
  const { requestId } = arrival;
  const { outgoing } = arrival.call;
  const leave = (): void => {
    arrival.place?.leave();
    arrival.held.end();
  };
  let isGoingOn = false;
  try {
    // Health answers to the very end; everything else is told to come back, to another server.
    if (binder.signal.aborted && route.access !== 'open') throw binder.signal.reason;
    const { exchange, headers, watched } = await admit(binder, route, arrival);
    let answer: Answer;
    try {
      answer = await handleInTurn(binder, handler, exchange, arrival);
    } catch (error) {
      watched.leave();
      throw error;
    }
    // A stream goes on, and its credential is watched as long; that of a request that lasts is the request, with all that it may hold.
    const isStream = answer.stream !== undefined && !outgoing.destroyed;
    if (isStream) onceClosed(outgoing, watched.leave);
    else watched.leave();
    isGoingOn = isStream && arrival.isLasting;
    if (watched.refusal !== null) throw watched.refusal;
    const { waitSeconds } = exchange;
    const applied = waitSeconds === null ? {} : { [HEADERS.preferenceApplied]: `wait=${waitSeconds}` };
    return { ...answer, headers: { ...headers, ...applied, ...answer.headers } };
  } catch (error) {
    const problem = asProblem(error);
    binder.observer.onProblem(problem, { requestId, route: route.operationId });
    return problemAnswer(problem, requestId);
  } finally {
    if (isGoingOn) onceClosed(outgoing, leave);
    else leave();
  }
}

/** Reads are short, or have turns of their own (db/broad-reads.ts); who waits would keep a turn for as long. */
export function handleInTurn(
  { turns }: Pick<Binder, 'turns'>,
  handler: Handler<Route>,
  exchange: Exchange,
  { isGathered, isLasting }: Pick<Arrival, 'isGathered' | 'isLasting'>,
): Promise<Answer> | Answer {
  const { caller, route, waitSeconds } = exchange;
  const isTakingTurns = route.method !== 'get' && waitSeconds === null && caller !== null && !isLasting;
  if (!isTakingTurns || isGathered(exchange)) return handler(exchange);
  return turns.run(caller, () => handler(exchange));
}

/** Figures are wanted most while the database is away, where no key can be looked up. */
async function authenticate(
  gate: Gate,
  { operationId }: Route,
  authorization: string | undefined,
  remoteAddress: string,
): Promise<Principal> {
  try {
    return await gate.authenticate(authorization, remoteAddress);
  } catch (error) {
    const isRefused = error instanceof ProblemError && error.code !== 'database_unavailable';
    const known = operationId === 'metrics' && !isRefused ? gate.lastKnown(authorization) : null;
    if (known === null) throw error;
    return known;
  }
}

/** Who is calling comes first, then whether they may, and only then what they sent. */
async function admit(
  binder: Binder,
  route: Route,
  arrival: Arrival,
): Promise<{ exchange: Exchange; headers: Readonly<Record<string, string>>; watched: Watched }> {
  const { gate, turns, peers } = binder;
  const { call, requestId, held } = arrival;
  const { incoming } = call;
  const remoteAddress = peers.addressOf(incoming);
  const { authorization } = incoming.headers;
  // An open route hears who asks only where that can matter: health must not fail with the look-up of a credential.
  const isHeard =
    authorization !== undefined && route.problems.includes('unauthenticated') && !route.isCredentialInBody;
  const isAnonymous = route.access === 'open' && !isHeard;
  const caller = isAnonymous ? null : await authenticate(gate, route, authorization, remoteAddress);
  const headers = caller === null ? {} : await gate.limit(caller);
  const params = route.params ? parseWith(route.params, storableParams(call), 'path') : {};
  if (caller !== null)
    gate.authorise(caller, route.operationId, params as Record<string, string>, { remoteAddress, requestId });
  const eventStream = eventStreamOf(binder, route, incoming);
  const isWaiting = route.isWaitable && eventStream === null;
  const waitSeconds = isWaiting ? parseWaitSeconds(headerOf(incoming, HEADERS.prefer)) : null;
  const idempotencyKey = route.isIdempotent
    ? parseIdempotencyKey(headerOf(incoming, HEADERS.idempotencyKey))
    : null;
  if (!arrival.isGathered({ caller, idempotencyKey }))
    arrival.place = turns.enter(caller, waitSeconds !== null || arrival.isLasting);
  const watched: Watched = { refusal: null, leave: () => undefined };
  const exchange = {
    route,
    params,
    query: route.query ? parseWith(route.query, queryOf(call), 'query') : {},
    body: route.body ? parseWith(route.body, await readJsonBody(incoming, route, held), 'body') : {},
    bodyBytes: held.bytes,
    caller,
    requestId,
    waitSeconds,
    eventStream,
    idempotencyKey,
    ifMatchVersion: route.isConditional ? parseIfMatch(incoming.headers['if-match']) : null,
    traceparent: parseTraceparent(headerOf(incoming, HEADERS.traceparent)),
    origin: route.hasOrigin ? parseOrigin(headerOf(incoming, HEADERS.origin)) : null,
    remoteAddress,
    isLocal: () => peers.isLocal(incoming),
    ownOrigin: () => peers.ownOriginOf(incoming),
    header: (name: string) => headerOf(incoming, name),
    ...connectionOf(binder, call, waitSeconds !== null || arrival.isLasting, watched),
  };
  return { exchange: exchange as Exchange, headers, watched };
}

/** What becomes of the credential while the request waits. */
interface Watched {
  refusal: ProblemError | null;
  leave: () => void;
}

function eventStreamOf({ gate }: Binder, route: Route, incoming: IncomingMessage): EventStreamRequest | null {
  if (route.serverSentEvents === undefined || !prefersEventStream(incoming.headers.accept)) return null;
  const { authorization } = incoming.headers;
  return {
    // A client that has had no event yet may send it empty.
    lastEventId: headerOf(incoming, HEADERS.lastEventId) || null,
    authorization,
    verify: () => gate.verify(authorization),
  };
}

/** As one text: a header that is sent several times is a list, whichever lines it came in. */
function headerOf(incoming: IncomingMessage, name: string): string | undefined {
  const value = incoming.headers[name.toLowerCase()];
  return Array.isArray(value) ? value.join(', ') : value;
}

/** A signal that ends with the client or the server. Made only for requests that wait: the others end by themselves. */
function connectionOf(binder: Binder, call: Call, isWaiting: boolean, watched: Watched) {
  const { incoming, outgoing } = call;
  const isConnected = (): boolean =>
    !incoming.socket.destroyed && !outgoing.destroyed && watched.refusal === null;
  let signal = binder.signal;
  if (isWaiting) {
    const gone = new AbortController();
    const onGone = (): void =>
      gone.abort(new ProblemError('invalid_request', 'The client did not wait for the answer.'));
    if (incoming.socket.destroyed) onGone();
    else onceClosed(outgoing, onGone);
    watched.leave = binder.gate.watchOver(incoming.headers.authorization, (problem) => {
      watched.refusal = problem;
      gone.abort(problem);
    });
    signal = AbortSignal.any([binder.signal, gone.signal]);
  }
  return {
    signal,
    isConnected,
    onUndelivered: (callback: () => void) => {
      if (!isConnected()) callback();
      // A refusal was written instead.
      else onceClosed(outgoing, () => (outgoing.writableFinished && watched.refusal === null) || callback());
    },
  };
}
