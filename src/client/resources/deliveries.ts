/** Outcomes on their way back, for gateways: `client.deliveries`. */
import type { BodyOf, QueryOf, ReplyOf } from '../operation-types.ts';
import type { CallOptions } from '../transport.ts';
import { type Listing, listByToken } from './listing.ts';
import type { BoardCallOptions } from './resource.ts';
import { Resource } from './resource.ts';

type DeliveryPage = ReplyOf<'listDeliveries'>;
type SessionPage = ReplyOf<'listSessionMessages'>;

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

  /** It was sent: its text is now a message of its session. `lease_lost`: the lease was over, somebody else has it or has sent it. */
  ack(delivery: string, body: BodyOf<'ackDelivery'>, options?: CallOptions): Promise<ReplyOf<'ackDelivery'>> {
    return this.transport.request('ackDelivery', { params: { delivery }, body }, options);
  }

  /**
   * It could not be sent: again after 5 to 300 s, at most 12 times in a row; dead at once with `permanent`; with `defer_seconds` the session is
   * only busy. Not repeated by itself when its answer is lost: the lease ends by itself.
   */
  nack(
    delivery: string,
    body: BodyOf<'nackDelivery'>,
    options?: CallOptions,
  ): Promise<ReplyOf<'nackDelivery'>> {
    return this.transport.request('nackDelivery', { params: { delivery }, body }, options);
  }

  /** Newest first, as operators see them: what was sent, waits, failed or is dead. */
  list(
    query: QueryOf<'listDeliveries'> = {},
    options?: BoardCallOptions,
  ): Listing<DeliveryPage, DeliveryPage['deliveries'][number]> {
    const params = { board: this.boardOf(options) };
    return listByToken(
      query,
      (paged) => this.transport.request('listDeliveries', { params, query: paged }, options),
      (page) => page.deliveries,
    );
  }

  /** Sends a dead one, or one that pauses, now. `illegal_transition`: it is neither. */
  retry(delivery: string, options?: CallOptions): Promise<ReplyOf<'retryDelivery'>> {
    return this.transport.request('retryDelivery', { params: { delivery }, body: {} }, options);
  }

  /** What an origin session was told, oldest first. */
  sessionMessages(
    session: string,
    query: QueryOf<'listSessionMessages'> = {},
    options?: BoardCallOptions,
  ): Listing<SessionPage, SessionPage['messages'][number]> {
    const params = { board: this.boardOf(options), session };
    return listByToken(
      query,
      (paged) => this.transport.request('listSessionMessages', { params, query: paged }, options),
      (page) => page.messages,
    );
  }
}
