/**
 * Tells listeners that a board's log has grown: at once within this server, by a coalesced NOTIFY to the others, and by a poll
 * as the floor under both. A wake-up carries no state; whoever hears it looks at the log. NOTIFY is sent after the commit, on its
 * own: inside the transaction it would take a cluster-wide lock until the commit is on disk. Nor does it wait for the disk itself: a
 * NOTIFY is a transaction with a commit record, and what a crash takes back is a hint to servers that have lost their connection.
 *
 * Beside the log there is what is meant for few: a holder is to be told something, output has come. Whoever attends to workers or to
 * output is nudged for it, and does not have to read every event of a busy board to find it.
 */
import { pause } from '../kernel/lifecycle.ts';
import type { Database } from './client.ts';

type Listener = () => void;

export interface Wake {
  /** A transaction on this board has committed here. */
  ring(boardId: number): void;
  /** Calls back after every growth of the board's log, possibly without one. Returns the unsubscribe. */
  subscribe(boardId: number, listener: Listener): () => void;
  /** Something beside the board's log has been committed here. */
  nudge(boardId: number): void;
  /** Calls back after every nudge, and at each poll without one. Returns the unsubscribe. */
  subscribeNudges(boardId: number, listener: Listener): () => void;
  /** Runs until the signal ends it. */
  run(signal: AbortSignal): Promise<void>;
  /** Milliseconds since the floor poll last succeeded. */
  pollAgeMs(): number;
}

interface WakeOptions {
  readonly database: Database;
  readonly mode: 'listen' | 'poll';
  readonly onError: (error: unknown) => void;
}

const CHANNEL = 'lanekeeper_wake';
/** Long enough to fold a burst into one NOTIFY, short enough not to be felt by a waiting lane. */
const FLUSH_DELAY_MS = 10;
/** Of each kind. NOTIFY payloads end at 8,000 bytes; ids have at most 10 digits and a comma. */
const BOARDS_PER_NOTIFY_MAX = 350;
/** What a lost notification costs at most. */
const POLL_INTERVAL_MS = 500;
/** Without notifications the poll is all there is. */
const POLL_ONLY_INTERVAL_MS = 50;
const LISTEN_RETRY_MS = 1000;

export function createWake({ database, mode, onError }: WakeOptions): Wake {
  const serverId = Math.random().toString(36).slice(2, 10);
  const log = new Listeners();
  const aside = new Listeners();
  const lastSeq = new Map<number, number>();
  const dirty = new Set<number>();
  const nudged = new Set<number>();
  let polledAt = performance.now();

  const flush = async (): Promise<void> => {
    const payload = [serverId, takeSome(dirty), takeSome(nudged)].join(':');
    if (dirty.size + nudged.size > 0) timer.schedule(FLUSH_DELAY_MS);
    try {
      await database.cold`
        /* wake.notify */
        WITH quick AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true) AS value)
        SELECT pg_notify(${CHANNEL}, ${payload}) FROM quick`;
    } catch (error) {
      onError(error); // The others' polls find the growth.
    }
  };
  const timer = new FlushTimer(() => void flush());
  const announce = (boardIds: Set<number>, boardId: number, delayMs: number): void => {
    if (mode !== 'listen') return;
    boardIds.add(boardId);
    timer.schedule(delayMs);
  };

  const onPayload = (payload: string): void => {
    // A server of an earlier version sends no third part.
    const [sender, grown = '', told = ''] = payload.split(':');
    if (sender === serverId) return;
    for (const id of grown.split(',')) log.call(Number(id));
    for (const id of told.split(',')) aside.call(Number(id));
  };
  const wakeAll = (): void => {
    log.callAll();
    aside.callAll();
  };

  const poll = async (): Promise<void> => {
    aside.callAll();
    const watched = log.boardIds();
    if (watched.length === 0) {
      polledAt = performance.now();
      return;
    }
    const rows = await database.cold<{ board_id: number; seq: number }[]>`
      /* wake.poll */ SELECT board_id, seq FROM board_seq WHERE board_id = ANY(${watched}::int[])`;
    polledAt = performance.now();
    // A board without a row is gone: whoever follows it has to look, too, whatever became of the notification.
    const present = new Set(rows.map((row) => row.board_id));
    for (const boardId of watched) if (!present.has(boardId)) log.call(boardId);
    for (const row of rows) {
      if (lastSeq.get(row.board_id) === row.seq) continue;
      lastSeq.set(row.board_id, row.seq);
      log.call(row.board_id);
    }
  };

  const listenUntilConnected = async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      try {
        // Reconnects by itself from here on; each time everyone looks, because what was sent meanwhile is lost.
        await database.listen(CHANNEL, onPayload, wakeAll);
        return;
      } catch (error) {
        onError(error);
        await pause(LISTEN_RETRY_MS, signal);
      }
    }
  };

  return {
    ring: (boardId) => {
      log.call(boardId);
      announce(dirty, boardId, FLUSH_DELAY_MS);
    },
    subscribe: (boardId, listener) => {
      log.add(boardId, listener);
      return () => {
        if (log.remove(boardId, listener)) lastSeq.delete(boardId);
      };
    },
    nudge: (boardId) => {
      aside.call(boardId);
      // Rare beside growth, and somebody waits for it.
      announce(nudged, boardId, 0);
    },
    subscribeNudges: (boardId, listener) => {
      aside.add(boardId, listener);
      return () => void aside.remove(boardId, listener);
    },
    run: async (signal) => {
      if (mode === 'listen') void listenUntilConnected(signal);
      while (!signal.aborted) {
        try {
          await poll();
        } catch (error) {
          onError(error);
        }
        await pause(mode === 'listen' ? POLL_INTERVAL_MS : POLL_ONLY_INTERVAL_MS, signal);
      }
      timer.stop();
    },
    pollAgeMs: () => performance.now() - polledAt,
  };
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

/** Who waits for which board. */
class Listeners {
  readonly #byBoard = new Map<number, Set<Listener>>();

  add(boardId: number, listener: Listener): void {
    const set = this.#byBoard.get(boardId) ?? new Set();
    this.#byBoard.set(boardId, set.add(listener));
  }

  /** True: it was the board's last one. */
  remove(boardId: number, listener: Listener): boolean {
    const set = this.#byBoard.get(boardId);
    if (!set?.delete(listener) || set.size > 0) return false;
    this.#byBoard.delete(boardId);
    return true;
  }

  boardIds(): number[] {
    return [...this.#byBoard.keys()];
  }

  call(boardId: number): void {
    for (const listener of this.#byBoard.get(boardId) ?? []) listener();
  }

  callAll(): void {
    for (const boardId of this.#byBoard.keys()) this.call(boardId);
  }
}

/** Takes what fits into one payload beside as much of the other kind, and writes it out. */
function takeSome(boardIds: Set<number>): string {
  const some = [...boardIds].slice(0, BOARDS_PER_NOTIFY_MAX);
  for (const boardId of some) boardIds.delete(boardId);
  return some.join(',');
}
