/**
 * Calls the handlers of routes from within the server, for interfaces that offer the same operations in another form: the same permissions,
 * schemas, turns, idempotency and waits as over REST, because it is the same route. Must never be a way around any of them.
 * The alternative, a second set of handlers over the services, was two places in which to forget a rule.
 */
import type { z } from 'zod';
import type { Route } from '../../contract/route.ts';
import { present } from '../kernel/assert.ts';
import type { Principal } from '../kernel/principal.ts';
import { type Bind, type BindOptions, handleInTurn, never, type RequestOrigin } from './bind-route.ts';
import { parseWith } from './body.ts';
import type { Exchange, Handler } from './exchange.ts';
import type { RequestTurns } from './request-turns.ts';

type Input<S> = S extends z.ZodType ? z.input<S> : undefined;

/** The body of a successful answer. */
export type Said<R extends Route> = {
  [S in keyof R['responses']]: R['responses'][S] extends z.ZodType ? z.infer<R['responses'][S]> : never;
}[keyof R['responses']];

/** What is asked of a route, and by whom. */
export interface RouteCall<R extends Route> {
  readonly caller: Principal;
  readonly params?: Input<R['params']>;
  readonly query?: Input<R['query']>;
  readonly body?: Input<R['body']>;
  readonly waitSeconds?: number | null | undefined;
  readonly idempotencyKey?: string | null | undefined;
}

interface RouteCallsParts {
  readonly turns: RequestTurns;
  readonly authorise: (
    caller: Principal,
    operationId: string,
    params: Readonly<Record<string, string>>,
    from: RequestOrigin,
  ) => void;
}

interface Known {
  readonly handler: Handler<Route>;
  readonly options: Required<BindOptions>;
}

export class RouteCalls {
  /** As the given one, and remembers who answers. */
  readonly bind: Bind;
  readonly #parts: RouteCallsParts;
  readonly #known = new Map<string, Known>();

  constructor(bind: Bind, parts: RouteCallsParts) {
    this.#parts = parts;
    this.bind = (route, handler, options = {}) => {
      const { isGathered = never, isLasting = false } = options;
      const known = { handler: handler as Handler<Route>, options: { isGathered, isLasting } };
      this.#known.set(route.operationId, known);
      bind(route, handler, options);
    };
  }

  /**
   * Rejects with the problem that the route answers with.
   * @param carrier The request that carries the call: its connection, origin and trace are the call's.
   */
  async call<R extends Route>(
    route: R,
    carrier: Exchange,
    { caller, params = undefined, query = undefined, body = undefined, ...manner }: RouteCall<R>,
  ): Promise<{ readonly body: Said<R>; readonly headers: Readonly<Record<string, string>> }> {
    const { turns, authorise } = this.#parts;
    const { handler, options } = present(this.#known.get(route.operationId), 'what is called is bound');
    const { waitSeconds = null, idempotencyKey = null } = manner;
    const parsed = route.params ? parseWith(route.params, params ?? {}, 'input') : {};
    authorise(caller, route.operationId, parsed as Record<string, string>, carrier);
    const exchange = {
      ...carrier,
      route,
      caller,
      params: parsed,
      query: route.query ? parseWith(route.query, query ?? {}, 'input') : {},
      body: route.body ? parseWith(route.body, body ?? {}, 'input') : {},
      waitSeconds: route.isWaitable ? waitSeconds : null,
      idempotencyKey: route.isIdempotent ? idempotencyKey : null,
      origin: route.hasOrigin ? carrier.origin : null,
      eventStream: null,
      ifMatchVersion: null,
    } as Exchange;
    const isCounted = !options.isGathered(exchange);
    const place = isCounted ? turns.enter(caller, exchange.waitSeconds !== null) : null;
    try {
      const answer = await handleInTurn({ turns }, handler, exchange, options);
      // The handler is typed by the same route.
      return { body: answer.body as Said<R>, headers: answer.headers ?? {} };
    } finally {
      place?.leave();
    }
  }
}
