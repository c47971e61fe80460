/** Claims of a lane: `client.claims`. */
import type { BodyOf, ReplyOf } from '../operation-types.ts';
import type { BoardCallOptions } from './resource.ts';
import { Resource } from './resource.ts';

export class Claims extends Resource {
  /**
   * Claims ready tasks of a lane, the highest priority first (`max` of them, default 1); with waitSeconds (at most 60), as soon as there are
   * some. No claims: `reason` says why. Each claim has the token that speaks for it and is lost when its lease (seconds) ends unrenewed.
   * A lost answer is asked for again under the same Idempotency-Key, so that no claim stays behind unknown; one for a named task (`task_id`)
   * is not, since it is exact already: `task_not_claimable` where it is held or not ready.
   */
  claim(
    lane: string,
    body: BodyOf<'claimTasks'> = {},
    options?: BoardCallOptions,
  ): Promise<ReplyOf<'claimTasks'>> {
    const params = { board: this.boardOf(options), lane };
    const isNamed = body?.task_id !== undefined && body.task_id !== null;
    const keyless: BoardCallOptions = { idempotencyKey: null, ...options };
    return this.transport.request('claimTasks', { params, body }, isNamed ? keyless : options);
  }
}
