/** Runs as their holders see them: heartbeats and ends, gathered per board, each checked against the row. */
import type { EndReply, HeartbeatReply, Run } from '../../../../contract/runs.ts';
import type { Outcome } from '../../../../contract/statuses.ts';
import { isConflict, isDatabaseAway, isStaleDecision } from '../../../db/failures.ts';
import { transaction, withinDeadline } from '../../../db/tx.ts';
import { Batcher, type Settled } from '../../../kernel/batcher.ts';
import { boardIdOf, parseId, type Uuid } from '../../../kernel/ids.ts';
import { ProblemError } from '../../../kernel/problem-error.ts';
import type { BoardRef } from '../../boards/service.ts';
import { taskOf } from '../../tasks/service.ts';
import { type CompletedRow, type Completion, completeRuns } from '../store/complete.ts';
import { findRuns, listTaskRuns } from '../store/run.ts';
import { runOf } from '../view.ts';
import { GatheredBeats, type GatheredBeatsParts } from './gathered-beats.ts';
import { endUnderLocks, firstOfEachRun, isPlainCompletion, portionsOf } from './run-ends.ts';
import type { RunBeat, RunEnd } from './run-operation.ts';

interface RunningParts extends GatheredBeatsParts {
  readonly onEnded: (outcome: Outcome) => void;
  /** What holders were told of their ends; null: nobody asks. */
  readonly onReplies: ((board: BoardRef, replies: readonly EndReply[]) => void) | null;
}

/** Ends in one statement: some 10 ms; heartbeats are lighter. */
const GATHERED_ENDS_MAX = 250;
const GATHERED_BEATS_MAX = 500;
const WAITING_MAX = 20_000;
/** An end may carry a megabyte; a statement of a few is parsed and written in some 100 ms, and the others wait for it. */
const BATCH_BYTES_MAX = 4 * 1024 * 1024;
/** Of ends, and again of heartbeats, of all boards: a backlog of seconds, or of 64 of the largest. */
const HELD_BYTES_MAX = 64 * 1024 * 1024;

export class Running {
  readonly #parts: RunningParts;
  readonly #ends: Batcher<BoardRef, RunEnd, EndReply>;
  readonly #beats: Batcher<BoardRef, RunBeat, HeartbeatReply>;

  constructor(parts: RunningParts) {
    this.#parts = parts;
    const bounds = {
      waitingMax: WAITING_MAX,
      batchBytesMax: BATCH_BYTES_MAX,
      heldBytesMax: HELD_BYTES_MAX,
      mayRunAlone: (error: unknown): boolean => !isDatabaseAway(error),
    };
    this.#ends = new Batcher({
      ...bounds,
      sizeMax: GATHERED_ENDS_MAX,
      fairBy: (end) => end.lane,
      run: (board, ends) => this.#endGathered(board, ends),
    });
    const gatheredBeats = new GatheredBeats(parts);
    this.#beats = new Batcher({
      ...bounds,
      sizeMax: GATHERED_BEATS_MAX,
      fairBy: (beat) => beat.claim.lane,
      run: (board, beats) => gatheredBeats.answer(board, beats),
    });
  }

  /** @param bytes What it took on the wire. */
  end(board: BoardRef, end: RunEnd, bytes = 0): Promise<EndReply> {
    return this.#ends.submit(board, end, { bytes });
  }

  /** @param bytes What it took on the wire. */
  heartbeat(board: BoardRef, beat: RunBeat, bytes = 0): Promise<HeartbeatReply> {
    return this.#beats.submit(board, beat, { bytes });
  }

  async drain(): Promise<void> {
    await Promise.all([this.#ends.drain(), this.#beats.drain()]);
  }

  async get(
    resolveBoard: (id: number) => Promise<BoardRef | null>,
    isVisible: (board: BoardRef) => boolean,
    runId: string,
  ): Promise<Run> {
    const id = parseId('run', runId);
    const board = id === null ? null : await resolveBoard(boardIdOf(id));
    const row =
      id === null || board === null || !isVisible(board)
        ? undefined
        : (await withinDeadline(findRuns(this.#parts.cold, board.id, [id]))).get(id);
    if (board === null || row === undefined) {
      throw new ProblemError('not_found', `There is no run ${JSON.stringify(runId)}.`, {
        extensions: { resource: 'run' },
      });
    }
    return runOf(board, row);
  }

  async listOfTask(board: BoardRef, taskId: Uuid, afterAttempt: number, rowsMax: number): Promise<Run[]> {
    return (
      await withinDeadline(listTaskRuns(this.#parts.cold, board.id, taskId, afterAttempt, rowsMax))
    ).map((row) => runOf(board, row));
  }

  /** Completions go first, all in one statement; what is left is decided one by one under its locks, a portion at a time. */
  async #endGathered(board: BoardRef, ends: readonly RunEnd[]): Promise<Settled<EndReply>[]> {
    const results = new Map<RunEnd, Settled<EndReply>>();
    const completions = firstOfEachRun(ends.filter(isPlainCompletion));
    if (completions.length > 0) await this.#complete(board, completions, results);
    const rest = ends.filter((end) => !results.has(end));
    if (rest.length > 0) {
      for (const portion of await portionsOf(this.#parts.hot, board, rest)) {
        const settled = await transaction(this.#parts.hot, (tx) => endUnderLocks(tx, board, portion));
        for (const [end, result] of settled) results.set(end, result);
      }
    }
    const replies = [...results.values()].flatMap((result) => (result.ok ? [result.value] : []));
    for (const { run } of replies) if (run.outcome) this.#parts.onEnded(run.outcome);
    if (replies.length > 0) {
      this.#parts.wake.ring(board.id);
      this.#parts.onReplies?.(board, replies);
    }
    return ends.map((end) => results.get(end) ?? { ok: false, error: new Error('an end was not answered') });
  }

  async #complete(
    board: BoardRef,
    completions: readonly RunEnd[],
    results: Map<RunEnd, Settled<EndReply>>,
  ): Promise<void> {
    const operations = completions.map((end) => ({
      ...end,
      actorId: end.actor.id,
      fingerprint: end.fingerprint ?? '',
    }));
    const rows = new Map((await this.#completeAtOnce(board, operations)).map((row) => [row.run.id, row]));
    for (const end of completions) {
      const row = rows.get(end.runId);
      if (row !== undefined)
        results.set(end, { ok: true, value: { task: taskOf(board, row), run: runOf(board, row.run) } });
    }
  }

  /** Rows that moved under the statement, or a deadlock, roll all of it back; then everything is decided under its locks, with retries. */
  async #completeAtOnce(board: BoardRef, completions: readonly Completion[]): Promise<CompletedRow[]> {
    try {
      return await withinDeadline(completeRuns(this.#parts.hot, board.id, completions));
    } catch (error) {
      if (isStaleDecision(error) || isConflict(error)) return [];
      throw error;
    }
  }
}
