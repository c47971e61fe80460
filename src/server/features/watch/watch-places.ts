/**
 * What the watches of one caller may hold of this server, over all of its sockets: a bound for each socket alone would be a thousand times as
 * much for a key that opens a thousand. Never counts what a caller has elsewhere: each server answers for its own memory.
 */
import { actorOf, type Principal } from '../../kernel/principal.ts';
import { noPlace } from './live-bounds.ts';

interface Share {
  readonly watches: number;
  readonly outputs: number;
  readonly words: number;
}

/** What one watch takes. */
export interface WatchNeed {
  /** Values in its filter. */
  readonly words: number;
  readonly hasOutput: boolean;
}

/**
 * For a key: ten watches on each of all the sockets it may have; output on one of each, because every line is handed to each of them; and some
 * 12 MB of filter words.
 */
const PER_KEY: Share = { watches: 10_000, outputs: 1000, words: 100_000 };
/** As many watches in all as one socket may have, and output on each socket. It sees one task. */
const PER_RUN: Share = { watches: 100, outputs: 20, words: 2000 };
const NOTHING: Share = { watches: 0, outputs: 0, words: 0 };

export class WatchPlaces {
  /** By the id of the key or run. */
  readonly #taken = new Map<string, Share>();

  /** Returns the way to leave, to be called once. */
  take(caller: Principal, { words, hasOutput }: WatchNeed): () => void {
    const { id } = actorOf(caller);
    const most = caller.kind === 'key' ? PER_KEY : PER_RUN;
    const need = { watches: 1, outputs: hasOutput ? 1 : 0, words };
    const taken = sum(this.#taken.get(id) ?? NOTHING, need, 1);
    const who = caller.kind === 'key' ? 'key' : 'claim token';
    if (taken.watches > most.watches)
      throw noPlace(`This ${who} has ${most.watches} watches on this server.`);
    if (taken.outputs > most.outputs)
      throw noPlace(`This ${who} has ${most.outputs} watches with output on this server.`);
    if (taken.words > most.words)
      throw noPlace(`The filters of this ${who} have some ${most.words} values on this server.`);
    this.#taken.set(id, taken);
    return () => {
      const left = sum(this.#taken.get(id) ?? NOTHING, need, -1);
      if (left.watches > 0) this.#taken.set(id, left);
      else this.#taken.delete(id);
    };
  }
}

function sum(taken: Share, need: Share, sign: 1 | -1): Share {
  return {
    watches: taken.watches + sign * need.watches,
    outputs: taken.outputs + sign * need.outputs,
    words: taken.words + sign * need.words,
  };
}
