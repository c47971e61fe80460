/** Who is told the outcome of tasks and delegations: `client.subscriptions`. */
import type { BodyOf, QueryOf, ReplyOf } from '../operation-types.ts';
import { type Listing, listByToken } from './listing.ts';
import type { BoardCallOptions } from './resource.ts';
import { Resource } from './resource.ts';

type SubscriptionPage = ReplyOf<'listSubscriptions'>;

export class Subscriptions extends Resource {
  /**
   * Tells the target (platform, chat, thread) the outcome of a task or delegation; or changes what is given of the subscription that it has.
   * `webhook.secret` is in the answer once, where the server has made it.
   */
  put(body: BodyOf<'putSubscription'>, options?: BoardCallOptions): Promise<ReplyOf<'putSubscription'>> {
    const params = { board: this.boardOf(options) };
    return this.transport.request('putSubscription', { params, body }, options);
  }

  /** Newest first; of one task or delegation with `task_id` or `delegation_id`. */
  list(
    query: QueryOf<'listSubscriptions'> = {},
    options?: BoardCallOptions,
  ): Listing<SubscriptionPage, SubscriptionPage['subscriptions'][number]> {
    const params = { board: this.boardOf(options) };
    return listByToken(
      query,
      (paged) => this.transport.request('listSubscriptions', { params, query: paged }, options),
      (page) => page.subscriptions,
    );
  }

  /** By its id (`sub_…`), without the secret of its webhook. */
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
