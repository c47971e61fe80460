/**
 * Taking a lane over from its other workers. The first transaction raises the epoch and fences: it holds the board's counter row while it
 * looks for claims, so what was decided before is seen, and what is decided later is a new claim, made on the new configuration. What it
 * finds it deals with at once, as far as nobody is just ending it and no delegation may be decided by it (those are locked before the
 * counter row); the rest, and what is more than one transaction should carry, follows in others, in the usual order of locks, while the
 * epoch is still this takeover's. The alternative, to look before the counter row is held, overlooks claims that commit in between, and a
 * busy lane always has some.
 * Each claim is dealt with once, by whoever has its lock: its holder's end, or the takeover. So a request that comes again goes on from
 * what its first transaction wrote down, wherever the first try ended, or beside it where that still goes on. What either has adopted, and
 * may still adopt, is therefore asked of the rows.
 */

import type { TakeoverBody } from '../../../../contract/claims.ts';
import { LIMITS } from '../../../../contract/constants.ts';
import type { Runner, Sql, Tx } from '../../../db/client.ts';
import {
  appendEvents,
  countMove,
  lockCounter,
  type NewEvent,
  type StatusCounts,
} from '../../../db/event-log.ts';
import { transaction, withinDeadline } from '../../../db/tx.ts';
import type { Wake } from '../../../db/wake.ts';
import type { IdSource } from '../../../kernel/ids.ts';
import { actorOf, type Principal } from '../../../kernel/principal.ts';
import type { BoardRef } from '../../boards/service.ts';
import {
  type ConfigCache,
  type LaneRow,
  laneNotFound,
  lockLane,
  type PresenceTracker,
  raiseEpoch,
} from '../../lanes/service.ts';
import type { Returns } from '../claiming/returns.ts';
import { settleEndings } from '../settle.ts';
import {
  adoptTasks,
  countClaimsOfOthers,
  listAdopted,
  listClaimsOfOthers,
  lockTakenHolds,
  supersedeClaims,
  type TakenRef,
  type TakenRow,
} from '../store/takeover.ts';
import {
  type Adopted,
  adoptedOf,
  adoptionOf,
  isClaimableBy,
  mayDecideJoin,
  releaseOf,
  type Takeover,
} from './taken-claim.ts';
import type { TakeoverAllowance } from './takeover-allowance.ts';
import { assertAlone, assertMayClaim, isOfLane, tooOften } from './takeover-right.ts';

interface TakeoversParts {
  readonly sql: Sql;
  readonly wake: Wake;
  readonly ids: IdSource;
  readonly configs: ConfigCache;
  readonly presence: PresenceTracker;
  readonly returns: Pick<Returns, 'give'>;
  readonly allowance: TakeoverAllowance;
  /** Claims of one transaction, and of one request. Only tests shorten them. */
  readonly perTurnMax?: number;
  readonly takenMax?: number;
}

/** Of one transaction, some 100 ms: a board's claims and ends wait for it. */
const TAKEN_PER_TURN_MAX = 300;
/** Of one request: some seconds. Whoever takes over more asks again, for what is left. */
const TAKEN_MAX = 10_000;
/** Adopted claims come with one answer, bodies and payloads and all: as many as of one claim request. The others are released, ready to be claimed. */
const ADOPTED_MAX = LIMITS.claimsMax;

export interface TakeoverRequest {
  readonly caller: Principal;
  readonly board: BoardRef;
  readonly lane: string;
  readonly body: TakeoverBody;
}

export interface Begun {
  readonly takeover: Takeover;
  /** By this very try of the request. Grows while the rest is dealt with. */
  readonly adopted: Adopted[];
  /** Not dealt with by the first transaction, in task order. */
  readonly rest: readonly TakenRef[];
  /** Claims of others beyond what one request deals with. */
  readonly remaining: number;
}

/** What the same request goes on from when it comes again: the refs say themselves what has been dealt with since. */
export type TakeoverMemory = Pick<Begun, 'rest' | 'remaining'> & Pick<Takeover, 'epoch' | 'at'>;

export function memoryOf({ takeover: { epoch, at }, rest, remaining }: Begun): TakeoverMemory {
  return { epoch, at, rest, remaining };
}

type GiveBack = (adopted: readonly Adopted[]) => void;

export class Takeovers {
  readonly #parts: TakeoversParts;
  readonly #perTurnMax: number;
  readonly #takenMax: number;

  constructor(parts: TakeoversParts) {
    this.#parts = parts;
    this.#perTurnMax = parts.perTurnMax ?? TAKEN_PER_TURN_MAX;
    this.#takenMax = parts.takenMax ?? TAKEN_MAX;
  }

  async takeOver(request: TakeoverRequest): Promise<Begun> {
    const giveBack: GiveBack = (adopted) => this.giveBack(request.board, adopted);
    await this.admit(request);
    const begun = await transaction(
      this.#parts.sql,
      (tx) => this.begin(tx, request),
      (late) => giveBack(late.adopted),
    );
    try {
      await this.finish(begun, giveBack);
    } catch (error) {
      giveBack(begun.adopted);
      throw error;
    }
    return begun;
  }

  /** Before the first transaction of a request. */
  async admit({ caller, board, lane }: TakeoverRequest): Promise<void> {
    if (isOfLane(caller) && !this.#parts.allowance.take(board.id, lane)) throw tooOften(lane);
    // Who was seen on this server a moment ago counts.
    await this.#parts.presence.flush();
  }

  /** After the first transaction, any number of times: what it left. `giveBack` gets what is adopted when nobody waits for it any more. */
  async finish({ takeover, adopted, rest }: Begun, giveBack?: GiveBack): Promise<void> {
    const { presence, configs, wake, sql } = this.#parts;
    const { board, lane, worker } = takeover;
    presence.see({ boardId: board.id, lane, worker, version: null });
    try {
      for (let from = 0; from < rest.length; from += this.#perTurnMax) {
        const refs = rest.slice(from, from + this.#perTurnMax);
        const taken = await transaction(
          sql,
          (tx) => this.#goOn(tx, takeover, refs),
          (late) => giveBack?.(late ?? []),
        );
        // Taken over anew meanwhile: what is left is the newer one's.
        if (taken === null) break;
        adopted.push(...taken);
      }
    } finally {
      configs.forget(board.id);
      wake.nudge(board.id);
      wake.ring(board.id);
    }
  }

  /** For the same request of the same caller again: what may be left to finish. */
  recall(
    { caller, board, lane, body: { mode, worker } }: TakeoverRequest,
    { epoch, at, rest, remaining }: TakeoverMemory,
  ): Begun {
    const takeover = { board, lane, mode, worker, epoch, at, by: actorOf(caller) };
    return { takeover, adopted: [], rest, remaining };
  }

  /** What every try of the request has adopted, as far as it is still held. */
  async adoptedBy({ takeover }: Begun): Promise<Adopted[]> {
    return (await withinDeadline(this.#listAdopted(this.#parts.sql, takeover))).map(adoptedOf);
  }

  async #listAdopted(sql: Runner, takeover: Takeover): ReturnType<typeof listAdopted> {
    if (takeover.mode !== 'adopt') return [];
    return listAdopted(sql, takeover.board.id, takeover, ADOPTED_MAX);
  }

  /** Adopted claims whose answer never reached anybody are ready again at once. */
  giveBack(board: BoardRef, adopted: readonly Adopted[]): void {
    for (const claim of adopted)
      this.#parts.returns.give(board, claim, 'The answer to the takeover could not be delivered.');
  }

  /** The first transaction: the fence. */
  async begin(
    tx: Tx,
    { caller, board, lane: name, body: { mode, worker } }: TakeoverRequest,
  ): Promise<Begun> {
    const lane = await lockLane(tx, board.id, name);
    if (lane === null) throw laneNotFound(board.name, name);
    assertMayClaim(lane);
    // The usual refusal holds nothing up. What it cannot see yet is looked for below.
    if (isOfLane(caller)) await assertAlone(tx, board, name, worker);
    const { epoch, at } = await raiseEpoch(tx, board.id, name);
    await lockCounter(tx, board.id);
    // A claim may have been committed while the counter row was waited for. Nobody else's is from here on.
    if (isOfLane(caller)) await assertAlone(tx, board, name, worker);
    const others = { lane: name, worker, mode };
    const refs = await listClaimsOfOthers(tx, board.id, others, this.#takenMax);
    const isFull = refs.length === this.#takenMax;
    const remaining = isFull ? (await countClaimsOfOthers(tx, board.id, others)) - refs.length : 0;
    const by = actorOf(caller);
    const data = { mode, worker, epoch, claims: refs.length };
    const event: NewEvent = { kind: 'lane.taken_over', lane: name, worker, actor: by, data };
    await appendEvents(tx, board.id, { events: [event], isConfigChange: true });
    const takeover = { board, lane: name, mode, worker, epoch, at, by };
    // The counter row is ours, so nothing may be waited for that its holder may keep until it has the counter row.
    const locked = await lockTakenHolds(tx, board.id, refs.slice(0, this.#perTurnMax), 'skip');
    const holds = locked.filter((held) => mode === 'expire' || !mayDecideJoin(held));
    const adopted = await this.#take(tx, takeover, lane, holds, ADOPTED_MAX);
    const takenIds = new Set(holds.map((held) => held.run_id));
    const rest = refs.filter((ref) => !takenIds.has(ref.runId));
    return { takeover, adopted, rest, remaining };
  }

  /** Null: the lane has been taken over again, or is gone. */
  async #goOn(tx: Tx, takeover: Takeover, refs: readonly TakenRef[]): Promise<Adopted[] | null> {
    const { board, lane, epoch } = takeover;
    const current = await lockLane(tx, board.id, lane);
    if (current?.epoch !== epoch) return null;
    const holds = await lockTakenHolds(tx, board.id, refs, 'wait');
    // The lane is locked: another try of the same request adopts nothing meanwhile.
    const room = ADOPTED_MAX - (await this.#listAdopted(tx, takeover)).length;
    return this.#take(tx, takeover, current, holds, room);
  }

  async #take(
    tx: Tx,
    takeover: Takeover,
    lane: LaneRow,
    holds: readonly TakenRow[],
    room: number,
  ): Promise<Adopted[]> {
    if (holds.length === 0) return [];
    const { board, mode, worker, epoch, at, by } = takeover;
    const evidence = { takeover: { mode, worker, epoch, at, by } };
    if (mode === 'expire') {
      await supersedeClaims(tx, board.id, holds, evidence);
      return [];
    }
    const endings = holds.map((held) => releaseOf(takeover, held, evidence));
    await settleEndings(tx, board.id, endings);
    if (mode === 'release') return [];
    // Whose cancel was requested is cancelled now, what was linked to parents meanwhile waits for them, and nobody reviews his own work.
    const wanted = holds.filter((held) => isClaimableBy(held, takeover.worker)).slice(0, room);
    return this.#adopt(tx, takeover, lane, wanted);
  }

  /** The tasks are unheld and locked by this transaction; the new worker claims them with fresh clocks. */
  async #adopt(tx: Tx, takeover: Takeover, lane: LaneRow, holds: readonly TakenRow[]): Promise<Adopted[]> {
    if (holds.length === 0) return [];
    const { board, worker, by } = takeover;
    const claims = holds.map((held) => ({ held, runId: this.#parts.ids.next(board.id) }));
    const rows = await adoptTasks(tx, board.id, { lane, worker, claims });
    const counts: StatusCounts = {};
    for (const { claimed_from: from } of rows) countMove(counts, from, 'running');
    const events = rows.map((row) => adoptionOf(takeover, row, by));
    await appendEvents(tx, board.id, { events, counts });
    return rows.map(adoptedOf);
  }
}
