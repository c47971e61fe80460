/** Writes the audit log and reads it. Entries of requests at the same time share a statement; each request waits for its own to be committed. */
import type { AuditEntry } from '../../../contract/audit.ts';
import type { BroadReads } from '../../db/broad-reads.ts';
import type { Sql } from '../../db/client.ts';
import { retriedStatement, transaction, withinDeadline } from '../../db/tx.ts';
import { Batcher } from '../../kernel/batcher.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import { stretchOf } from './page.ts';
import { entryOf, type Refusal, type RefusalSum, Refusals } from './refusals.ts';
import {
  type AuditFilter,
  appendEntries,
  deleteOldEntries,
  findBoardIds,
  findBounds,
  listEntries,
  type NewAuditEntry,
  readBounds,
} from './store.ts';

/** A statement of milliseconds. */
const BATCH_ENTRIES_MAX = 200;
/** As many as requests may change something at a time on a busy server; each is some hundred bytes. */
const WAITING_MAX = 5000;
/** Short transactions, so that nobody who writes waits for the pruner. */
const PRUNED_PER_STATEMENT = 1000;
/** In one sweep; the next one comes in a minute. */
const PRUNE_STATEMENTS_MAX = 20;

export interface AuditPage {
  readonly entries: AuditEntry[];
  readonly cursor: string;
  readonly has_more: boolean;
}

interface AuditRange {
  readonly after: string | undefined;
  readonly before: string | undefined;
  readonly rows: number;
}

export class AuditJournal {
  readonly #sql: Sql;
  readonly #days: number;
  readonly #refusals = new Refusals();
  readonly #batcher: Batcher<'all', NewAuditEntry, undefined>;

  constructor(sql: Sql, days: number) {
    this.#sql = sql;
    this.#days = days;
    this.#batcher = new Batcher({
      sizeMax: BATCH_ENTRIES_MAX,
      waitingMax: WAITING_MAX,
      run: async (_, entries) => {
        await retriedStatement(() => appendEntries(this.#sql, entries));
        return entries.map(() => ({ ok: true, value: undefined }));
      },
    });
  }

  /** Resolves when it is committed. */
  async record(entry: NewAuditEntry): Promise<void> {
    await this.#batcher.submit('all', entry);
  }

  /** Written with the next round of `writeRefusals`. */
  refuse(refusal: Refusal): void {
    this.#refusals.add(refusal);
  }

  /** What cannot be written now is kept for the next round. Of a failure that hides a commit it is then told twice, and never not at all. */
  async writeRefusals(): Promise<void> {
    const sums = this.#refusals.take();
    if (sums.length === 0) return;
    const failed: RefusalSum[] = [];
    let failure: unknown;
    const keep = (sum: RefusalSum, error: unknown): void => {
      failed.push(sum);
      failure = error;
    };
    try {
      const boardIds = await this.#findBoards(sums);
      await Promise.all(
        sums.map((sum) => this.record(entryOf(sum, boardIds)).catch((error: unknown) => keep(sum, error))),
      );
    } catch (error) {
      for (const sum of sums) keep(sum, error);
    }
    if (failed.length === 0) return;
    this.#refusals.putBack(failed);
    throw failure;
  }

  async #findBoards(sums: readonly RefusalSum[]): Promise<ReadonlyMap<string, number>> {
    const names = sums.flatMap(({ first: { board } }) => (board === null ? [] : [board]));
    return names.length === 0 ? new Map() : withinDeadline(findBoardIds(this.#sql, names));
  }

  async drain(): Promise<void> {
    await this.writeRefusals();
    await this.#batcher.drain();
  }

  /** Deletes what is older than it need be. */
  async prune(signal: AbortSignal): Promise<void> {
    for (let statements = 0; statements < PRUNE_STATEMENTS_MAX && !signal.aborted; statements += 1) {
      const deleted = await transaction(this.#sql, (tx) =>
        deleteOldEntries(tx, this.#days, PRUNED_PER_STATEMENT),
      );
      if (deleted < PRUNED_PER_STATEMENT) return;
    }
  }

  async list(
    reads: BroadReads,
    { after, before, rows }: AuditRange,
    filter: AuditFilter,
  ): Promise<AuditPage> {
    if (after !== undefined && before !== undefined)
      throw new ProblemError('invalid_request', 'Give one of "after" and "before".', {
        errors: [{ pointer: '/query/before', detail: 'goes the other way than "after"' }],
      });
    return reads.snapshot('audit', async (tx) => {
      const { newest, oldest } = await readBounds(tx);
      const isBackwards = before !== undefined;
      const seq = placeOf(before ?? after ?? 'start', { newest, oldest });
      if (!isBackwards && seq < oldest - 1)
        throw new ProblemError(
          'cursor_expired',
          `Entries up to ${oldest - 1} have been deleted by their age; "start" is the oldest that is kept.`,
        );
      const bounds = await findBounds(tx, filter);
      const all = {
        from: filter.since === null ? oldest : (bounds.since ?? newest + 1),
        to: filter.until === null ? newest : (bounds.until ?? newest + 1) - 1,
      };
      const stretch = stretchOf({ seq, isBackwards }, all);
      const found = await listEntries(tx, { ...stretch, isBackwards }, filter, rows + 1);
      const entries = found.slice(0, rows);
      const last = found.length > rows ? entries.at(-1)?.seq : undefined;
      const end = isBackwards ? stretch.from : stretch.to;
      const hasMore = last !== undefined || stretch.hasMore;
      // Later entries are still to be read by whoever goes on without `until`.
      const over = isBackwards ? oldest : Math.min(newest, Math.max(seq, all.to));
      return { entries, cursor: String(last ?? (hasMore ? end : over)), has_more: hasMore };
    });
  }
}

/** The number behind which, or before which, is read. */
function placeOf(
  text: string,
  { newest, oldest }: { readonly newest: number; readonly oldest: number },
): number {
  if (text === 'start') return oldest - 1;
  if (text === 'now') return newest + 1;
  const seq = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (seq <= newest) return seq;
  throw new ProblemError('invalid_cursor', 'There is no entry of the audit log with this number.');
}
