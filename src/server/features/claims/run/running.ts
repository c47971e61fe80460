/** Runs as their holders see them: heartbeats and ends, gathered per board, each checked against the row. */
import { LIMITS } from '../../../../contract/constants.ts';
import type { EndReply, HeartbeatBody, HeartbeatReply, Run } from '../../../../contract/runs.ts';
import type { Outcome } from '../../../../contract/statuses.ts';
import type { Sql, Tx } from '../../../db/client.ts';
import { appendEvents, type NewEvent } from '../../../db/event-log.ts';
import { isConflict, isDatabaseAway, isStaleDecision } from '../../../db/failures.ts';
import { retriedStatement, transaction, withinDeadline } from '../../../db/tx.ts';
import type { Wake } from '../../../db/wake.ts';
import { Batcher, type Settled } from '../../../kernel/batcher.ts';
import { boardIdOf, parseId, type Uuid } from '../../../kernel/ids.ts';
import { ProblemError } from '../../../kernel/problem-error.ts';
import type { ClaimTokens } from '../../auth/service.ts';
import type { BoardRef } from '../../boards/service.ts';
import type { PresenceTracker } from '../../lanes/service.ts';
import { type ToldRow, taskOf } from '../../tasks/service.ts';
import type { Inbox } from '../steering/inbox.ts';
import { type CompletedRow, type Completion, completeRuns } from '../store/complete.ts';
import {
  type Beat,
  type BeatRow,
  extendLeases,
  findOverfull,
  type LoggedBeat,
  type RecordedBeat,
  recordBeats,
} from '../store/heartbeat.ts';
import { findRunEnds, findRuns, listTaskRuns, type RunRow } from '../store/run.ts';
import { runOf, toldMessageOf } from '../view.ts';
import { type JoinedBeats, roundsOf } from './beat-rounds.ts';
import { claimLost } from './claim-lost.ts';
import { endUnderLocks, firstOfEachRun, isPlainCompletion, portionsOf } from './run-ends.ts';
import { actorOfHold, type RunBeat, type RunEnd } from './run-operation.ts';

interface RunningParts {
  readonly hot: Sql;
  readonly cold: Sql;
  readonly wake: Wake;
  readonly tokens: ClaimTokens;
  readonly presence: PresenceTracker;
  readonly inbox: Inbox;
  readonly onEnded: (outcome: Outcome) => void;
  /** What holders were told of their ends; null: nobody asks. */
  readonly onReplies: ((board: BoardRef, replies: readonly EndReply[]) => void) | null;
  readonly onBeats: (count: number) => void;
}

/** Ends in one statement: some 10 ms; heartbeats are lighter. */
const GATHERED_ENDS_MAX = 250;
const GATHERED_BEATS_MAX = 500;
const WAITING_MAX = 20_000;
/** An end may carry a megabyte; a statement of a few is parsed and written in some 100 ms, and the others wait for it. */
const BATCH_BYTES_MAX = 4 * 1024 * 1024;
/** Of ends, and again of heartbeats, of all boards: a backlog of seconds, or of 64 of the largest. */
const HELD_BYTES_MAX = 64 * 1024 * 1024;

type BeatResults = Map<RunBeat, Settled<HeartbeatReply>>;

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
    this.#beats = new Batcher({
      ...bounds,
      sizeMax: GATHERED_BEATS_MAX,
      fairBy: (beat) => beat.claim.lane,
      run: (board, beats) => this.#beatGathered(board, beats),
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

  /** One joined heartbeat of each run at a time, so that what a second one carries is kept as well. */
  async #beatGathered(board: BoardRef, beats: readonly RunBeat[]): Promise<Settled<HeartbeatReply>[]> {
    const results: BeatResults = new Map();
    const { rounds, refused } = roundsOf(beats);
    for (const beat of refused) results.set(beat, { ok: false, error: tooManyBeats() });
    const told = new Set<Uuid>();
    for (const round of rounds) {
      for (const joined of await this.#findOverfull(board, round)) {
        if (joined.carrier !== null) results.set(joined.carrier, { ok: false, error: tooMuchMetadata() });
        joined.dropCarrier();
      }
      const left = round.filter((joined) => joined.beats.length > 0);
      if (left.length > 0) await this.#beatRound(board, left, told, results);
    }
    return beats.map(
      (beat) => results.get(beat) ?? { ok: false, error: new Error('a heartbeat was not answered') },
    );
  }

  /** Those whose carrier would pile up more on its run than one request may carry. */
  async #findOverfull(board: BoardRef, round: readonly JoinedBeats[]): Promise<JoinedBeats[]> {
    const carrying = round.filter(({ carrier }) => carrier?.body.metadata);
    if (carrying.length === 0) return [];
    const beats = carrying.map(({ lead }) => loggedBeatOf(lead));
    const runIds = await withinDeadline(findOverfull(this.#parts.cold, board.id, beats, LIMITS.jsonBytesMax));
    return carrying.filter((joined) => runIds.has(joined.runId));
  }

  /** @param told Runs whose messages ride on an earlier answer of this batch: every further one would only repeat them, all 400 KB. */
  async #beatRound(
    board: BoardRef,
    round: readonly JoinedBeats[],
    told: Set<Uuid>,
    results: BeatResults,
  ): Promise<void> {
    const extended = await retriedStatement(() =>
      extendLeases(this.#parts.hot, board.id, round.map(extensionOf)),
    );
    const rows = new Map(extended.map((row) => [row.run_id, row]));
    await this.#log(
      board,
      round.map(({ lead }) => lead),
      rows,
    );
    const addressed = round.filter(({ runId }) => rows.get(runId)?.has_messages && !told.has(runId));
    const messages = await this.#parts.inbox.tell(board, addressed);
    const lost = round.filter(({ runId }) => !rows.has(runId)).map(({ runId }) => runId);
    const runs =
      lost.length === 0
        ? new Map<Uuid, RunRow>()
        : await withinDeadline(findRunEnds(this.#parts.cold, board.id, lost));
    for (const { beats, runId, taskId } of round) {
      const row = rows.get(runId);
      if (row === undefined) {
        const error = claimLost(board, runs.get(runId));
        for (const beat of beats) results.set(beat, { ok: false, error });
        continue;
      }
      this.#parts.presence.see({ boardId: board.id, lane: row.lane, worker: row.worker, version: null });
      this.#parts.onBeats(beats.length);
      for (const beat of beats) {
        const untold = told.has(runId) ? [] : (messages.get(taskId) ?? []);
        results.set(beat, { ok: true, value: this.#replyTo(beat, row, untold) });
        told.add(runId);
      }
    }
  }

  /** Of those that hold their claims, what the log gets. */
  async #log(board: BoardRef, beats: readonly RunBeat[], rows: ReadonlyMap<Uuid, BeatRow>): Promise<void> {
    const worthLooking = beats.filter((beat) => {
      const row = rows.get(beat.runId);
      return row !== undefined && (row.is_log_due || mayCarryMore(beat, row));
    });
    if (worthLooking.length === 0) return;
    const isHeard = await transaction(this.#parts.hot, (tx) => logBeats(tx, board, worthLooking, rows));
    if (isHeard) this.#parts.wake.ring(board.id);
  }

  #replyTo(beat: RunBeat, row: BeatRow, messages: readonly ToldRow[]): HeartbeatReply {
    const reply = {
      lease_expires_at: row.lease_expires_at,
      cancel_requested: row.is_cancel_requested,
      messages: messages.map(toldMessageOf),
    };
    if (!this.#parts.tokens.isDueForRenewal(beat.claim)) return reply;
    const token = this.#parts.tokens.sign({ ...beat.claim, maxRuntimeSeconds: row.runtime_seconds });
    return { ...reply, token };
  }
}

function tooManyBeats(): ProblemError {
  const detail =
    'This run says more at once than is kept of it; join what its heartbeats carry, and retry shortly.';
  return new ProblemError('rate_limited', detail, { headers: { 'Retry-After': '1' } });
}

function tooMuchMetadata(): ProblemError {
  const detail = `The metadata of a run may not exceed ${LIMITS.jsonBytesMax} bytes in all; put results into the result.`;
  return new ProblemError('payload_too_large', detail);
}

function loggedBeatOf({ body, ...hold }: RunBeat): LoggedBeat {
  const checkpoint = body.checkpoint ?? null;
  return {
    ...hold,
    progress: body.progress ?? null,
    metadata: body.metadata ?? null,
    checkpoint: checkpoint === null ? null : JSON.stringify(checkpoint),
    isTelling: isTelling(body),
  };
}

function extensionOf({ taskId, runId, attempt, leaseSeconds }: JoinedBeats): Beat {
  return { taskId, runId, attempt, leaseSeconds };
}

/** A note or metadata is worth an event of its own, however recent the last one is. */
function isTelling({ note, metadata }: HeartbeatBody): boolean {
  return Boolean(note) || Boolean(metadata);
}

/** Whether it is worth a look at the rows under their locks. A number that is not above what has been kept never will be. */
function mayCarryMore({ body }: RunBeat, { progress }: BeatRow): boolean {
  const isHigher = (body.progress ?? Number.NEGATIVE_INFINITY) > (progress ?? Number.NEGATIVE_INFINITY);
  return isHigher || (body.checkpoint ?? null) !== null || isTelling(body);
}

/** Resolves to whether the log got anything. */
async function logBeats(
  tx: Tx,
  board: BoardRef,
  beats: readonly RunBeat[],
  rows: ReadonlyMap<Uuid, BeatRow>,
): Promise<boolean> {
  const recorded = await recordBeats(tx, board.id, beats.map(loggedBeatOf));
  const events = beats.flatMap((beat) => {
    const what = recorded.get(beat.taskId);
    return what === undefined ? [] : [beatEvent(beat, rows.get(beat.runId), what)];
  });
  if (events.length > 0) await appendEvents(tx, board.id, { events });
  return events.length > 0;
}

function beatEvent(
  { claim, body, ...hold }: RunBeat,
  row: BeatRow | undefined,
  { is_higher: isHigher, is_new_checkpoint: isNewCheckpoint }: RecordedBeat,
): NewEvent {
  return {
    kind: isHigher || isNewCheckpoint ? 'task.progress' : 'task.heartbeat',
    taskId: hold.taskId,
    runId: hold.runId,
    lane: claim.lane,
    worker: claim.worker,
    attempt: hold.attempt,
    actor: actorOfHold(claim),
    data: {
      lease_expires_at: row?.lease_expires_at ?? null,
      ...(body.note ? { note: body.note } : {}),
      ...(isHigher ? { progress: body.progress } : {}),
      ...(isNewCheckpoint ? { has_checkpoint: true } : {}),
      ...(body.metadata ? { metadata: body.metadata } : {}),
    },
  };
}
