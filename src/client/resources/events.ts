/** The log of a board, read in pages: `client.events`. To follow it without an end, `client.watch`. */
import type { QueryOf, ReplyOf } from '../operation-types.ts';
import { type Listing, listByCursor } from './listing.ts';
import type { BoardCallOptions } from './resource.ts';
import { Resource } from './resource.ts';

type LogPage = ReplyOf<'listEvents'>;

export class Events extends Resource {
  /**
   * Events after a cursor, oldest first (`after` also takes "start", the default, and "now"; default 100 events a page, at most 1,000);
   * with waitSeconds, once there are some. `cursor` is where to go on. Iterated: all of them, to where the log ends then. With `before`
   * instead ("now" or a cursor): the newest first, back to the oldest.
   * `cursor_expired`: the log no longer reaches back so far; read the snapshot.
   */
  list(
    query: QueryOf<'listEvents'> = {},
    options?: BoardCallOptions,
  ): Listing<LogPage, LogPage['events'][number]> {
    const params = { board: this.boardOf(options) };
    return listByCursor(
      query,
      (paged) => this.transport.request('listEvents', { params, query: paged }, options),
      { isSparse: true, continuesWith: query.before === undefined ? 'after' : 'before' },
    );
  }
}
