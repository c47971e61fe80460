/**
 * What one server tells the others by NOTIFY: in which boards the log has grown, whose workers are to be told something, and where output has
 * come. Folded into as few notifications as each of them can wait for. A hint only: the others' polls find what is lost.
 */
import type { Sql } from './client.ts';

interface AnnouncementsOptions {
  /** Connections that no caller can stand before. */
  readonly sql: Sql;
  readonly channel: string;
  readonly serverId: string;
  readonly onError: (error: unknown) => void;
}

/** Long enough to fold a burst into one NOTIFY, short enough not to be felt by a waiting lane. */
const FLUSH_DELAY_MS = 10;
/** Other servers hear of output at most so often: ten times a second reads as live, and most of the time nobody watches there. */
const OUTPUT_INTERVAL_MS = 100;
/** Of each of three kinds. NOTIFY payloads end at 8,000 bytes; ids have at most 10 digits and a comma. */
const BOARDS_PER_NOTIFY_MAX = 240;
/** At a close: of more boards than these the others' polls find the rest. */
const LAST_FLUSHES_MAX = 10;

export class Announcements {
  readonly #options: AnnouncementsOptions;
  readonly #grown = new Set<number>();
  readonly #signalled = new Set<number>();
  readonly #printed = new Set<number>();
  readonly #timer = new FlushTimer(() => void this.#flush());
  #printedDueAt = Number.NEGATIVE_INFINITY;
  #isClosed = false;

  constructor(options: AnnouncementsOptions) {
    this.#options = options;
  }

  grown(boardId: number): void {
    this.#add(this.#grown, boardId, FLUSH_DELAY_MS);
  }

  /** Rare beside growth, and somebody waits for it. */
  signalled(boardId: number): void {
    this.#add(this.#signalled, boardId, 0);
  }

  printed(boardId: number): void {
    this.#add(this.#printed, boardId, Math.max(0, this.#printedDueAt - performance.now()));
  }

  /** Sends what has not been sent, and nothing that comes later. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer.stop();
    for (let left = LAST_FLUSHES_MAX; left > 0 && this.#waiting > 0; left -= 1) await this.#flush();
  }

  get #waiting(): number {
    return this.#grown.size + this.#signalled.size + this.#printed.size;
  }

  #add(boardIds: Set<number>, boardId: number, delayMs: number): void {
    if (this.#isClosed) return;
    boardIds.add(boardId);
    this.#timer.schedule(delayMs);
  }

  async #flush(): Promise<void> {
    const { sql, channel, serverId, onError } = this.#options;
    const parts = [takeSome(this.#grown), takeSome(this.#signalled), this.#takePrinted()];
    this.#scheduleRest();
    // A timer may go off a little before output is due.
    if (parts.every((part) => part === '')) return;
    const payload = [serverId, ...parts].join(':');
    try {
      await sql`
        /* wake.notify */
        WITH quick AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true) AS value)
        SELECT pg_notify(${channel}, ${payload}) FROM quick`;
    } catch (error) {
      onError(error); // The others' polls find the growth.
    }
  }

  #takePrinted(): string {
    const now = performance.now();
    if (now < this.#printedDueAt && !this.#isClosed) return '';
    this.#printedDueAt = now + OUTPUT_INTERVAL_MS;
    return takeSome(this.#printed);
  }

  #scheduleRest(): void {
    if (this.#isClosed) return;
    if (this.#grown.size + this.#signalled.size > 0) this.#timer.schedule(FLUSH_DELAY_MS);
    else if (this.#printed.size > 0) this.#timer.schedule(this.#printedDueAt - performance.now());
  }
}

/** When the next NOTIFY leaves: as soon as anyone wants it to, but never sooner after the last than a burst is folded. */
class FlushTimer {
  readonly #flush: () => void;
  #timer: NodeJS.Timeout | undefined;
  #dueAt = Number.POSITIVE_INFINITY;
  #flushedAt = Number.NEGATIVE_INFINITY;

  constructor(flush: () => void) {
    this.#flush = flush;
  }

  schedule(delayMs: number): void {
    const now = performance.now();
    const dueAt = Math.max(now + delayMs, this.#flushedAt + FLUSH_DELAY_MS);
    if (this.#dueAt <= dueAt) return;
    clearTimeout(this.#timer);
    this.#dueAt = dueAt;
    this.#timer = setTimeout(() => {
      this.#dueAt = Number.POSITIVE_INFINITY;
      this.#flushedAt = performance.now();
      this.#flush();
    }, dueAt - now);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

/** Takes what fits into one payload beside as much of the other kinds, and writes it out. */
function takeSome(boardIds: Set<number>): string {
  const some = [...boardIds].slice(0, BOARDS_PER_NOTIFY_MAX);
  for (const boardId of some) boardIds.delete(boardId);
  return some.join(',');
}
