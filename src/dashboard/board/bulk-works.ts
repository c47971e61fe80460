/**
 * The actions on many tasks of every board: one at a time for each. They are above the pages, because an action on more tasks than an operation
 * takes is begun part by part, and a page that is left must not leave parts of it undone. Knows no view.
 */
import type { Client } from '../../client/index.ts';
import type { Answers } from '../ui/question.ts';
import type { BulkOffer } from './bulk.ts';
import { type BulkRun, BulkWork } from './bulk-run.ts';

interface Entry {
  readonly work: BulkWork;
  run: BulkRun | null;
}

export class BulkWorks {
  readonly #entries = new Map<string, Entry>();
  readonly #listeners = new Set<() => void>();
  readonly #open = new AbortController();

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  of(board: string): BulkRun | null {
    return this.#entries.get(board)?.run ?? null;
  }

  /** Would be left undone if the app were closed now. */
  hasUnbegun(): boolean {
    return [...this.#entries.values()].some(({ run }) => (run?.unbegunCount ?? 0) > 0);
  }

  /** false: another one is under way. */
  start(client: Client, offer: BulkOffer, answers: Answers): boolean {
    const { board } = client;
    if (isUnderWay(this.of(board))) return false;
    const entry: Entry = {
      work: new BulkWork(client, offer, (run) => {
        entry.run = run;
        this.#tell();
      }),
      run: null,
    };
    this.#entries.set(board, entry);
    void entry.work.run(answers, this.#open.signal);
    return true;
  }

  async cancel(board: string): Promise<void> {
    await this.#entries.get(board)?.work.cancel();
  }

  dismiss(board: string): void {
    if (isUnderWay(this.of(board))) return;
    this.#entries.delete(board);
    this.#tell();
  }

  /** The person has signed out: what was begun goes on by itself, the rest is not begun. */
  close(): void {
    this.#open.abort();
    this.#entries.clear();
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

export function isUnderWay(run: BulkRun | null): boolean {
  return run?.state === 'running' || run?.state === 'cancelling';
}
