/**
 * `available` hints: that work waits for a lane which a socket watches or said hello for. Counted once for all sockets of a server,
 * coalesced, and never a promise: whoever hears one asks for a claim, and the claim decides. A lane gets none while its mode has no hints
 * (pull, push) or nothing of it is handed out (lane or board paused, lane draining); what opens it again is answered with a new count.
 *
 * A count for each socket made a thousand statements of one event that a thousand sockets heard.
 */
import type { Event } from '../../../contract/events.ts';
import { type PreparedFrame, prepareFrame } from '../../ws/prepared-frame.ts';
import type { BoardRef } from '../boards/service.ts';
import type { BoardConfig } from '../lanes/service.ts';
import { waitingLaneOf } from '../tasks/service.ts';
import type { BoardFeeds, Follower } from './service.ts';

export interface HintListener {
  onHint(frame: PreparedFrame): void;
}

interface HintParts {
  readonly feeds: Pick<BoardFeeds, 'follow'>;
  /** The configuration as it is now; null: the board is gone. */
  readonly readConfig: (board: BoardRef) => Promise<BoardConfig | null>;
  readonly countReady: (board: BoardRef, lanes: readonly string[]) => Promise<ReadonlyMap<string, number>>;
  readonly onError: (error: unknown) => void;
}

/** Hints of one lane are at least this far apart, so that a batch of a thousand tasks is one or two of them. */
const COALESCE_MS = 20;
/** After a failure, when the database is away for example. */
const RETRY_MS = 500;
/** Lanes counted by one statement; the others follow. */
const LANES_PER_COUNT_MAX = 500;
const HINTED_MODES: ReadonlySet<string> = new Set(['pull-or-watch', 'watch']);

/** The hints of all boards. */
export class LaneHints {
  readonly #parts: HintParts;
  readonly #boards = new Map<number, BoardHints>();

  constructor(parts: HintParts) {
    this.#parts = parts;
  }

  /** The listener is told at once what waits, and from then on when work comes. */
  add(board: BoardRef, lanes: readonly string[], listener: HintListener): void {
    let hints = this.#boards.get(board.id);
    if (hints === undefined) {
      hints = new BoardHints(board, this.#parts);
      this.#boards.set(board.id, hints);
    }
    hints.add(lanes, listener);
  }

  remove(board: BoardRef, lanes: Iterable<string>, listener: HintListener): void {
    const hints = this.#boards.get(board.id);
    if (hints === undefined) return;
    hints.remove(lanes, listener);
    if (hints.isEmpty) this.#boards.delete(board.id);
  }
}

class BoardHints implements Follower {
  readonly #board: BoardRef;
  readonly #parts: HintParts;
  readonly #listeners = new Map<string, Set<HintListener>>();
  /** Lanes to be counted, and who is to hear of it; null: all who listen. */
  readonly #due = new Map<string, Set<HintListener> | null>();
  #timer: NodeJS.Timeout | undefined;
  /** One count at a time: events come faster than a database in trouble answers. */
  #isFlushing = false;
  /** Under way. */
  #joining: Promise<void> | undefined;
  /** Left out: the log is not followed, or not yet. */
  #leave: (() => void) | undefined;
  /** As of the last event that may have changed it; null: to be read. */
  #config: BoardConfig | null = null;
  #configChanges = 0;

  constructor(board: BoardRef, parts: HintParts) {
    this.#board = board;
    this.#parts = parts;
  }

  get isEmpty(): boolean {
    return this.#listeners.size === 0;
  }

  add(lanes: readonly string[], listener: HintListener): void {
    for (const lane of lanes) {
      const known = this.#listeners.get(lane) ?? new Set();
      this.#listeners.set(lane, known.add(listener));
      const due = this.#due.get(lane);
      if (due !== null) this.#due.set(lane, (due ?? new Set()).add(listener));
    }
    if (this.#leave === undefined) this.#joining ??= this.#join();
    else this.#schedule();
  }

  remove(lanes: Iterable<string>, listener: HintListener): void {
    for (const lane of lanes) {
      const known = this.#listeners.get(lane);
      if (!known?.delete(listener)) continue;
      this.#due.get(lane)?.delete(listener);
      if (known.size > 0) continue;
      this.#listeners.delete(lane);
      this.#due.delete(lane);
    }
    if (this.isEmpty) this.#stop();
  }

  onEvents(events: readonly Event[]): void {
    for (const { kind, lane, data } of events) {
      const waiting = waitingLaneOf({ lane, data });
      if (waiting !== null) this.#markDue(waiting);
      const isConfig = kind.startsWith('lane.') || kind === 'board.updated';
      if (isConfig) this.#forgetConfig();
      if (isConfig && lane === undefined) this.#markAllDue();
      else if (lane !== undefined && isConfig) this.#markDue(lane);
    }
    this.#schedule();
  }

  onGap(): void {
    this.#forgetConfig();
    this.#markAllDue();
    this.#schedule();
  }

  /** Sessions that watch a board that is gone are ended by their own following. */
  onEnd(): void {
    this.#stop();
  }

  async #join(): Promise<void> {
    try {
      const { leave } = await this.#parts.feeds.follow(this.#board, this);
      this.#leave = leave;
    } catch (error) {
      this.#parts.onError(error); // A hint only: the long poll finds the work.
    }
    this.#joining = undefined;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.isEmpty) this.#stop();
    else if (this.#leave === undefined) this.#timer = setTimeout(() => this.#retryJoin(), RETRY_MS);
    // Counting only after following has begun means that nothing can become ready unseen in between.
    else this.#schedule();
  }

  #retryJoin(): void {
    this.#timer = undefined;
    this.#joining ??= this.#join();
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#due.clear();
    this.#leave?.();
    this.#leave = undefined;
  }

  #forgetConfig(): void {
    this.#config = null;
    this.#configChanges += 1;
  }

  #markDue(lane: string): void {
    if (this.#listeners.has(lane)) this.#due.set(lane, null);
  }

  #markAllDue(): void {
    for (const lane of this.#listeners.keys()) this.#due.set(lane, null);
  }

  #schedule(delayMs = COALESCE_MS): void {
    if (this.#leave === undefined || this.isEmpty || this.#due.size === 0 || this.#isFlushing) return;
    this.#timer ??= setTimeout(() => void this.#flush(), delayMs);
  }

  async #flush(): Promise<void> {
    this.#timer = undefined;
    this.#isFlushing = true;
    const due = this.#takeDue();
    let isCounted = false;
    try {
      const counts = await this.#count([...due.keys()]);
      isCounted = true;
      for (const [lane, ready] of counts) if (ready > 0) this.#tell(lane, ready, due.get(lane) ?? null);
    } catch (error) {
      this.#parts.onError(error);
    }
    // Whoever is idle may be told by nothing else: no further event has to come.
    if (!isCounted) this.#putBack(due);
    this.#isFlushing = false;
    this.#schedule(isCounted ? COALESCE_MS : RETRY_MS);
  }

  async #count(due: readonly string[]): Promise<Iterable<readonly [string, number]>> {
    const config = await this.#currentConfig();
    const lanes = due.filter((lane) => config !== null && isHinted(config, lane));
    return lanes.length === 0 ? [] : this.#parts.countReady(this.#board, lanes);
  }

  #takeDue(): Map<string, Set<HintListener> | null> {
    const taken = new Map([...this.#due].slice(0, LANES_PER_COUNT_MAX));
    for (const lane of taken.keys()) this.#due.delete(lane);
    return taken;
  }

  #putBack(taken: ReadonlyMap<string, ReadonlySet<HintListener> | null>): void {
    for (const [lane, listeners] of taken) {
      const interested = this.#listeners.get(lane);
      const due = this.#due.get(lane);
      if (interested === undefined || due === null) continue;
      // Who has left meanwhile is not kept for the time of an outage.
      const stayed = listeners && [...listeners].filter((listener) => interested.has(listener));
      this.#due.set(lane, stayed && new Set([...(due ?? []), ...stayed]));
    }
  }

  #tell(lane: string, ready: number, listeners: ReadonlySet<HintListener> | null): void {
    const interested = this.#listeners.get(lane);
    if (interested === undefined) return;
    const frame = prepareFrame({ type: 'available', lane, ready });
    for (const listener of listeners ?? interested) if (interested.has(listener)) listener.onHint(frame);
  }

  /** What changes it while it is read makes it be read again the next time. */
  async #currentConfig(): Promise<BoardConfig | null> {
    if (this.#config !== null) return this.#config;
    const changes = this.#configChanges;
    const config = await this.#parts.readConfig(this.#board);
    if (changes === this.#configChanges) this.#config = config;
    return config;
  }
}

/** A lane that is not registered cannot be claimed from. */
function isHinted(config: BoardConfig, name: string): boolean {
  const lane = config.lanes.get(name);
  if (lane === undefined || config.isPaused || lane.is_paused || lane.is_draining) return false;
  return HINTED_MODES.has(lane.claim_mode);
}
