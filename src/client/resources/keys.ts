/**
 * API keys: `client.keys`. Secrets appear once, in the answer that creates them. All of it takes an admin key, but for signing in, which
 * takes a code and nothing else, and signing out.
 */
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

  /** A link to the dashboard that signs one person in, once and within 10 minutes. `role` defaults to admin, `boards` to your own. */
  createSignInCode(
    body: BodyOf<'createSignInCode'> = {},
    options?: CallOptions,
  ): Promise<ReplyOf<'createSignInCode'>> {
    return this.#transport.request('createSignInCode', { body }, options);
  }

  /**
   * Exchanges the code of such a link for a key that lives for 12 hours at most; the client needs no token for it. Throws LanekeeperError
   * `unauthenticated` for a code that is wrong, used or expired; after a lost answer it may be used: it is never sent twice.
   */
  signIn(code: string, options?: CallOptions): Promise<ReplyOf<'signIn'>> {
    return this.#transport.request('signIn', { body: { code } }, options);
  }

  /** Revokes the key of this client, when a sign-in made it; throws LanekeeperError `forbidden` for any other. */
  async signOut(options?: CallOptions): Promise<void> {
    await this.#transport.request('signOut', {}, options);
  }
}
