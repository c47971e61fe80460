/** The output feeds of the boards that somebody watches here. */
import type { Sql } from '../../../db/client.ts';
import type { Wake } from '../../../db/wake.ts';
import type { BoardRef } from '../../boards/service.ts';
import type { FollowOutput } from '../../watch/service.ts';
import type { Growth } from './growth.ts';
import { OutputFeed } from './output-feed.ts';

interface OutputFeedsParts {
  readonly sql: Sql;
  readonly wake: Wake;
  readonly onError: (error: unknown) => void;
}

interface Followed {
  readonly feed: OutputFeed;
  readonly unsubscribe: () => void;
  /** Watches that are there, or about to be. */
  watches: number;
}

export class OutputFeeds {
  readonly #parts: OutputFeedsParts;
  readonly #boards = new Map<number, Followed>();

  constructor(parts: OutputFeedsParts) {
    this.#parts = parts;
  }

  /** What a claim token may see is in the watch's filter. */
  readonly follow: FollowOutput = async (watch) => {
    const followed = this.#feedOf(watch.board);
    followed.watches += 1;
    try {
      await followed.feed.begin();
    } catch (error) {
      this.#release(watch.board, followed);
      throw error;
    }
    followed.feed.add(watch);
    return () => {
      followed.feed.remove(watch);
      this.#release(watch.board, followed);
    };
  };

  publish(board: BoardRef, growths: readonly Growth[]): void {
    const feed = this.#boards.get(board.id)?.feed;
    if (feed !== undefined) for (const growth of growths) feed.publish(growth);
  }

  #feedOf(board: BoardRef): Followed {
    const known = this.#boards.get(board.id);
    if (known !== undefined) return known;
    const feed = new OutputFeed(board, this.#parts);
    const unsubscribe = this.#parts.wake.subscribeNudges(board.id, () => feed.look(), 'output');
    const followed = { feed, unsubscribe, watches: 0 };
    this.#boards.set(board.id, followed);
    return followed;
  }

  #release(board: BoardRef, followed: Followed): void {
    followed.watches -= 1;
    if (followed.watches > 0) return;
    followed.unsubscribe();
    followed.feed.stop();
    this.#boards.delete(board.id);
  }
}
