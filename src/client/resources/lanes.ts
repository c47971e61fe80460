/** Lanes of a board: `client.lanes`. */
import type { BodyOf, QueryOf, ReplyOf } from '../operation-types.ts';
import type { BoardCallOptions } from './resource.ts';
import { followPages, Resource } from './resource.ts';

export class Lanes extends Resource {
  /** Registers the lane, or changes the one that has this name. */
  register(
    lane: string,
    body: BodyOf<'putLane'> = {},
    options?: BoardCallOptions,
  ): Promise<ReplyOf<'putLane'>> {
    return this.transport.request('putLane', { params: this.#params(lane, options), body }, options);
  }

  list(query: QueryOf<'listLanes'> = {}, options?: BoardCallOptions): Promise<ReplyOf<'listLanes'>> {
    return this.transport.request('listLanes', { params: { board: this.boardOf(options) }, query }, options);
  }

  pages(query: QueryOf<'listLanes'> = {}, options?: BoardCallOptions): AsyncGenerator<ReplyOf<'listLanes'>> {
    return followPages((page_token) => this.list({ ...query, page_token }, options));
  }

  get(lane: string, options?: BoardCallOptions): Promise<ReplyOf<'getLane'>> {
    return this.transport.request('getLane', { params: this.#params(lane, options) }, options);
  }

  /** null clears a field or sets it back to its default. */
  patch(lane: string, body: BodyOf<'patchLane'>, options?: BoardCallOptions): Promise<ReplyOf<'patchLane'>> {
    return this.transport.request('patchLane', { params: this.#params(lane, options), body }, options);
  }

  async delete(lane: string, options?: BoardCallOptions): Promise<void> {
    await this.transport.request('deleteLane', { params: this.#params(lane, options) }, options);
  }

  /** Hands out no work until resumed; claims that are held go on. */
  pause(lane: string, options?: BoardCallOptions): Promise<ReplyOf<'pauseLane'>> {
    return this.transport.request('pauseLane', { params: this.#params(lane, options) }, options);
  }

  resume(lane: string, options?: BoardCallOptions): Promise<ReplyOf<'resumeLane'>> {
    return this.transport.request('resumeLane', { params: this.#params(lane, options) }, options);
  }

  /** Hands out no more work; the lane is paused when its last claim ends. */
  drain(lane: string, options?: BoardCallOptions): Promise<ReplyOf<'drainLane'>> {
    return this.transport.request('drainLane', { params: this.#params(lane, options) }, options);
  }

  /**
   * Takes the lane over from its other workers: the epoch rises, and their claims are given back (`release`), handed to `worker` under
   * the next attempt (`adopt`: they come in `claims`, with tokens), or left to their leases (`expire`). Their holders get claim_lost,
   * reason superseded. With a lane key only while none of them is online, else forbidden.
   */
  takeOver(
    lane: string,
    body: BodyOf<'takeOverLane'>,
    options?: BoardCallOptions,
  ): Promise<ReplyOf<'takeOverLane'>> {
    return this.transport.request('takeOverLane', { params: this.#params(lane, options), body }, options);
  }

  /** A key bound to this lane. `secret` is missing when a lost answer had to be asked for again: revoke and create anew. */
  createKey(
    lane: string,
    body: BodyOf<'createLaneKey'> = {},
    options?: BoardCallOptions,
  ): Promise<ReplyOf<'createLaneKey'>> {
    return this.transport.request('createLaneKey', { params: this.#params(lane, options), body }, options);
  }

  #params(lane: string, options: BoardCallOptions | undefined): { board: string; lane: string } {
    return { board: this.boardOf(options), lane };
  }
}
