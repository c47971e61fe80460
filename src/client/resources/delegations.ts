/** Delegations of a board: `client.delegations`. */
import { waitLong } from '../long-wait.ts';
import type { BodyOf, OperationId, QueryOf, ReplyOf } from '../operation-types.ts';
import { type Listing, listByToken } from './listing.ts';
import type { BoardCallOptions } from './resource.ts';
import { Resource } from './resource.ts';

type Options = BoardCallOptions | undefined;
type DelegationPage = ReplyOf<'listDelegations'>;
type Reply<Id extends OperationId> = Promise<ReplyOf<Id>>;

/** Long enough for a coffee, short enough that a forgotten wait ends by itself. */
export const COLLECT_SECONDS_DEFAULT = 600;

export interface CollectOptions extends Omit<BoardCallOptions, 'waitSeconds'> {
  /** Default 600. 0: as it is. */
  readonly timeoutSeconds?: number | undefined;
}

export class Delegations extends Resource {
  /**
   * Hands work over and answers at once with a handle. `delegation_capacity`: as many of its key are running as may; nothing was made.
   * Repeated with an Idempotency-Key when an answer is lost, so that it is made once.
   */
  create(body: BodyOf<'createDelegation'>, options?: Options): Reply<'createDelegation'> {
    const params = { board: this.boardOf(options) };
    return this.transport.request('createDelegation', { params, body }, options);
  }

  /** Newest first, without results: ask for the one. */
  list(
    query: QueryOf<'listDelegations'> = {},
    options?: Options,
  ): Listing<DelegationPage, DelegationPage['delegations'][number]> {
    const params = { board: this.boardOf(options) };
    return listByToken(
      query,
      (paged) => this.transport.request('listDelegations', { params, query: paged }, options),
      (page) => page.delegations,
    );
  }

  /** With waitSeconds: once it is decided, or as it is when the wait is over. */
  get(delegation: string, options?: Options): Reply<'getDelegation'> {
    return this.transport.request('getDelegation', { params: this.#params(delegation, options) }, options);
  }

  /**
   * Waits until it is decided, for at most `timeoutSeconds`, and answers with its results; what is still `running` then goes on, and may be
   * collected later. A server that goes away meanwhile is waited for as well.
   */
  collect(delegation: string, options: CollectOptions = {}): Reply<'getDelegation'> {
    const { timeoutSeconds = COLLECT_SECONDS_DEFAULT, ...call } = options;
    const { timing } = this.transport;
    return waitLong(timing, {
      ask: (poll) => this.get(delegation, { ...call, ...poll }),
      isOver: (reply) => reply.delegation.status !== 'running',
      endsAtMs: timing.now() + timeoutSeconds * 1000,
      signal: call.signal,
    });
  }

  /** Told to its children that have not ended, or to one of them. */
  steer(delegation: string, body: BodyOf<'steerDelegation'>, options?: Options): Reply<'steerDelegation'> {
    const params = this.#params(delegation, options);
    return this.transport.request('steerDelegation', { params, body }, options);
  }

  /** It comes back at once, with what there is by then. */
  cancel(delegation: string, reason?: string, options?: Options): Reply<'cancelDelegation'> {
    const body = reason === undefined ? {} : { reason };
    const params = this.#params(delegation, options);
    return this.transport.request('cancelDelegation', { params, body }, options);
  }

  /** All that run for an origin session. */
  cancelSession(body: BodyOf<'cancelDelegations'>, options?: Options): Reply<'cancelDelegations'> {
    const params = { board: this.boardOf(options) };
    return this.transport.request('cancelDelegations', { params, body }, options);
  }

  #params(delegation: string, options: Options): { board: string; delegation: string } {
    return { board: this.boardOf(options), delegation };
  }
}
