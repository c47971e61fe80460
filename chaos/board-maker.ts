/** Makes a board with its lanes and keys, as an admin does before a run. */
import { type Body, call } from './workload/call.ts';
import type { LanePlan } from './workload/party-channel.ts';

export interface LaneWish extends Omit<LanePlan, 'key'> {
  /** Of all its workers at once. */
  readonly claimsMax?: number;
}

export class BoardMaker {
  readonly #url: string;
  readonly #adminKey: string;
  readonly #board: string;

  constructor(url: string, adminKey: string, board: string) {
    this.#url = url;
    this.#adminKey = adminKey;
    this.#board = board;
  }

  get path(): string {
    return `/v1/boards/${this.#board}`;
  }

  async make(settings: Body): Promise<void> {
    await this.#ask('PUT', this.path, { settings });
  }

  async lane({ claimsMax, ...wish }: LaneWish): Promise<LanePlan> {
    await this.#ask('PUT', `${this.path}/lanes/${wish.name}`, {
      claim_mode: wish.claimMode,
      lease_seconds: wish.leaseSeconds,
      ...(claimsMax === undefined ? {} : { max_concurrent_claims: claimsMax }),
    });
    const { secret } = await this.#ask('POST', `${this.path}/lanes/${wish.name}/keys`, { name: wish.name });
    return { ...wish, key: String(secret) };
  }

  /** For this board alone. */
  async key(role: 'orchestrator' | 'observer'): Promise<string> {
    const { secret } = await this.#ask('POST', '/v1/keys', { role, name: role, boards: [this.#board] });
    return String(secret);
  }

  async #ask(method: 'PUT' | 'POST', path: string, body: Body): Promise<Body> {
    const answer = await call({ url: this.#url, method, path, key: this.#adminKey, body });
    if (answer.ending !== 'ok') throw new Error(`${method} ${path}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  }
}
