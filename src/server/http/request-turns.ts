/**
 * Requests that have a transaction of their own: how many of one principal run at a time, and how many one claim may have under way.
 * Ordinary transactions share a few connections, and the driver's queue before them is neither bounded nor fair: there one principal with
 * a few thousand comments stood before everybody's next one, and a few that waited for a lock kept all others waiting with them. Here
 * each principal waits behind itself, and leaves half of the connections to the others.
 * All that is of one lane, its keys and the tokens of its claims, is one principal: a lane has as many claims as it likes.
 * What is gathered with others of its kind must not come here: it has its own queue, fair and bounded (kernel/batcher.ts), and a few at a
 * time would make small batches. Nor may what waits (`Prefer: wait`) hold a turn; of one claim token that is counted apart.
 */
import { LIMITS } from '../../contract/constants.ts';
import type { Principal } from '../kernel/principal.ts';
import { ProblemError } from '../kernel/problem-error.ts';
import { Slots } from '../kernel/slots.ts';

/**
 * Of one principal: half of the connections there are for them (db/client.ts). More would bring it little: on one board transactions that
 * write events end one after the other (db/event-log.ts).
 */
const RUNNING_PER_PRINCIPAL_MAX = 4;
/** Of all principals, running or waiting: some seconds of work. One alone may hold half. Each has been parsed: a body and some KiB. */
const HELD_MAX = 4000;
/** As long as for the database itself (db/tx.ts). What one principal may hold is done sooner: who still waits then, waits for the database. */
const WAIT_MS_MAX = 8000;
/**
 * Of one claim token: it speaks for one task, with comments, acknowledgements and children. A run may create a hundred in all, so half of
 * them at once hinders nobody who works.
 */
export const UNDER_WAY_PER_CLAIM_MAX = LIMITS.tasksPerRunMax / 2;
/** Long polls of one claim token: one for each task that its run may have created, twice where they are being renewed. */
const WAITING_PER_CLAIM_MAX = 2 * LIMITS.tasksPerRunMax;

/** What comes of a request until it has been answered. */
export interface RequestPlace {
  /** Once, whatever became of it. */
  leave(): void;
}

const NOWHERE: RequestPlace = { leave: () => undefined };

export class RequestTurns {
  /** By principal; only of those that have requests here. */
  readonly #slots = new Map<string, Slots>();
  readonly #underWay = new Tally();
  readonly #waiting = new Tally();
  readonly #held = new Tally();

  /** Before the body is read. Throws rate_limited when the claim has as many requests of its kind as it may. API keys are not counted. */
  enter(caller: Principal | null, isWaiting: boolean): RequestPlace {
    if (caller?.kind !== 'claim') return NOWHERE;
    const { runId } = caller;
    const [tally, max] = isWaiting
      ? [this.#waiting, WAITING_PER_CLAIM_MAX]
      : [this.#underWay, UNDER_WAY_PER_CLAIM_MAX];
    if (tally.of(runId) >= max) throw tooManyOfClaim(max);
    tally.raise(runId);
    return { leave: () => tally.lower(runId) };
  }

  /** Runs the work when fewer than so many of this caller's run, in the order in which they came. */
  async run<T>(caller: Principal, work: () => Promise<T> | T): Promise<T> {
    const name = nameOf(caller);
    if (this.#held.of(name) >= HELD_MAX - this.#held.total) throw tooManyOfAll();
    this.#held.raise(name);
    let isBegun = false;
    try {
      return await this.#slotsOf(name).run('', async () => {
        isBegun = true;
        return work();
      });
    } catch (error) {
      throw isBegun ? error : tooLate(error);
    } finally {
      this.#held.lower(name);
      if (this.#held.of(name) === 0) this.#slots.delete(name);
    }
  }

  #slotsOf(name: string): Slots {
    const known = this.#slots.get(name);
    if (known !== undefined) return known;
    const slots = new Slots({
      runningMax: RUNNING_PER_PRINCIPAL_MAX,
      waitingMax: HELD_MAX,
      waitMsMax: WAIT_MS_MAX,
      refusal: 'The request had to wait for too long; retry shortly.',
    });
    this.#slots.set(name, slots);
    return slots;
  }
}

/** How many there are of each name; none is kept of those that have none. */
class Tally {
  readonly #counts = new Map<string, number>();
  #total = 0;

  get total(): number {
    return this.#total;
  }

  of(name: string): number {
    return this.#counts.get(name) ?? 0;
  }

  raise(name: string): void {
    this.#total += 1;
    this.#counts.set(name, this.of(name) + 1);
  }

  lower(name: string): void {
    this.#total -= 1;
    const left = this.of(name) - 1;
    if (left > 0) this.#counts.set(name, left);
    else this.#counts.delete(name);
  }
}

function nameOf(caller: Principal): string {
  if (caller.kind === 'claim') return `${caller.board}/${caller.lane}`;
  if (caller.lane === null || caller.boards === '*') return caller.keyId;
  return `${[...caller.boards].join(' ')}/${caller.lane}`;
}

function tooManyOfClaim(max: number): ProblemError {
  const detail = `This claim token has ${max} requests of this kind under way, as many as it may; retry when one has been answered.`;
  return new ProblemError('rate_limited', detail, { headers: { 'Retry-After': '1' } });
}

function tooManyOfAll(): ProblemError {
  const detail = 'Too many requests of this caller are waiting for their turn; retry shortly.';
  return new ProblemError('rate_limited', detail, { headers: { 'Retry-After': '1' } });
}

function tooLate(cause: unknown): ProblemError {
  const detail = 'The database did not come to this request in time; retry shortly.';
  return new ProblemError('database_unavailable', detail, { cause, headers: { 'Retry-After': '2' } });
}
