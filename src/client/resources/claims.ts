/** Claims of a lane: `client.claims`. */
import type { BodyOf, ReplyOf } from '../operation-types.ts';
import type { BoardCallOptions } from './resource.ts';
import { Resource } from './resource.ts';

export class Claims extends Resource {
  /**
   * Claims ready tasks of a lane; with waitSeconds, as soon as there are some. No claims: `reason` says why.
   * A lost answer is asked for again under the same Idempotency-Key, so that no claim stays behind unknown.
   */
  claim(
    lane: string,
    body: BodyOf<'claimTasks'> = {},
    options?: BoardCallOptions,
  ): Promise<ReplyOf<'claimTasks'>> {
    return this.transport.request(
      'claimTasks',
      { params: { board: this.boardOf(options), lane }, body },
      options,
    );
  }
}
