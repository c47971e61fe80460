/**
 * What watchers write down, each in the order in which it happened to it, through all its reconnects. Times are those of the history.
 *
 * Where the log is kept for ever, what came is named and is looked up there at the end. Where it is pruned, an event is written down whole,
 * and so is where its watcher asked to go on.
 */
import type { Event } from '../src/contract/events.ts';

interface WatchBase {
  readonly process: string;
  readonly at: number;
  /** Which connection of this watcher it came over: 1, 2, 3, … */
  readonly connection: number;
}

/** What a watcher of the whole board, without a filter, received. */
export interface WatchedEntry extends WatchBase {
  readonly entry: 'watched';
  readonly seq: number;
  readonly kind: string;
  readonly cursor: string;
}

/** A bookmark or the cursor of an events frame: the watcher may believe that it has everything up to it. */
export interface BookmarkEntry extends WatchBase {
  readonly entry: 'bookmark';
  /** The newest sequence number received by then; 0: none. */
  readonly seq: number;
  readonly cursor: string;
}

/**
 * About to ask for what follows: where the log begins by now, the cursor that came last, or that of a snapshot, which was read because the
 * one before had expired.
 */
export interface ResumeEntry extends WatchBase {
  readonly entry: 'resume';
  readonly from: 'start' | 'cursor' | 'snapshot';
  /** As it is asked for: "start", or a cursor. */
  readonly after: string;
}

/** As `watched`. */
export interface ReceivedEntry extends WatchBase {
  readonly entry: 'received';
  readonly event: Event;
}

/** It was told cursor_expired: what followed the place where it stood is gone. */
export interface ExpiredEntry extends WatchBase {
  readonly entry: 'expired';
}

/** A watcher that was still there at the end, written after the final state was read and it had time to receive all of it. */
export interface WatchEndEntry extends Omit<WatchBase, 'connection'> {
  readonly entry: 'watch_end';
}

/** Of a board that keeps its log. */
export type WatcherEntry = WatchedEntry | BookmarkEntry | WatchEndEntry;
/** Of a board that prunes it. */
export type ResumingEntry = ResumeEntry | ReceivedEntry | ExpiredEntry | WatchEndEntry;
