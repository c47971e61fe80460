/**
 * How a route is described: plain data that the server binds, the client calls and the OpenAPI document is made of.
 * The alternative, `@hono/zod-openapi`, would make the contract import the HTTP framework (research: style 2.5).
 */
import type { z } from 'zod';
import type { ProblemCode } from './problems.ts';

export type HttpMethod = 'get' | 'post' | 'put' | 'patch' | 'delete';

/** Who may call a route at all; the finer rules stand in the server's permission table. */
export type Access = 'open' | 'authenticated';

export interface Route {
  readonly operationId: string;
  readonly method: HttpMethod;
  /** Parameters in braces, as in OpenAPI. */
  readonly path: string;
  readonly summary: string;
  readonly tag: string;
  readonly access: Access;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  /** What it is called with to prove something is in the body: `unauthenticated` speaks of that, and the Authorization header is not heard. */
  readonly isCredentialInBody?: true;
  /** A body that may be left out altogether is read as `{}`. */
  readonly isBodyOptional?: boolean;
  readonly bodyBytesMax?: number;
  /** `Prefer: wait=N` is honoured. */
  readonly isWaitable?: boolean;
  /** `Lanekeeper-Origin` is honoured. */
  readonly hasOrigin?: boolean;
  /** `Idempotency-Key` is honoured. */
  readonly isIdempotent?: boolean;
  /** `If-Match` is honoured. */
  readonly isConditional?: boolean;
  /** Status → schema of the body. null: no JSON body. */
  readonly responses: Readonly<Record<number, z.ZodType | null>>;
  /**
   * With `Accept: text/event-stream` the answer 200 is a stream of server-sent events instead, each with one of these as its data.
   * `Last-Event-ID` is honoured.
   */
  readonly serverSentEvents?: z.ZodType;
  /** Media type of the success body when it is not JSON. */
  readonly mediaType?: string;
  /** Problems of this route beyond the ones every route shares. */
  readonly problems: readonly ProblemCode[];
}

/** Keeps the literal types of a descriptor while checking its shape. */
export function defineRoute<const R extends Route>(route: R): R {
  return route;
}

/** Problems that any route may answer with. */
export const SHARED_PROBLEMS: readonly ProblemCode[] = [
  'invalid_request',
  'unauthenticated',
  'token_expired',
  'forbidden',
  'rate_limited',
  'internal',
  'database_unavailable',
  'draining',
];
