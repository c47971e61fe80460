/** Boards: `client.boards`. A board is named by `^[a-z0-9][a-z0-9._-]{0,63}$`. */
import type { BodyOf, QueryOf, ReplyOf } from '../operation-types.ts';
import type { CallOptions } from '../transport.ts';
import { type Listing, listByToken } from './listing.ts';
import { Resource } from './resource.ts';

type BoardPage = ReplyOf<'listBoards'>;

export class Boards extends Resource {
  /** Creates the board, or changes the one that has this name: what is given wins, the rest stays. Takes an admin key. */
  put(board: string, body: BodyOf<'putBoard'> = {}, options?: CallOptions): Promise<ReplyOf<'putBoard'>> {
    return this.transport.request('putBoard', { params: { board }, body }, options);
  }

  /** The boards that the key may see, by name. */
  list(
    query: QueryOf<'listBoards'> = {},
    options?: CallOptions,
  ): Listing<BoardPage, BoardPage['boards'][number]> {
    return listByToken(
      query,
      (paged) => this.transport.request('listBoards', { query: paged }, options),
      (page) => page.boards,
    );
  }

  /** Settings, counts of tasks by status, and `cursor`: the end of its log. `not_found` also where the key may not see it. */
  get(board: string, options?: CallOptions): Promise<ReplyOf<'getBoard'>> {
    return this.transport.request('getBoard', { params: { board } }, options);
  }

  /**
   * Claims, ends by outcome, queue wait, run time and depth by points in time, over the last 15m, 1h (the default), 6h or 24h: a few
   * seconds behind, as `up_to` says. Percentiles are within 10 %.
   */
  stats(board: string, query: QueryOf<'getStats'> = {}, options?: CallOptions): Promise<ReplyOf<'getStats'>> {
    return this.transport.request('getStats', { params: { board }, query }, options);
  }

  /** null clears a field. With `ifVersion`, `version_mismatch` where another has changed it since. */
  patch(board: string, body: BodyOf<'patchBoard'>, options?: CallOptions): Promise<ReplyOf<'patchBoard'>> {
    return this.transport.request('patchBoard', { params: { board }, body }, options);
  }

  /**
   * Takes over up to 1,000 tasks of another board with their runs and comments, all or none. What the board has by external_ref is left
   * alone, so the same call again does no harm. Takes an admin key.
   */
  importTasks(
    board: string,
    body: BodyOf<'importTasks'>,
    options?: CallOptions,
  ): Promise<ReplyOf<'importTasks'>> {
    return this.transport.request('importTasks', { params: { board }, body }, options);
  }

  /** With all that is on it, its log too. Takes an admin key. */
  async delete(board: string, options?: CallOptions): Promise<void> {
    await this.transport.request('deleteBoard', { params: { board } }, options);
  }
}
