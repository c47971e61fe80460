/**
 * Output of tasks: lines that holders append, gathered per board, so that a fleet that prints does not cost a transaction a line. No
 * part of the log and no sign of life. Who watches here is handed the lines at once; other servers are nudged, a few times a second.
 */
import { LIMITS } from '../../../../contract/constants.ts';
import type { OutputLine, OutputReply } from '../../../../contract/outputs.ts';
import type { Sql } from '../../../db/client.ts';
import { isDatabaseAway } from '../../../db/failures.ts';
import { retriedStatement, withinDeadline } from '../../../db/tx.ts';
import type { Wake } from '../../../db/wake.ts';
import { Batcher, type Settled } from '../../../kernel/batcher.ts';
import { excerptOf } from '../../../kernel/excerpt.ts';
import { formatId, type Uuid } from '../../../kernel/ids.ts';
import type { ClaimPrincipal } from '../../../kernel/principal.ts';
import type { BoardRef } from '../../boards/service.ts';
import { claimLost } from '../run/claim-lost.ts';
import { holdOf } from '../run/run-operation.ts';
import { type Append, type AppendedRow, appendLines, listLines } from '../store/output.ts';
import { findRunEnds } from '../store/run.ts';
import type { Growth } from './growth.ts';
import type { OutputFeeds } from './output-feeds.ts';

interface OutputsParts {
  readonly hot: Sql;
  readonly cold: Sql;
  readonly wake: Wake;
  readonly feeds: OutputFeeds;
}

interface AppendRequest {
  readonly claim: ClaimPrincipal;
  /** As they are kept. */
  readonly lines: readonly string[];
}

interface LaneAppend extends Append {
  readonly lane: string;
}

/** Runs in one statement, which looks for each one's header among all of them: some 5 ms. */
const GATHERED_APPENDS_MAX = 200;
const WAITING_MAX = 10_000;
/** As for ends: a statement of a few megabytes takes some 100 ms. */
const BATCH_BYTES_MAX = 4 * 1024 * 1024;
/** Of all boards: a quarter of what ends may hold, for nobody's work depends on it. */
const HELD_BYTES_MAX = 16 * 1024 * 1024;

export class Outputs {
  readonly #parts: OutputsParts;
  readonly #batcher: Batcher<BoardRef, AppendRequest, OutputReply>;

  constructor(parts: OutputsParts) {
    this.#parts = parts;
    this.#batcher = new Batcher({
      sizeMax: GATHERED_APPENDS_MAX,
      waitingMax: WAITING_MAX,
      batchBytesMax: BATCH_BYTES_MAX,
      heldBytesMax: HELD_BYTES_MAX,
      fairBy: ({ claim }) => claim.lane,
      mayRunAlone: (error) => !isDatabaseAway(error),
      run: (board, requests) => this.#appendGathered(board, requests),
    });
  }

  /** @param bytes What it took on the wire. */
  append(board: BoardRef, claim: ClaimPrincipal, lines: readonly string[], bytes = 0): Promise<OutputReply> {
    const kept = lines.map((line) => excerptOf(line, LIMITS.outputLineCharactersKept));
    return this.#batcher.submit(board, { claim, lines: kept }, { bytes });
  }

  async list(board: BoardRef, taskId: Uuid): Promise<OutputLine[]> {
    const rows = await withinDeadline(listLines(this.#parts.cold, board.id, taskId));
    return rows.map(({ run_id, ...line }) => ({ ...line, run_id: formatId('run', run_id) }));
  }

  async drain(): Promise<void> {
    await this.#batcher.drain();
  }

  async #appendGathered(
    board: BoardRef,
    requests: readonly AppendRequest[],
  ): Promise<Settled<OutputReply>[]> {
    const { hot, cold, feeds, wake } = this.#parts;
    const appends = mergedByRun(requests);
    const rows = await retriedStatement(() => appendLines(hot, board.id, appends));
    const appended = new Map(rows.map((row) => [row.run_id, row]));
    if (rows.length > 0) {
      feeds.publish(
        board,
        appends.flatMap((append) => growthOf(append, appended.get(append.runId))),
      );
      wake.nudge(board.id, 'output');
    }
    const lost = appends.filter(({ runId }) => !appended.has(runId)).map(({ runId }) => runId);
    const ends = lost.length === 0 ? null : await withinDeadline(findRunEnds(cold, board.id, lost));
    return requests.map(({ claim, lines }): Settled<OutputReply> => {
      const { runId } = holdOf(claim);
      if (appended.has(runId)) return { ok: true, value: { accepted: lines.length } };
      return { ok: false, error: claimLost(board, ends?.get(runId)) };
    });
  }
}

/** One append for each run, its lines in the order in which they came, in task order. */
function mergedByRun(requests: readonly AppendRequest[]): LaneAppend[] {
  const byRun = new Map<string, LaneAppend & { readonly lines: string[] }>();
  for (const { claim, lines } of requests) {
    const known = byRun.get(claim.runId);
    if (known === undefined)
      byRun.set(claim.runId, { ...holdOf(claim), lane: claim.lane, lines: [...lines] });
    else for (const line of lines) known.lines.push(line);
  }
  return [...byRun.values()].sort((left, right) => (left.taskId < right.taskId ? -1 : 1));
}

function growthOf({ taskId, runId, lane, lines }: LaneAppend, row: AppendedRow | undefined): Growth[] {
  if (row === undefined) return [];
  const afterNumber = row.line_count - lines.length;
  const kept = lines.slice(-LIMITS.outputLinesKept);
  const beforeKept = row.line_count - kept.length;
  const numbered = kept.map((text, index) => ({ number: beforeKept + index + 1, runId, text }));
  return [{ taskId, lane, at: row.at, lines: numbered, afterNumber, upToNumber: row.line_count }];
}
