/** API keys: `client.keys`. Secrets appear once, in the answer that creates them. */
import type { BodyOf, QueryOf, ReplyOf } from '../operation-types.ts';
import type { CallOptions, Transport } from '../transport.ts';
import { followPages } from './resource.ts';

export class Keys {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** `secret` is missing when a lost answer had to be asked for again: revoke the key and create another. */
  create(body: BodyOf<'createKey'>, options?: CallOptions): Promise<ReplyOf<'createKey'>> {
    return this.#transport.request('createKey', { body }, options);
  }

  list(query: QueryOf<'listKeys'> = {}, options?: CallOptions): Promise<ReplyOf<'listKeys'>> {
    return this.#transport.request('listKeys', { query }, options);
  }

  pages(query: QueryOf<'listKeys'> = {}, options?: CallOptions): AsyncGenerator<ReplyOf<'listKeys'>> {
    return followPages((page_token) => this.list({ ...query, page_token }, options));
  }

  async revoke(key: string, options?: CallOptions): Promise<void> {
    await this.#transport.request('deleteKey', { params: { key } }, options);
  }

  /** Publishes a new signing key for claim tokens. */
  rotateSigningKey(options?: CallOptions): Promise<ReplyOf<'rotateSigningKey'>> {
    return this.#transport.request('rotateSigningKey', {}, options);
  }
}
