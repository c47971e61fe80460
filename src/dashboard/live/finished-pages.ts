/**
 * The pages of finished tasks: how far each status that is shown was read. The API lists tasks by when they were created, not by when they
 * finished: the first page holds those created last, and one that was created long ago and finished just now is not among them unless the
 * log told of it.
 */
import type { Client, Task } from '../../client/index.ts';
import type { FinishedStatus } from './statuses.ts';

/** With their texts some 100 kB, which a phone reads in a second. */
const PAGE_TASKS = 50;

export interface FinishedPage {
  readonly status: FinishedStatus;
  readonly tasks: readonly Task[];
  /** null: it is the last. */
  readonly next: string | null;
}

export class FinishedPages {
  readonly #client: Client;
  /** Statuses that are shown, each with the token of the page after the last that was read; null: there is none. */
  readonly #next = new Map<FinishedStatus, string | null>([
    ['done', null],
    ['cancelled', null],
  ]);

  constructor(client: Client) {
    this.#client = client;
  }

  /** Whether the server has more of the status than was read. */
  hasOlder(status: FinishedStatus): boolean {
    return this.#next.get(status) !== null;
  }

  /** Of every status that is shown. */
  readFirst(signal: AbortSignal): Promise<readonly FinishedPage[]> {
    return Promise.all([...this.#next.keys()].map((status) => this.#read(status, undefined, signal)));
  }

  /** The first, of a status that was not shown before. */
  readOlder(status: FinishedStatus): Promise<FinishedPage> {
    return this.#read(status, this.#next.get(status) ?? undefined);
  }

  /** The page is shown. */
  keep({ status, next }: FinishedPage): void {
    this.#next.set(status, next);
  }

  async #read(
    status: FinishedStatus,
    pageToken: string | undefined,
    signal?: AbortSignal,
  ): Promise<FinishedPage> {
    const query = { status, order: '-created', limit: String(PAGE_TASKS) } as const;
    const { tasks, next_page_token: next } = await this.#client.tasks.list(
      { ...query, ...(pageToken === undefined ? {} : { page_token: pageToken }) },
      signal === undefined ? undefined : { signal },
    );
    return { status, tasks, next };
  }
}
