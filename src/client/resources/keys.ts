/** API keys: `client.keys`. Secrets appear once, in the answer that creates them. All of it takes an admin key. */
import type { BodyOf, QueryOf, ReplyOf } from '../operation-types.ts';
import type { CallOptions, Transport } from '../transport.ts';
import { type Listing, listByToken } from './listing.ts';

type KeyPage = ReplyOf<'listKeys'>;

export class Keys {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** `secret` is missing when a lost answer had to be asked for again: revoke the key and create another. */
  create(body: BodyOf<'createKey'>, options?: CallOptions): Promise<ReplyOf<'createKey'>> {
    return this.#transport.request('createKey', { body }, options);
  }

  /** Oldest first, those within the boards of the caller, without their secrets. */
  list(query: QueryOf<'listKeys'> = {}, options?: CallOptions): Listing<KeyPage, KeyPage['keys'][number]> {
    return listByToken(
      query,
      (paged) => this.#transport.request('listKeys', { query: paged }, options),
      (page) => page.keys,
    );
  }

  /** By its id (`key_…`): refused by every server within a second, and the sockets that it opened are closed. */
  async revoke(key: string, options?: CallOptions): Promise<void> {
    await this.#transport.request('deleteKey', { params: { key } }, options);
  }

  /** Publishes a new signing key for claim tokens; it signs from `signs_at` on, when verifiers have had time to fetch it. */
  rotateSigningKey(options?: CallOptions): Promise<ReplyOf<'rotateSigningKey'>> {
    return this.#transport.request('rotateSigningKey', {}, options);
  }
}
