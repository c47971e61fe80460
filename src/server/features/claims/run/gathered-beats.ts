/**
 * The heartbeats of one board that were gathered: joined in rounds, each of which extends its leases in one statement, tells the log what is
 * worth it, and answers with what holders are to know. A run that no longer holds its claim is told what became of it.
 */
import { LIMITS } from '../../../../contract/constants.ts';
import type { HeartbeatReply } from '../../../../contract/runs.ts';
import type { Sql } from '../../../db/client.ts';
import { retriedStatement, withinDeadline } from '../../../db/tx.ts';
import type { Wake } from '../../../db/wake.ts';
import type { Settled } from '../../../kernel/batcher.ts';
import type { Uuid } from '../../../kernel/ids.ts';
import { ProblemError } from '../../../kernel/problem-error.ts';
import type { ClaimTokens } from '../../auth/service.ts';
import type { BoardRef } from '../../boards/service.ts';
import type { PresenceTracker } from '../../lanes/service.ts';
import type { ToldRow } from '../../tasks/service.ts';
import type { Inbox } from '../steering/inbox.ts';
import { type Beat, type BeatRow, extendLeases, findOverfull } from '../store/heartbeat.ts';
import { findRunEnds, type RunRow } from '../store/run.ts';
import { toldMessageOf } from '../view.ts';
import { type JoinedBeats, roundsOf } from './beat-rounds.ts';
import { claimLost } from './claim-lost.ts';
import { logBeats, loggedBeatOf } from './logged-beats.ts';
import type { RunBeat } from './run-operation.ts';

export interface GatheredBeatsParts {
  readonly hot: Sql;
  readonly cold: Sql;
  readonly wake: Wake;
  readonly tokens: ClaimTokens;
  readonly presence: PresenceTracker;
  readonly inbox: Inbox;
  readonly onBeats: (count: number) => void;
}

type BeatResults = Map<RunBeat, Settled<HeartbeatReply>>;

export class GatheredBeats {
  readonly #parts: GatheredBeatsParts;

  constructor(parts: GatheredBeatsParts) {
    this.#parts = parts;
  }

  /** One joined heartbeat of each run at a time, so that what a second one carries is kept as well. */
  async answer(board: BoardRef, beats: readonly RunBeat[]): Promise<Settled<HeartbeatReply>[]> {
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
    const leads = round.map(({ lead }) => lead);
    if (await logBeats(this.#parts.hot, board, leads, rows)) this.#parts.wake.ring(board.id);
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

function extensionOf({ taskId, runId, attempt, leaseSeconds }: JoinedBeats): Beat {
  return { taskId, runId, attempt, leaseSeconds };
}
