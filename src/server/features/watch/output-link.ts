/** Output as the watch sees it: lines for whoever asked, live and beside the log. Plugged in by compose.ts, as the worker's link is. */
import type { SharedTail } from '../../ws/prepared-frame.ts';
import type { BoardRef } from '../boards/service.ts';
import type { EventFilter } from './view.ts';

/** One watch that asked for output. */
export interface OutputWatch {
  readonly board: BoardRef;
  /** Of which only lanes and tasks count: output has no kind. */
  readonly filter: EventFilter;
  /** False: nothing need be made for it. */
  hasRoom(): boolean;
  /**
   * False: the socket took nothing; these lines are dropped for it, because output is no part of the log.
   * @param tail Of the frame: all but what differs from watch to watch, which are its id and what was dropped.
   */
  send(tail: SharedTail, dropped: number): boolean;
  /** It has lost more than it can be told of; nothing is sent to it any more. */
  end(): void;
}

/** Resolves when nothing that is appended from now on will be missed, to the function that ends it. Nothing is sent before. */
export type FollowOutput = (watch: OutputWatch) => Promise<() => void>;
