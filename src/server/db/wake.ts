/**
 * Tells listeners that a board's log has grown: at once within this server, by a coalesced NOTIFY to the others, and by a poll
 * as the floor under both. A wake-up carries no state; whoever hears it looks at the log. NOTIFY is sent after the commit, on its
 * own: inside the transaction it would take a cluster-wide lock until the commit is on disk. Nor does it wait for the disk itself: a
 * NOTIFY is a transaction with a commit record, and what a crash takes back is a hint to servers that have lost their connection.
 */
import { pause } from '../kernel/lifecycle.ts';
import type { Database } from './client.ts';

type Listener = () => void;

export interface Wake {
  /** A transaction on this board has committed here. */
  ring(boardId: number): void;
  /** Calls back after every growth of the board's log, possibly without one. Returns the unsubscribe. */
  subscribe(boardId: number, listener: Listener): () => void;
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
/** NOTIFY payloads end at 8,000 bytes; ids have at most 10 digits and a comma. */
const BOARDS_PER_NOTIFY_MAX = 500;
/** What a lost notification costs at most. */
const POLL_INTERVAL_MS = 500;
/** Without notifications the poll is all there is. */
const POLL_ONLY_INTERVAL_MS = 50;
const LISTEN_RETRY_MS = 1000;

export function createWake({ database, mode, onError }: WakeOptions): Wake {
  const serverId = Math.random().toString(36).slice(2, 10);
  const listeners = new Map<number, Set<Listener>>();
  const lastSeq = new Map<number, number>();
  const dirty = new Set<number>();
  let flushTimer: NodeJS.Timeout | undefined;
  let polledAt = performance.now();

  const wakeLocal = (boardId: number): void => {
    for (const listener of listeners.get(boardId) ?? []) listener();
  };
  const wakeAll = (): void => {
    for (const boardId of listeners.keys()) wakeLocal(boardId);
  };

  const flush = async (): Promise<void> => {
    flushTimer = undefined;
    const boardIds = [...dirty].slice(0, BOARDS_PER_NOTIFY_MAX);
    for (const boardId of boardIds) dirty.delete(boardId);
    if (dirty.size > 0) scheduleFlush();
    try {
      await database.cold`
        /* wake.notify */
        WITH quick AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true) AS value)
        SELECT pg_notify(${CHANNEL}, ${`${serverId}:${boardIds.join(',')}`}) FROM quick`;
    } catch (error) {
      onError(error); // The others' polls find the growth.
    }
  };
  const scheduleFlush = (): void => {
    flushTimer ??= setTimeout(() => void flush(), FLUSH_DELAY_MS);
  };

  const onPayload = (payload: string): void => {
    const [sender, ids = ''] = payload.split(':');
    if (sender === serverId) return;
    for (const id of ids.split(',')) wakeLocal(Number(id));
  };

  const poll = async (): Promise<void> => {
    const watched = [...listeners.keys()];
    if (watched.length === 0) {
      polledAt = performance.now();
      return;
    }
    const rows = await database.cold<{ board_id: number; seq: number }[]>`
      /* wake.poll */ SELECT board_id, seq FROM board_seq WHERE board_id = ANY(${watched}::int[])`;
    polledAt = performance.now();
    for (const row of rows) {
      if (lastSeq.get(row.board_id) === row.seq) continue;
      lastSeq.set(row.board_id, row.seq);
      wakeLocal(row.board_id);
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
      wakeLocal(boardId);
      if (mode === 'poll') return;
      dirty.add(boardId);
      scheduleFlush();
    },
    subscribe: (boardId, listener) => {
      const set = listeners.get(boardId) ?? new Set();
      listeners.set(boardId, set.add(listener));
      return () => {
        set.delete(listener);
        if (set.size > 0) return;
        listeners.delete(boardId);
        lastSeq.delete(boardId);
      };
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
      clearTimeout(flushTimer);
    },
    pollAgeMs: () => performance.now() - polledAt,
  };
}
