/** The server itself: `client.system`. Needs no credential, but for metrics where the server is not on loopback. */
import { LanekeeperError } from '../errors.ts';
import type { ReplyOf } from '../operation-types.ts';
import type { CallOptions, Transport } from '../transport.ts';

/** `unready`: one of the checks failed; each says which and why. */
export interface Readiness {
  readonly status: 'ready' | 'unready';
  readonly checks: ReplyOf<'readyz'>['checks'];
}

export class System {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** That the process runs, whatever its database does, and its version. */
  live(options?: CallOptions): Promise<ReplyOf<'livez'>> {
    return this.#transport.request('livez', {}, options);
  }

  /** Whether it can do its work (database, schema, not draining), as it is now: asked once, and an unready server is no error. */
  async ready(options?: CallOptions): Promise<Readiness> {
    const once = { ...options, retry: { attemptsMax: 1, ...options?.retry } };
    try {
      return await this.#transport.request('readyz', {}, once);
    } catch (error) {
      const answer = error instanceof LanekeeperError ? error.problem : {};
      if (answer['status'] !== 'unready') throw error;
      // The contract's 503: the same shape as its 200, which is no problem document.
      return answer as unknown as Readiness;
    }
  }

  /** In the text format of Prometheus. */
  metrics(options?: CallOptions): Promise<string> {
    return this.#transport.request('metrics', {}, options);
  }

  /** The OpenAPI 3.1 document of this very server. For people it is at `/docs`. */
  openapi(options?: CallOptions): Promise<ReplyOf<'openapiDocument'>> {
    return this.#transport.request('openapiDocument', {}, options);
  }

  /** The AsyncAPI 3 document of its sockets and streams. */
  asyncapi(options?: CallOptions): Promise<ReplyOf<'asyncapiDocument'>> {
    return this.#transport.request('asyncapiDocument', {}, options);
  }

  /** The public keys of claim tokens (JWKS): with them anybody can verify who holds a claim, without asking. */
  jwks(options?: CallOptions): Promise<ReplyOf<'jwks'>> {
    return this.#transport.request('jwks', {}, options);
  }
}
