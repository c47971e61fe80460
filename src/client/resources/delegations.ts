/** Delegations of a board: `client.delegations`. */
import type { BodyOf, OperationId, QueryOf, ReplyOf } from '../operation-types.ts';
import type { BoardCallOptions } from './resource.ts';
import { followPages, Resource } from './resource.ts';

type Options = BoardCallOptions | undefined;
type Reply<Id extends OperationId> = Promise<ReplyOf<Id>>;

export class Delegations extends Resource {
  /**
   * Hands work over and answers at once with a handle. `delegation_capacity`: as many of its key are running as may; nothing was made.
   * Repeated with an Idempotency-Key when an answer is lost, so that it is made once.
   */
  create(body: BodyOf<'createDelegation'>, options?: Options): Reply<'createDelegation'> {
    const params = { board: this.boardOf(options) };
    return this.transport.request('createDelegation', { params, body }, options);
  }

  /** One page, newest first, without results. */
  list(query: QueryOf<'listDelegations'> = {}, options?: Options): Reply<'listDelegations'> {
    const params = { board: this.boardOf(options) };
    return this.transport.request('listDelegations', { params, query }, options);
  }

  pages(
    query: QueryOf<'listDelegations'> = {},
    options?: Options,
  ): AsyncGenerator<ReplyOf<'listDelegations'>> {
    return followPages((page_token) => this.list({ ...query, page_token }, options));
  }

  /** With waitSeconds: once it is decided, or as it is when the wait is over. */
  get(delegation: string, options?: Options): Reply<'getDelegation'> {
    return this.transport.request('getDelegation', { params: this.#params(delegation, options) }, options);
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
