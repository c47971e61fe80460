/** Boards: `client.boards`. */
import type { BodyOf, QueryOf, ReplyOf } from '../operation-types.ts';
import type { CallOptions } from '../transport.ts';
import { followPages, Resource } from './resource.ts';

export class Boards extends Resource {
  /** Creates the board, or changes the one that has this name. */
  put(board: string, body: BodyOf<'putBoard'> = {}, options?: CallOptions): Promise<ReplyOf<'putBoard'>> {
    return this.transport.request('putBoard', { params: { board }, body }, options);
  }

  list(query: QueryOf<'listBoards'> = {}, options?: CallOptions): Promise<ReplyOf<'listBoards'>> {
    return this.transport.request('listBoards', { query }, options);
  }

  pages(query: QueryOf<'listBoards'> = {}, options?: CallOptions): AsyncGenerator<ReplyOf<'listBoards'>> {
    return followPages((page_token) => this.list({ ...query, page_token }, options));
  }

  get(board: string, options?: CallOptions): Promise<ReplyOf<'getBoard'>> {
    return this.transport.request('getBoard', { params: { board } }, options);
  }

  /** null clears a field; `ifVersion` guards against changes of others. */
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

  async delete(board: string, options?: CallOptions): Promise<void> {
    await this.transport.request('deleteBoard', { params: { board } }, options);
  }
}
