/** How far the logs that somebody follows go, and which ones they are, asked for again and again: the floor under what is notified (wake.ts). */
import type { Sql } from './client.ts';

/**
 * Which log it is, is asked for less often than how far it goes: of a poll of a thousand boards it is more than half (0.9 ms without, 2.1
 * with). Where notifications come, polls are further apart than this, and each of them asks.
 */
const WHICH_INTERVAL_MS = 400;

interface LogState {
  readonly board_id: number;
  readonly seq: number;
  /** Which one it is, and which server has it; null: not asked for, or not yet. */
  readonly log: string | null;
}

/** A board whose followers have to look. `isDoubt`: the log may be another one than it was. */
interface LogNews {
  readonly boardId: number;
  readonly isDoubt: boolean;
}

export class PolledLogs {
  readonly #sql: Sql;
  /** As they were when they were last asked for. */
  readonly #known = new Map<number, LogState>();
  #whichAskedAt = Number.NEGATIVE_INFINITY;
  #isAllDoubted = false;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  forget(boardId: number): void {
    this.#known.delete(boardId);
  }

  /**
   * After one that failed every log is doubted: what answers the next one may be another database, in which a log ends where it ended in
   * the former one.
   */
  async poll(watched: readonly number[]): Promise<LogNews[]> {
    try {
      return this.#newsOf(watched, await this.#read(watched));
    } catch (error) {
      this.#isAllDoubted = true;
      this.#whichAskedAt = Number.NEGATIVE_INFINITY;
      throw error;
    }
  }

  async #read(watched: readonly number[]): Promise<readonly LogState[]> {
    const now = performance.now();
    const ids = watched as number[];
    if (now - this.#whichAskedAt < WHICH_INTERVAL_MS)
      return this.#sql<LogState[]>`
        /* wake.poll */ SELECT board_id, seq, NULL AS log FROM board_seq WHERE board_id = ANY(${ids}::int[])`;
    // A pooler hides that another server answers, and a restore that is told of late leaves the numbers as they are.
    const rows = await this.#sql<LogState[]>`
      /* wake.poll_which */
      SELECT board_seq.board_id, board_seq.seq,
        boards.log_incarnation || ' ' || extract(epoch FROM pg_postmaster_start_time()) AS log
      FROM board_seq JOIN boards ON boards.id = board_seq.board_id WHERE board_seq.board_id = ANY(${ids}::int[])`;
    this.#whichAskedAt = now;
    return rows;
  }

  #newsOf(watched: readonly number[], rows: readonly LogState[]): LogNews[] {
    const isAllDoubted = this.#isAllDoubted;
    this.#isAllDoubted = false;
    // A board without a row is gone: whoever follows it has to look, too, whatever became of the notification.
    const present = new Set(rows.map((row) => row.board_id));
    const news = watched
      .filter((boardId) => !present.has(boardId))
      .map((boardId): LogNews => ({ boardId, isDoubt: isAllDoubted }));
    for (const row of rows) {
      const before = this.#known.get(row.board_id);
      const log = row.log ?? before?.log ?? null;
      this.#known.set(row.board_id, { ...row, log });
      // One that is asked for which it is for the first time may have been another until now: that is looked at once.
      const isOther = before !== undefined && (before.log !== log || before.seq > row.seq);
      const isDoubt = isAllDoubted || isOther;
      if (isDoubt || before?.seq !== row.seq) news.push({ boardId: row.board_id, isDoubt });
    }
    return news;
  }
}
