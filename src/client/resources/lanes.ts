/** Lanes of a board: `client.lanes`. */
import type { BodyOf, QueryOf, ReplyOf } from '../operation-types.ts';
import { type Listing, listByToken } from './listing.ts';
import type { BoardCallOptions } from './resource.ts';
import { Resource } from './resource.ts';

type LanePage = ReplyOf<'listLanes'>;

export class Lanes extends Resource {
  /** Registers the lane, or changes the one that has this name: what is given wins, the rest stays. Times are in seconds. */
  register(
    lane: string,
    body: BodyOf<'putLane'> = {},
    options?: BoardCallOptions,
  ): Promise<ReplyOf<'putLane'>> {
    return this.transport.request('putLane', { params: this.#params(lane, options), body }, options);
  }

  /** By name, each with its presence and backlog. */
  list(
    query: QueryOf<'listLanes'> = {},
    options?: BoardCallOptions,
  ): Listing<LanePage, LanePage['lanes'][number]> {
    const params = { board: this.boardOf(options) };
    return listByToken(
      query,
      (paged) => this.transport.request('listLanes', { params, query: paged }, options),
      (page) => page.lanes,
    );
  }

  /** With its presence (workers, sockets, last signs of life) and backlog. `lane_not_found`: nobody has registered it. */
  get(lane: string, options?: BoardCallOptions): Promise<ReplyOf<'getLane'>> {
    return this.transport.request('getLane', { params: this.#params(lane, options) }, options);
  }

  /** null clears a field or sets it back to its default. With `ifVersion`, `version_mismatch` where another has changed it since. */
  patch(lane: string, body: BodyOf<'patchLane'>, options?: BoardCallOptions): Promise<ReplyOf<'patchLane'>> {
    return this.transport.request('patchLane', { params: this.#params(lane, options), body }, options);
  }

  /** Deregisters it and revokes its keys; its tasks stay and wait. `lane_has_claims`: somebody works on one of them. */
  async delete(lane: string, options?: BoardCallOptions): Promise<void> {
    await this.transport.request('deleteLane', { params: this.#params(lane, options) }, options);
  }

  /** Hands out no work until resumed; claims that are held go on. */
  pause(lane: string, options?: BoardCallOptions): Promise<ReplyOf<'pauseLane'>> {
    return this.transport.request('pauseLane', { params: this.#params(lane, options) }, options);
  }

  /** Ends a pause or a drain. */
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
