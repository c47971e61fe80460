/** Who is told the outcome of tasks and delegations: `client.subscriptions`. */
import type { BodyOf, QueryOf, ReplyOf } from '../operation-types.ts';
import type { BoardCallOptions } from './resource.ts';
import { followPages, Resource } from './resource.ts';

export class Subscriptions extends Resource {
  /** Makes it, or changes what is given of the one that this target has. */
  put(body: BodyOf<'putSubscription'>, options?: BoardCallOptions): Promise<ReplyOf<'putSubscription'>> {
    const params = { board: this.boardOf(options) };
    return this.transport.request('putSubscription', { params, body }, options);
  }

  list(
    query: QueryOf<'listSubscriptions'> = {},
    options?: BoardCallOptions,
  ): Promise<ReplyOf<'listSubscriptions'>> {
    const params = { board: this.boardOf(options) };
    return this.transport.request('listSubscriptions', { params, query }, options);
  }

  pages(
    query: QueryOf<'listSubscriptions'> = {},
    options?: BoardCallOptions,
  ): AsyncGenerator<ReplyOf<'listSubscriptions'>> {
    return followPages((page_token) => this.list({ ...query, page_token }, options));
  }

  get(subscription: string, options?: BoardCallOptions): Promise<ReplyOf<'getSubscription'>> {
    const params = { board: this.boardOf(options), subscription };
    return this.transport.request('getSubscription', { params }, options);
  }

  /** What it has not delivered yet is dropped. */
  async delete(subscription: string, options?: BoardCallOptions): Promise<void> {
    const params = { board: this.boardOf(options), subscription };
    await this.transport.request('deleteSubscription', { params }, options);
  }
}
