/** A board with one lane and its key, and the calls that a lane's worker makes, each with the credential that it needs in earnest. */
import type { HttpConnection } from './http-connection.ts';
import type { ServerAccess } from './server-access.ts';

export interface HeldClaim {
  readonly run_id: string;
  readonly token: string;
}

export interface NewClaim extends HeldClaim {
  readonly task: { readonly id: string };
}

export interface BoardCounts {
  readonly ready: number;
  readonly running: number;
  readonly done: number;
}

export interface ClaimRequest {
  readonly worker: string;
  readonly max?: number;
  readonly headers?: string;
}

type OperationResult =
  | { readonly ok: true; readonly token?: string }
  | { readonly ok: false; readonly problem: { readonly code: string; readonly detail: string } };

/** What the API allows in one call. */
const TASKS_PER_BATCH = 1000;

export class BenchBoard {
  readonly name: string;
  readonly lane: string;
  readonly path: string;
  readonly laneKey: string;
  readonly #access: ServerAccess;
  readonly #claimsPath: string;

  private constructor(access: ServerAccess, name: string, lane: string, laneKey: string) {
    this.#access = access;
    this.name = name;
    this.lane = lane;
    this.laneKey = laneKey;
    this.path = `/v1/boards/${name}`;
    this.#claimsPath = `${this.path}/lanes/${lane}/claims`;
  }

  static async open(
    access: ServerAccess,
    name: string,
    lane: Readonly<Record<string, unknown>> = {},
  ): Promise<BenchBoard> {
    const board = `/v1/boards/${name}`;
    const path = `${board}/lanes/factory`;
    await access.callAsAdmin({ method: 'PUT', path: board, body: {} });
    await access.callAsAdmin({
      method: 'PUT',
      path,
      body: { kind: 'persistent', allowed_status_mutations: 'own-claimed-only', ...lane },
    });
    const key = await access.callAsAdmin<{ secret: string }>({
      method: 'POST',
      path: `${path}/keys`,
      body: { name: 'bench' },
    });
    return new BenchBoard(access, name, 'factory', key.secret);
  }

  async counts(): Promise<BoardCounts> {
    const answer = await this.#access.callAsAdmin<{ board: { counts: BoardCounts } }>({
      method: 'GET',
      path: this.path,
    });
    return answer.board.counts;
  }

  change(body: Readonly<Record<string, unknown>>): Promise<unknown> {
    return this.#access.callAsAdmin({ method: 'PATCH', path: this.path, body });
  }

  async fill(pieces: number): Promise<void> {
    for (let missing = pieces - (await this.counts()).ready; missing > 0; missing -= TASKS_PER_BATCH) {
      const tasks = Array.from({ length: Math.min(missing, TASKS_PER_BATCH) }, () => this.#task());
      await this.#access.callAsAdmin({ method: 'POST', path: `${this.path}/tasks/batch`, body: { tasks } });
    }
  }

  /** With the admin's key: orchestrators create tasks. */
  async create(connection: HttpConnection): Promise<void> {
    await connection.call({
      method: 'POST',
      path: `${this.path}/tasks`,
      token: this.#access.adminKey,
      body: this.#task(),
    });
  }

  createAsAdmin(): Promise<unknown> {
    return this.#access.callAsAdmin({ method: 'POST', path: `${this.path}/tasks`, body: this.#task() });
  }

  async claim(connection: HttpConnection, request: ClaimRequest): Promise<readonly NewClaim[]> {
    const { headers = '', ...body } = request;
    const { claims } = await connection.call<{ claims: readonly NewClaim[] }>({
      method: 'POST',
      path: this.#claimsPath,
      token: this.laneKey,
      headers,
      body,
    });
    return claims;
  }

  /** With the claim's own token. */
  async complete(connection: HttpConnection, { run_id, token }: HeldClaim): Promise<void> {
    await connection.call({ method: 'POST', path: `/v1/runs/${run_id}/complete`, token, body: {} });
  }

  /** With the claim's own token; the task is cancelled when a cancel was requested. */
  async release(connection: HttpConnection, { run_id, token }: HeldClaim): Promise<void> {
    await connection.call({ method: 'POST', path: `/v1/runs/${run_id}/release`, token, body: {} });
  }

  cancelAsAdmin(held: Pick<NewClaim, 'task'> | undefined): Promise<unknown> {
    if (held === undefined) throw new Error('nothing is held that could be cancelled');
    return this.#access.callAsAdmin({
      method: 'POST',
      path: `${this.path}/tasks/${held.task.id}/cancel`,
      body: {},
    });
  }

  /** As the lane, each operation with its claim's token; returns tokens that were renewed, by place. */
  async operate(
    connection: HttpConnection,
    op: 'complete' | 'heartbeat',
    claims: readonly HeldClaim[],
  ): Promise<readonly (string | undefined)[]> {
    const { results } = await connection.call<{ results: readonly OperationResult[] }>({
      method: 'POST',
      path: '/v1/runs/batch',
      token: this.laneKey,
      body: { operations: claims.map(({ token }) => ({ op, token })) },
    });
    if (results.length !== claims.length) throw new Error('a batch answers every operation');
    return results.map((result) => {
      if (!result.ok) throw new Error(`${op} of a batch: ${result.problem.code}, ${result.problem.detail}`);
      return result.token;
    });
  }

  #task() {
    return { title: 'a task', lane: this.lane };
  }
}
