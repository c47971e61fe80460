/** The push lanes of one board, and the board's log, followed only while one of them is hungry. */
import type { Event } from '../../../../contract/events.ts';
import { boardNotFound } from '../../auth/service.ts';
import type { BoardRef } from '../../boards/service.ts';
import type { BoardFeeds, Follower } from '../../watch/service.ts';
import { claimableOf } from '../claiming/claimable.ts';
import type { ClaimedTasks } from '../claiming/slot-plan.ts';
import { type Offer, PushLane } from './push-lane.ts';

interface PushBoardParts {
  readonly feeds: BoardFeeds;
  readonly ask: (offer: Offer, max: number) => Promise<ClaimedTasks>;
  readonly onError: (error: unknown) => void;
}

/** After so many sweeps without a hungry lane the log is left: leaving and coming back costs two looks, so not at once. */
const SATED_SWEEPS_MAX = 4;

export class PushBoard implements Follower {
  readonly #board: BoardRef;
  readonly #parts: PushBoardParts;
  readonly #lanes = new Map<string, PushLane>();
  #leave: (() => void) | null = null;
  #isJoining = false;
  #isStopped = false;
  #satedSweeps = 0;

  constructor(board: BoardRef, parts: PushBoardParts) {
    this.#board = board;
    this.#parts = parts;
  }

  get isEmpty(): boolean {
    return this.#lanes.size === 0;
  }

  update(offer: Offer): void {
    this.#laneOf(offer.lane).update(offer);
  }

  retryLater(offer: Offer): void {
    this.#laneOf(offer.lane).retryLater(offer);
  }

  remove(offer: Offer): void {
    this.#lanes.get(offer.lane)?.remove(offer);
  }

  onEvents(events: readonly Event[]): void {
    const { ready, room, changed } = claimableOf(events);
    for (const [name, lane] of this.#lanes) {
      if (changed.has(name) || changed.has(null)) lane.look();
      const [readyCount, roomCount] = [ready.get(name) ?? 0, room.get(name) ?? 0];
      if (readyCount + roomCount > 0) lane.onWork(readyCount, roomCount);
    }
  }

  onGap(): void {
    for (const lane of this.#lanes.values()) lane.look();
  }

  onEnd(): void {
    this.#leave = null;
    for (const lane of this.#lanes.values()) lane.refuseAll(boardNotFound(this.#board.name));
  }

  sweep(): void {
    let isHungry = false;
    for (const [name, lane] of this.#lanes) {
      lane.sweep();
      isHungry ||= lane.isHungry;
      if (lane.isEmpty) this.#lanes.delete(name);
    }
    this.#satedSweeps = isHungry ? 0 : this.#satedSweeps + 1;
    if (this.#satedSweeps > SATED_SWEEPS_MAX || this.isEmpty) this.#leaveLog();
  }

  stop(): void {
    this.#isStopped = true;
    this.#leaveLog();
  }

  #laneOf(name: string): PushLane {
    const known = this.#lanes.get(name);
    if (known !== undefined) return known;
    const lane = new PushLane({
      ask: this.#parts.ask,
      now: () => performance.now(),
      onHungry: () => void this.#joinLog(),
      onError: this.#parts.onError,
    });
    this.#lanes.set(name, lane);
    return lane;
  }

  /** Everything after the position where following begins is heard of; what lies before it, a look finds. */
  async #joinLog(): Promise<void> {
    if (this.#leave !== null || this.#isJoining || this.#isStopped) return;
    this.#isJoining = true;
    try {
      const { leave } = await this.#parts.feeds.follow(this.#board, this);
      this.#leave = leave;
      this.#satedSweeps = 0;
      if (this.#isStopped) this.#leaveLog();
      else for (const lane of this.#lanes.values()) lane.look();
    } catch (error) {
      this.#parts.onError(error); // The next sweep finds the lane hungry still, and tries again.
    } finally {
      this.#isJoining = false;
    }
  }

  #leaveLog(): void {
    if (this.#leave === null) return;
    this.#leave();
    this.#leave = null;
    for (const lane of this.#lanes.values()) lane.look();
  }
}
