/**
 * Tells listeners that a board's log has grown: at once within this server, by a coalesced NOTIFY to the others, and by a poll
 * as the floor under both. A wake-up carries no state; whoever hears it looks at the log. NOTIFY is sent after the commit, on its
 * own: inside the transaction it would take a cluster-wide lock until the commit is on disk. Nor does it wait for the disk itself: a
 * NOTIFY is a transaction with a commit record, and what a crash takes back is a hint to servers that have lost their connection.
 *
 * Beside the log there is what is meant for few: a holder is to be told something, output has come. Whoever attends to workers or to
 * output is nudged for it, each for their own, and does not have to read every event of a busy board to find it.
 */
import { pause } from '../kernel/lifecycle.ts';
import { Announcements } from './announcements.ts';
import type { Database } from './client.ts';
import { PolledLogs } from './polled-logs.ts';

/**
 * Must not throw: others are called behind it.
 * @param isDoubt The log may be another one than it was, of whatever length: it is not only to be read on.
 */
type Listener = (isDoubt?: boolean) => void;
/** @param isPoll It is only time to look: nobody has said that there is something. */
type NudgeListener = (isPoll: boolean) => void;
/** `signal`: a holder is to be told something. `output`: workers have printed. */
type NudgeKind = 'signal' | 'output';

export interface Wake {
  /** A transaction on this board has committed here. */
  ring(boardId: number): void;
  /** Calls back after every growth of the board's log, possibly without one. Returns the unsubscribe. */
  subscribe(boardId: number, listener: Listener): () => void;
  /**
   * Something beside the board's log has been committed here. Of output only the other servers are told, and not at once: who watches here
   * has it already.
   * @param kind `signal` unless given.
   */
  nudge(boardId: number, kind?: NudgeKind): void;
  /** Calls back after every nudge of the kind, and some times a second without one. Returns the unsubscribe. */
  subscribeNudges(boardId: number, listener: NudgeListener, kind?: NudgeKind): () => void;
  /** Runs until the signal ends it. Others are told of what happens afterwards, too, until the close. */
  run(signal: AbortSignal): Promise<void>;
  /** The others are told what they have not been told yet; nothing after that. Called while the database is still there. */
  close(): Promise<void>;
  /** Milliseconds since the floor poll last succeeded. */
  pollAgeMs(): number;
}

interface WakeOptions {
  readonly database: Database;
  readonly mode: 'listen' | 'poll';
  readonly onError: (error: unknown) => void;
}

const CHANNEL = 'lanekeeper_wake';
/** What a lost notification costs at most. */
const POLL_INTERVAL_MS = 500;
/** Without notifications the poll is all there is. */
const POLL_ONLY_INTERVAL_MS = 50;
/** Whoever attends to workers or output asks the database for each board at every look, whatever has changed. */
const ASIDE_POLL_INTERVAL_MS = 250;
const LISTEN_RETRY_MS = 1000;

export function createWake({ database, mode, onError }: WakeOptions): Wake {
  const serverId = Math.random().toString(36).slice(2, 10);
  const log = new Listeners();
  const aside = { signal: new Listeners(), output: new Listeners() };
  const polled = new PolledLogs(database.wakes);
  let polledAt = performance.now();
  let asidePolledAt = Number.NEGATIVE_INFINITY;
  const announcements = new Announcements({ sql: database.wakes, channel: CHANNEL, serverId, onError });
  const isNotifying = mode === 'listen';

  const onPayload = (payload: string): void => {
    // A server of an earlier version sends no third part, or one for both kinds of nudges.
    const [sender, grown = '', told = '', printed = told] = payload.split(':');
    if (sender === serverId) return;
    for (const id of grown.split(',')) log.call(Number(id));
    for (const id of told.split(',')) aside.signal.call(Number(id));
    for (const id of printed.split(',')) aside.output.call(Number(id));
  };
  const wakeAside = (isPoll: boolean): void => {
    aside.signal.callAll(isPoll);
    aside.output.callAll(isPoll);
  };
  const wakeAll = (): void => {
    log.callAll(true);
    wakeAside(false);
  };

  const poll = async (): Promise<void> => {
    if (performance.now() - asidePolledAt >= ASIDE_POLL_INTERVAL_MS) {
      asidePolledAt = performance.now();
      wakeAside(true);
    }
    const watched = log.boardIds();
    if (watched.length === 0) {
      polledAt = performance.now();
      return;
    }
    const news = await polled.poll(watched);
    polledAt = performance.now();
    for (const { boardId, isDoubt } of news) log.call(boardId, isDoubt);
  };

  const listenUntilConnected = async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      try {
        // Reconnects by itself from here on; each time everyone looks, because what was sent meanwhile is lost, and in doubt, because it
        // may be to a standby that lagged.
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
      if (isNotifying) announcements.grown(boardId);
    },
    subscribe: (boardId, listener) => {
      log.add(boardId, listener);
      return () => {
        if (log.remove(boardId, listener)) polled.forget(boardId);
      };
    },
    nudge: (boardId, kind = 'signal') => {
      if (kind === 'signal') aside.signal.call(boardId);
      if (!isNotifying) return;
      if (kind === 'signal') announcements.signalled(boardId);
      else announcements.printed(boardId);
    },
    subscribeNudges: (boardId, listener, kind = 'signal') => {
      aside[kind].add(boardId, listener);
      return () => void aside[kind].remove(boardId, listener);
    },
    run: async (signal) => {
      if (isNotifying) void listenUntilConnected(signal);
      while (!signal.aborted) {
        try {
          await poll();
        } catch (error) {
          onError(error);
        }
        await pause(isNotifying ? POLL_INTERVAL_MS : POLL_ONLY_INTERVAL_MS, signal);
      }
    },
    close: () => announcements.close(),
    pollAgeMs: () => performance.now() - polledAt,
  };
}

/** Who waits for which board. What they are called with is for them to know. */
class Listeners {
  readonly #byBoard = new Map<number, Set<(flag: boolean) => void>>();

  add(boardId: number, listener: (flag: boolean) => void): void {
    const set = this.#byBoard.get(boardId) ?? new Set();
    this.#byBoard.set(boardId, set.add(listener));
  }

  /** True: it was the board's last one. */
  remove(boardId: number, listener: (flag: boolean) => void): boolean {
    const set = this.#byBoard.get(boardId);
    if (!set?.delete(listener) || set.size > 0) return false;
    this.#byBoard.delete(boardId);
    return true;
  }

  boardIds(): number[] {
    return [...this.#byBoard.keys()];
  }

  call(boardId: number, flag = false): void {
    for (const listener of this.#byBoard.get(boardId) ?? []) listener(flag);
  }

  callAll(flag: boolean): void {
    for (const boardId of this.#byBoard.keys()) this.call(boardId, flag);
  }
}
