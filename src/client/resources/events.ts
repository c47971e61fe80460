/** The log of a board, read in pages: `client.events`. To follow it, watch. */
import type { QueryOf, ReplyOf } from '../operation-types.ts';
import type { BoardCallOptions } from './resource.ts';
import { Resource } from './resource.ts';

export class Events extends Resource {
  /** Events after a cursor, oldest first; with waitSeconds, once there are some. `cursor` is where to go on. */
  list(query: QueryOf<'listEvents'> = {}, options?: BoardCallOptions): Promise<ReplyOf<'listEvents'>> {
    return this.transport.request('listEvents', { params: { board: this.boardOf(options) }, query }, options);
  }
}
