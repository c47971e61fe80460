/** Writes the audit log and reads it. Entries of requests at the same time share a statement; each request waits for its own to be committed. */
import type { BroadReads } from '../../db/broad-reads.ts';
import type { Sql } from '../../db/client.ts';
import { retriedStatement, transaction, withinDeadline } from '../../db/tx.ts';
import { Batcher } from '../../kernel/batcher.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import { type AuditPage, type AuditRange, readPage } from './page.ts';
import { entryOf, type Refusal, type RefusalSum, Refusals } from './refusals.ts';
import {
  type AuditFilter,
  appendEntries,
  deleteOldEntries,
  findBoardIds,
  type NewAuditEntry,
} from './store.ts';

/** A statement of milliseconds. */
const BATCH_ENTRIES_MAX = 200;
/** As many as requests may change something at a time on a busy server; each is some hundred bytes. */
const WAITING_MAX = 5000;
/** Short transactions, so that nobody who writes waits for the pruner. */
const PRUNED_PER_STATEMENT = 1000;
/** In one sweep; the next one comes in a minute. */
const PRUNE_STATEMENTS_MAX = 20;

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

  async list(reads: BroadReads, range: AuditRange, filter: AuditFilter): Promise<AuditPage> {
    if (range.after !== undefined && range.before !== undefined)
      throw new ProblemError('invalid_request', 'Give one of "after" and "before".', {
        errors: [{ pointer: '/query/before', detail: 'goes the other way than "after"' }],
      });
    return reads.snapshot('audit', (tx) => readPage(tx, range, filter));
  }
}
