/**
 * One request and its answer as handlers see them: parsed, typed by the route's descriptor, free of the HTTP framework.
 */
import type { z } from 'zod';
import type { OriginBody } from '../../contract/origins.ts';
import type { Route } from '../../contract/route.ts';
import type { Principal } from '../kernel/principal.ts';
import type { AnswerStream } from './answer-stream.ts';

type Parsed<S> = S extends z.ZodType ? z.infer<S> : Record<string, never>;

export interface Exchange<R extends Route = Route> {
  readonly route: R;
  readonly params: Parsed<R['params']>;
  readonly query: Parsed<R['query']>;
  readonly body: Parsed<R['body']>;
  /** What the body had as it came over the wire; for those who bound what they hold. */
  readonly bodyBytes: number;
  /** The authenticated caller; absent only on open routes without a credential. */
  readonly caller: Principal | null;
  readonly requestId: string;
  readonly waitSeconds: number | null;
  /** Null unless the client asked for server-sent events of a route that has them. */
  readonly eventStream: EventStreamRequest | null;
  readonly idempotencyKey: string | null;
  /** The version named by If-Match, or null. */
  readonly ifMatchVersion: number | null;
  readonly traceparent: string | null;
  /** What Lanekeeper-Origin says, on the routes that hear it. */
  readonly origin: OriginBody | null;
  /** Of the client, as far as it is known: http/peers.ts. */
  readonly remoteAddress: string;
  /** The client is on this machine, and nothing says that it asks for somebody else. */
  isLocal(): boolean;
  /** The origin that pages of this server have for the client. */
  ownOrigin(): string | undefined;
  /** For routes whose protocol has headers of its own. Several lines of one are joined by commas. */
  header(name: string): string | undefined;
  /** Aborted when the client goes away or the server stops. */
  readonly signal: AbortSignal;
  /** False once the client has gone: nothing may be claimed for it any more. */
  isConnected(): boolean;
  /** Calls back when the answer could not be written out in full. */
  onUndelivered(callback: () => void): void;
}

/** `Accept: text/event-stream` */
export interface EventStreamRequest {
  /** What `Last-Event-ID` says. */
  readonly lastEventId: string | null;
  /** The credential: only to look at many of them at once. */
  readonly authorization: string | undefined;
  /** Rejects with unauthenticated or token_expired once the caller's credential no longer holds. */
  verify(): Promise<Principal>;
}

/** A JSON answer; `body: undefined` sends none. */
export interface Answer {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as it is, with this media type, instead of JSON. */
  readonly raw?: { readonly body: string | Uint8Array; readonly contentType: string };
  /** What the audit log tells beside what the answer says itself; not sent. */
  readonly audited?: {
    readonly board?: string | null;
    readonly subject?: string;
    readonly data?: Readonly<Record<string, unknown>>;
  };
  /**
   * Text without an end, instead of JSON. `begin` is called once in any case: when the client has gone, or only wanted the head, with a
   * stream that has closed, so that what stands ready for it can be let go in its onClose.
   */
  readonly stream?: { readonly contentType: string; begin(stream: AnswerStream): void };
}

export type Handler<R extends Route> = (exchange: Exchange<R>) => Promise<Answer> | Answer;
