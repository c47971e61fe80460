/**
 * For which runs one socket may speak. A token in the frame proves it as it does over HTTP. Without one the socket is the proof: the run
 * was pushed to it, or its row names a worker that this socket said hello as, which is how a worker goes on after a reconnect.
 * Says who speaks, never whether the claim still holds: that is the row's, in the statement of the verb.
 */
import type { Claim } from '../../../../contract/claims.ts';
import type { RunFrame } from '../../../../contract/frames.ts';
import { boardIdOf, formatId, parseId, type Uuid } from '../../../kernel/ids.ts';
import type { ClaimPrincipal } from '../../../kernel/principal.ts';
import { ProblemError } from '../../../kernel/problem-error.ts';
import type { ClaimTokens } from '../../auth/service.ts';
import type { WorkerPort } from '../../watch/service.ts';
import type { RunHolder } from '../store/run.ts';

/** The row of a run, looked up for a socket that does not know it. */
export type FindRun = (runId: Uuid) => Promise<RunHolder | null>;

interface HeldRunsParts {
  readonly port: WorkerPort;
  readonly tokens: ClaimTokens;
  readonly findRun: FindRun;
  /** As whom this socket said hello for the lane. */
  readonly workerOf: (lane: string) => string | null;
}

/**
 * Runs remembered per socket, at some 0.3 KiB each: a thousand new ones, and the thousand before them. Not a limit of what a worker may
 * hold: what falls out is looked up by its row.
 */
const REMEMBERED_RUNS = 1000;

export class HeldRuns {
  readonly #parts: HeldRunsParts;
  #newer = new Map<string, ClaimPrincipal>();
  #older = new Map<string, ClaimPrincipal>();

  constructor(parts: HeldRunsParts) {
    this.#parts = parts;
  }

  remember(claim: ClaimPrincipal): void {
    if (this.#newer.size >= REMEMBERED_RUNS) {
      this.#older = this.#newer;
      this.#newer = new Map();
    }
    this.#newer.set(claim.runId, claim);
  }

  /** Its end was answered. Should it be sent again, the row knows it. */
  forget(runId: string): void {
    if (!this.#newer.delete(runId)) this.#older.delete(runId);
  }

  /** As whom a frame speaks, or not_your_claim. */
  async speakerOf({ run_id: runId, token }: Pick<RunFrame, 'run_id' | 'token'>): Promise<ClaimPrincipal> {
    const { port, tokens } = this.#parts;
    if (token) {
      const claim = await tokens.verify(token);
      if (claim.runId === runId && claim.board === port.board.name) return claim;
      throw notYourClaim(runId);
    }
    // The socket was opened with a claim token: it speaks for that run.
    if (port.caller.kind === 'claim' && port.caller.runId === runId) return port.caller;
    return this.#newer.get(runId) ?? this.#older.get(runId) ?? this.#lookUp(runId);
  }

  async #lookUp(runId: string): Promise<ClaimPrincipal> {
    const { port, findRun, workerOf } = this.#parts;
    const id = parseId('run', runId);
    const isHere = id !== null && boardIdOf(id) === port.board.id && port.caller.kind === 'key';
    const row = isHere ? await findRun(id) : null;
    if (row?.lane == null || row.worker === null || workerOf(row.lane) !== row.worker)
      throw notYourClaim(runId);
    const { lane, worker, attempt } = row;
    const task = { id: formatId('task', row.task_id) };
    const claim = socketClaim(port.board.name, { run_id: runId, task, lane, worker, attempt });
    this.remember(claim);
    return claim;
  }
}

/** A holder that is known by its socket: there is no token that could expire or be renewed. */
export function socketClaim(
  board: string,
  { run_id: runId, task, lane, worker, attempt }: SpokenFor,
): ClaimPrincipal {
  const taskId = task.id;
  const life = { issuedAtSeconds: 0, expiresAtSeconds: Number.POSITIVE_INFINITY };
  return { kind: 'claim', runId, taskId, board, lane, worker, attempt, scope: [], ...life };
}

type SpokenFor = Pick<Claim, 'run_id' | 'lane' | 'worker' | 'attempt'> & {
  readonly task: Pick<Claim['task'], 'id'>;
};

function notYourClaim(runId: string): ProblemError {
  return new ProblemError(
    'not_your_claim',
    `This socket may not speak for ${runId}: say hello as its worker, or send the token of the claim.`,
  );
}
