/**
 * Taking a lane over from its other workers. The first transaction raises the epoch and fences: it holds the board's counter row while it
 * looks for claims, so what was decided before is seen, and what is decided later is a new claim, made on the new configuration. What it
 * finds it deals with at once, as far as nobody is just ending it; the rest, and what is more than one transaction should carry, follows
 * in others, in the usual order of locks, while the epoch is still this takeover's. The alternative, to look before the counter row is
 * held, overlooks claims that commit in between, and a busy lane always has some.
 * Each claim is dealt with once, by whoever has its lock: its holder's end, or the takeover.
 */
import type { TakeoverBody } from '../../../contract/claims.ts';
import type { TakeoverMode } from '../../../contract/statuses.ts';
import type { Sql, Tx } from '../../db/client.ts';
import { appendEvents, countMove, type NewEvent, type StatusCounts } from '../../db/event-log.ts';
import { transaction } from '../../db/tx.ts';
import type { Wake } from '../../db/wake.ts';
import { unreachable } from '../../kernel/assert.ts';
import type { IdSource, Uuid } from '../../kernel/ids.ts';
import { type ActorRef, actorOf, type Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { BoardRef } from '../boards/service.ts';
import {
  type ConfigCache,
  type LaneRow,
  laneNotFound,
  listOthersOnline,
  lockLane,
  type PresenceTracker,
  raiseEpoch,
} from '../lanes/service.ts';
import type { Returns, Undelivered } from './returns.ts';
import { type Ending, settleEndings } from './settle.ts';
import {
  type AdoptedRow,
  adoptTasks,
  listClaimsOfOthers,
  lockCounter,
  lockTakenHolds,
  supersedeClaims,
  type TakenRef,
  type TakenRow,
} from './store/takeover.ts';
import type { TakeoverAllowance } from './takeover-allowance.ts';

interface TakeoversParts {
  readonly sql: Sql;
  readonly wake: Wake;
  readonly ids: IdSource;
  readonly configs: ConfigCache;
  readonly presence: PresenceTracker;
  readonly returns: Pick<Returns, 'give'>;
  readonly allowance: TakeoverAllowance;
  /** Claims of one transaction. Only tests shorten it. */
  readonly perTurnMax?: number;
}

/** Of one transaction, some 100 ms: a board's claims and ends wait for it. */
const TAKEN_PER_TURN_MAX = 300;
/** Of one request: some seconds. Whoever takes over more asks again, for what is left. */
const TAKEN_MAX = 10_000;
/** Adopted claims come with one answer, payloads and all: as many as a batch of operations. The others are released, ready to be claimed. */
const ADOPTED_MAX = 500;

/** A takeover that has begun. */
interface Takeover {
  readonly board: BoardRef;
  readonly lane: LaneRow;
  readonly mode: TakeoverMode;
  readonly worker: string;
  readonly epoch: number;
  readonly at: string;
  readonly by: ActorRef;
}

export interface Adopted extends Undelivered {
  readonly runId: Uuid;
}

interface Begun {
  readonly takeover: Takeover;
  readonly adopted: readonly Adopted[];
  /** Not dealt with yet, in task order. */
  readonly rest: readonly TakenRef[];
  readonly isComplete: boolean;
}

export class Takeovers {
  readonly #parts: TakeoversParts;
  readonly #perTurnMax: number;

  constructor(parts: TakeoversParts) {
    this.#parts = parts;
    this.#perTurnMax = parts.perTurnMax ?? TAKEN_PER_TURN_MAX;
  }

  /** Resolves to what was adopted. */
  async takeOver(caller: Principal, board: BoardRef, lane: string, body: TakeoverBody): Promise<Adopted[]> {
    const { presence, configs, wake, sql, allowance } = this.#parts;
    if (isOfLane(caller) && !allowance.take(board.id, lane)) throw tooOften(lane);
    // Who was seen on this server a moment ago counts.
    await presence.flush();
    const begun = await transaction(
      sql,
      (tx) => this.#begin(tx, caller, board, lane, body),
      (late) => this.giveBack(board, late.adopted),
    );
    presence.see({ boardId: board.id, lane, worker: body.worker, version: null });
    const adopted = [...begun.adopted];
    try {
      for (let from = 0; from < begun.rest.length; from += this.#perTurnMax) {
        const refs = begun.rest.slice(from, from + this.#perTurnMax);
        const room = ADOPTED_MAX - adopted.length;
        const taken = await transaction(
          sql,
          (tx) => this.#goOn(tx, begun.takeover, refs, room),
          (late) => this.giveBack(board, late ?? []),
        );
        // Taken over anew meanwhile: what is left is the newer one's.
        if (taken === null) break;
        adopted.push(...taken);
      }
      if (!begun.isComplete) throw tooManyClaims(lane);
    } catch (error) {
      this.giveBack(board, adopted);
      throw error;
    } finally {
      configs.forget(board.id);
      wake.ring(board.id);
    }
    return adopted;
  }

  /** Adopted claims whose answer never reached anybody are ready again at once. */
  giveBack(board: BoardRef, adopted: readonly Adopted[]): void {
    for (const claim of adopted)
      this.#parts.returns.give(board, claim, 'The answer to the takeover could not be delivered.');
  }

  async #begin(
    tx: Tx,
    caller: Principal,
    board: BoardRef,
    name: string,
    { mode, worker }: TakeoverBody,
  ): Promise<Begun> {
    const lane = await lockLane(tx, board.id, name);
    if (lane === null) throw laneNotFound(board.name, name);
    assertMayClaim(lane);
    if (isOfLane(caller)) await assertAlone(tx, board, name, worker);
    const { epoch, at } = await raiseEpoch(tx, board.id, name);
    await lockCounter(tx, board.id);
    const all = await listClaimsOfOthers(tx, board.id, { lane: name, worker, mode }, TAKEN_MAX + 1);
    const refs = all.slice(0, TAKEN_MAX);
    const by = actorOf(caller);
    const data = { mode, worker, epoch, claims: refs.length };
    const event: NewEvent = { kind: 'lane.taken_over', lane: name, worker, actor: by, data };
    await appendEvents(tx, board.id, { events: [event], isConfigChange: true });
    const takeover = { board, lane, mode, worker, epoch, at, by };
    // The counter row is ours, so nothing may be waited for that its holder may keep until it has the counter row.
    const holds = await lockTakenHolds(tx, board.id, refs.slice(0, this.#perTurnMax), 'skip');
    const adopted = await this.#take(tx, takeover, holds, ADOPTED_MAX);
    const takenIds = new Set(holds.map((held) => held.run_id));
    const rest = refs.filter((ref) => !takenIds.has(ref.runId));
    return { takeover, adopted, rest, isComplete: refs.length === all.length };
  }

  /** Null: the lane has been taken over again, or is gone. */
  async #goOn(
    tx: Tx,
    takeover: Takeover,
    refs: readonly TakenRef[],
    room: number,
  ): Promise<Adopted[] | null> {
    const { board, lane, epoch } = takeover;
    const current = await lockLane(tx, board.id, lane.name);
    if (current?.epoch !== epoch) return null;
    return this.#take(tx, takeover, await lockTakenHolds(tx, board.id, refs, 'wait'), room);
  }

  async #take(tx: Tx, takeover: Takeover, holds: readonly TakenRow[], room: number): Promise<Adopted[]> {
    const { board, mode, worker, epoch, at, by } = takeover;
    const evidence = { takeover: { mode, worker, epoch, at, by } };
    if (holds.length === 0) return [];
    switch (mode) {
      case 'expire':
        await supersedeClaims(tx, board.id, holds, evidence);
        return [];
      case 'release':
        await settleEndings(
          tx,
          board.id,
          holds.map((held) => releaseOf(takeover, held, evidence)),
        );
        return [];
      case 'adopt':
        await settleEndings(
          tx,
          board.id,
          holds.map((held) => releaseOf(takeover, held, evidence)),
        );
        // Whose cancel was requested is cancelled now.
        return this.#adopt(tx, takeover, holds.filter((held) => !held.is_cancel_requested).slice(0, room));
      default:
        return unreachable(mode);
    }
  }

  /** The tasks are unheld and locked by this transaction; the new worker claims them with fresh clocks. */
  async #adopt(tx: Tx, takeover: Takeover, holds: readonly TakenRow[]): Promise<Adopted[]> {
    if (holds.length === 0) return [];
    const { board, lane, worker, by } = takeover;
    const claims = holds.map((held) => ({ held, runId: this.#parts.ids.next(board.id) }));
    const rows = await adoptTasks(tx, board.id, { lane, worker, claims });
    const counts: StatusCounts = {};
    for (const { claimed_from: from } of rows) countMove(counts, from, 'running');
    const events = rows.map((row) => adoptionOf(takeover, row, by));
    await appendEvents(tx, board.id, { events, counts });
    return rows.map((row) => ({
      runId: row.run_id,
      hold: { taskId: row.task_id, runId: row.run_id, attempt: row.attempt },
      leaseMs: row.lease_seconds * 1000,
    }));
  }
}

/** Its right ends at its lane, and where a sibling works. */
function isOfLane(caller: Principal): boolean {
  return caller.kind !== 'key' || caller.role === 'lane';
}

function tooOften(lane: string): ProblemError {
  const detail = `Lane ${JSON.stringify(lane)} has been taken over many times in the last seconds; retry shortly.`;
  return new ProblemError('rate_limited', detail, { headers: { 'Retry-After': '1' } });
}

function assertMayClaim({ kind, allowed_status_mutations: mutations }: LaneRow): void {
  if (kind !== 'human' && mutations !== 'none') return;
  const why = kind === 'human' ? 'people work on it' : 'its allowed_status_mutations is none';
  throw new ProblemError(
    'lane_may_not_claim',
    `No worker claims for this lane (${why}), so none takes it over.`,
  );
}

async function assertAlone(tx: Tx, board: BoardRef, lane: string, worker: string): Promise<void> {
  const [other] = await listOthersOnline(tx, board.id, lane, worker, 1);
  if (other === undefined) return;
  const { worker: name, last_seen_at: at, is_holding: isHolding } = other;
  const why = isHolding ? 'it holds live claims' : `it was seen at ${at}`;
  throw new ProblemError(
    'forbidden',
    `Worker ${JSON.stringify(name)} of lane ${JSON.stringify(lane)} is online: ${why}. A lane key takes its lane over only while no other worker of it is; an orchestrator always may.`,
  );
}

function tooManyClaims(lane: string): ProblemError {
  return new ProblemError(
    'rate_limited',
    `Lane ${JSON.stringify(lane)} held more than ${TAKEN_MAX} claims of other workers. So many are taken over; ask again for the rest.`,
    { headers: { 'Retry-After': '1' } },
  );
}

function releaseOf({ lane, worker, by }: Takeover, held: TakenRow, evidence: Ending['evidence']): Ending {
  return {
    held,
    end: { verb: 'release', delaySeconds: null },
    actor: by,
    fingerprint: null,
    summary: null,
    result: null,
    error: `Worker ${JSON.stringify(worker)} took lane ${JSON.stringify(lane.name)} over.`,
    metadata: null,
    evidence,
  };
}

function adoptionOf({ lane, worker, epoch }: Takeover, row: AdoptedRow, actor: ActorRef): NewEvent {
  return {
    kind: 'task.claimed',
    taskId: row.task_id,
    runId: row.run_id,
    lane: lane.name,
    worker,
    attempt: row.attempt,
    taskVersion: row.version,
    actor,
    data: {
      status_before: row.claimed_from,
      status_after: 'running',
      lease_seconds: row.lease_seconds,
      lease_expires_at: row.lease_expires_at,
      adopted_by_epoch: epoch,
    },
  };
}
