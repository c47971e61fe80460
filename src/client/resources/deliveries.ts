/** Outcomes on their way back, for gateways: `client.deliveries`. */
import type { BodyOf, QueryOf, ReplyOf } from '../operation-types.ts';
import type { CallOptions } from '../transport.ts';
import type { BoardCallOptions } from './resource.ts';
import { followPages, Resource } from './resource.ts';

export class Deliveries extends Resource {
  /**
   * Takes what is to be sent; with waitSeconds, as soon as there is something. Each is acked or nacked, or given out again when its lease
   * ends. A lost answer is asked for again under the same Idempotency-Key.
   */
  claim(
    body: BodyOf<'claimDeliveries'> = {},
    options?: BoardCallOptions,
  ): Promise<ReplyOf<'claimDeliveries'>> {
    const params = { board: this.boardOf(options) };
    return this.transport.request('claimDeliveries', { params, body }, options);
  }

  ack(delivery: string, body: BodyOf<'ackDelivery'>, options?: CallOptions): Promise<ReplyOf<'ackDelivery'>> {
    return this.transport.request('ackDelivery', { params: { delivery }, body }, options);
  }

  nack(
    delivery: string,
    body: BodyOf<'nackDelivery'>,
    options?: CallOptions,
  ): Promise<ReplyOf<'nackDelivery'>> {
    return this.transport.request('nackDelivery', { params: { delivery }, body }, options);
  }

  list(
    query: QueryOf<'listDeliveries'> = {},
    options?: BoardCallOptions,
  ): Promise<ReplyOf<'listDeliveries'>> {
    const params = { board: this.boardOf(options) };
    return this.transport.request('listDeliveries', { params, query }, options);
  }

  pages(
    query: QueryOf<'listDeliveries'> = {},
    options?: BoardCallOptions,
  ): AsyncGenerator<ReplyOf<'listDeliveries'>> {
    return followPages((page_token) => this.list({ ...query, page_token }, options));
  }

  /** A dead one, or one that pauses, now. */
  retry(delivery: string, options?: CallOptions): Promise<ReplyOf<'retryDelivery'>> {
    return this.transport.request('retryDelivery', { params: { delivery }, body: {} }, options);
  }

  /** What an origin session was told, oldest first. */
  sessionMessages(
    session: string,
    query: QueryOf<'listSessionMessages'> = {},
    options?: BoardCallOptions,
  ): Promise<ReplyOf<'listSessionMessages'>> {
    const params = { board: this.boardOf(options), session };
    return this.transport.request('listSessionMessages', { params, query }, options);
  }
}
