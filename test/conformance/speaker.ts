/**
 * How the conformance cases talk to a server. They say what they want by operation of the contract; whether that becomes plain HTTP, held
 * against the contract byte for byte, or a method of the SDK, is the speaker's. So every case runs both ways.
 */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll } from 'vitest';
import type { ArgumentsOf, BodyOf, OperationId, ReplyOf } from '../../src/client/operation-types.ts';
import type { Claim } from '../../src/contract/claims.ts';
import type { Event } from '../../src/contract/events.ts';
import type { ProblemBody } from '../../src/contract/problems.ts';
import type { Task } from '../../src/contract/tasks.ts';
import { only } from '../fixtures/eventually.ts';

export interface SpeakOptions {
  /** Default: the admin key of the target. null: none. */
  readonly token?: string | null;
  readonly waitSeconds?: number;
  readonly idempotencyKey?: string;
  readonly ifVersion?: number;
}

export interface FollowQuery {
  readonly after?: string;
  readonly tasks?: readonly string[];
  readonly kinds?: readonly string[];
}

export interface Speaker {
  /** Rejects with a Refusal when the server answers with a problem. */
  call<Id extends OperationId>(id: Id, args: ArgumentsOf<Id>, options?: SpeakOptions): Promise<ReplyOf<Id>>;
  /** Follows the log of a board without an end, in each way that there is; ended by `return()` of the iterator. */
  readonly ways: readonly {
    readonly name: string;
    follow(board: string, query: FollowQuery): AsyncIterableIterator<Event>;
  }[];
}

/** The server said no. */
export class Refusal extends Error {
  readonly code: string;
  readonly status: number;
  readonly problem: Partial<ProblemBody>;

  constructor(status: number, problem: Partial<ProblemBody>) {
    super(`${status} ${problem.code}: ${problem.detail}`);
    this.code = problem.code ?? '';
    this.status = status;
    this.problem = problem;
  }
}

/** The refusal that a call must meet. */
export async function refusalOf(call: Promise<unknown>): Promise<Refusal> {
  try {
    await call;
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
  throw new Error('the server said yes');
}

export async function codeOf(call: Promise<unknown>): Promise<string> {
  return (await refusalOf(call)).code;
}

/** A board of one speaker's own, and the few sentences that most cases begin with. */
export class World {
  readonly speaker: Speaker;
  readonly board: string;

  constructor(speaker: Speaker, board: string) {
    this.speaker = speaker;
    this.board = board;
  }

  get call(): Speaker['call'] {
    return this.speaker.call;
  }

  /** Parameters of a path on the board. */
  on<P extends object>(rest: P): P & { readonly board: string } {
    return { board: this.board, ...rest };
  }

  get here(): { readonly board: string } {
    return { board: this.board };
  }

  async lane(lane: string, body: BodyOf<'putLane'> = {}): Promise<string> {
    await this.call('putLane', { params: this.on({ lane }), body });
    return lane;
  }

  async task(lane: string | null, body: Partial<BodyOf<'createTask'>> = {}): Promise<Task> {
    const args = { params: this.here, body: { title: 'a task', lane, ...body } };
    return (await this.call('createTask', args)).task;
  }

  async claims(
    lane: string,
    body: BodyOf<'claimTasks'> = {},
    options: SpeakOptions = {},
  ): Promise<ReplyOf<'claimTasks'>> {
    return this.call('claimTasks', { params: this.on({ lane }), body }, options);
  }

  /** The one claim that the lane gives, waiting for it: a retry may be due within the second. */
  async claim(lane: string, body: BodyOf<'claimTasks'> = {}): Promise<Claim> {
    return only((await this.claims(lane, body, { waitSeconds: 10 })).claims);
  }

  async read(task: string): Promise<Task> {
    return (await this.call('getTask', { params: this.on({ task }) })).task;
  }

  async cursor(): Promise<string> {
    return (await this.call('listEvents', { params: this.here, query: { after: 'now' } })).cursor;
  }
}

/** What the holder of a claim says: with its token. */
export function as(claim: Pick<Claim, 'run_id' | 'token'>): {
  readonly params: { readonly run: string };
  readonly token: { readonly token: string };
} {
  return { params: { run: claim.run_id }, token: { token: claim.token } };
}

/** Made before the cases of a speaker, and deleted behind them. */
export function useWorld(name: string, speakerOf: () => Speaker): World {
  const board = `conformance-${name}-${randomBytes(5).toString('hex')}`;
  const call: Speaker['call'] = (id, args, options) => speakerOf().call(id, args, options);
  const world = new World(
    {
      call,
      get ways() {
        return speakerOf().ways;
      },
    },
    board,
  );
  beforeAll(async () => {
    await call('putBoard', { params: { board }, body: {} });
  });
  afterAll(async () => {
    // A board is not deleted under those who work on it.
    await call('patchBoard', { params: { board }, body: { settings: { paused: true } } });
    const body = { action: 'reclaim', filter: { status: 'running' } } as const;
    const { operation } = await call('bulkTasks', { params: { board }, body });
    await call('getOperation', { params: { board, operation: operation.id } }, { waitSeconds: 20 });
    await call('deleteBoard', { params: { board } });
  });
  return world;
}
