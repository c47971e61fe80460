/**
 * Workers whose sockets have closed. The close is written to the worker's row, and where the worker asked for it, the claims it holds end
 * there and then as crashed, instead of at the end of their leases. The row decides, under its lock: a worker that has come back first, on
 * whatever server, keeps everything. Claims that the closed socket never took on are not crashed but released (returns.ts).
 * While the database is away a close stays owed, in memory and for a while; after that, or when the server is killed, it is the lease that
 * ends the claims.
 *
 * A worker may have been unable to come back by our own fault: what refused its hello was the same outage. So only what is decided at
 * once, by a server that has stood still for nobody of late, crashes at once. Every other close is written first, and crashes what it
 * must when the worker has had the time to say hello again. The same holds for a socket that closed before its hello was answered: the
 * worker may have said hello elsewhere before that one was written over it, and that socket is now sent away as the older.
 */
import type { Sql } from '../../../db/client.ts';
import { BoardGoneError, isConflict, isDatabaseAway } from '../../../db/failures.ts';
import { transaction } from '../../../db/tx.ts';
import type { Wake } from '../../../db/wake.ts';
import { Batcher, type Settled } from '../../../kernel/batcher.ts';
import type { Uuid } from '../../../kernel/ids.ts';
import { ProblemError } from '../../../kernel/problem-error.ts';
import type { BoardRef } from '../../boards/service.ts';
import { closeWorkerSockets } from '../../lanes/service.ts';
import type { Returns } from '../claiming/returns.ts';
import { type Ending, settleEndings } from '../settle.ts';
import { listCrashable } from '../store/departure.ts';
import { type HeldRow, lockHolds } from '../store/end.ts';

export interface Departure {
  readonly board: BoardRef;
  readonly lane: string;
  readonly worker: string;
  readonly socketId: Uuid;
  /** Neither superseded nor sent away by a server that stops: what asked to be crashed is. */
  readonly isLost: boolean;
  /** False: a hello of this socket as this worker was not answered, so nobody knows whom it was written over. */
  readonly mayCrashAtOnce: boolean;
}

interface Owed extends Departure {
  readonly closedAtMs: number;
  /** When its claims may be crashed. Infinite: the close has to be written first. */
  crashFromMs: number;
  isTrying: boolean;
}

interface DeparturesParts {
  readonly sql: Sql;
  readonly wake: Wake;
  readonly returns: Pick<Returns, 'owes'>;
  readonly onCrashed: (count: number) => void;
  readonly onError: (error: unknown) => void;
  /** Only tests shorten it. */
  readonly settleMs?: number;
}

/** As a lane has before it is said to be offline: a client that cannot get through tries again every few seconds. */
const SETTLE_MS = 15_000;
/** Some ms are usual. What took longer was not decided at once: the database or this server stood still. */
const AT_ONCE_MS = 1000;
/** Sweeps come twice a second. As for the edges of presence. */
const STALLED_MS = 5000;

/** All sockets of a server (10,000), each for two lanes, at some 0.3 KiB. What comes on top is left to the lease. */
const OWED_MAX = 20_000;
/** Far above a restart of the database. After that a lease may as well say it. */
const OWED_MS_MAX = 10 * 60_000;
/** Tried again in one sweep. */
const RETRIED_MAX = 1000;
/** After a failure all of them wait: the next one would fail alike. */
const REST_MS = 1000;
/** Of one lane in one transaction. */
const GATHERED_MAX = 200;
/** Of one transaction, some 100 ms, as the reaper's; and how many of them before the rest is left to the lease. */
const CRASHED_PER_TURN_MAX = 500;
const TURNS_MAX = 20;

export class Departures {
  readonly #parts: DeparturesParts;
  readonly #owed = new Set<Owed>();
  /** By lane: no transaction holds workers of two, so none waits in a circle with the deregistering of a lane. */
  readonly #batcher: Batcher<string, Owed, void>;
  readonly #settleMs: number;
  #restUntilMs = 0;
  #sweptAtMs = Number.POSITIVE_INFINITY;
  /** Closes before this are given time to settle. */
  #unsteadyUntilMs = Number.NEGATIVE_INFINITY;

  constructor(parts: DeparturesParts) {
    this.#parts = parts;
    this.#settleMs = parts.settleMs ?? SETTLE_MS;
    this.#batcher = new Batcher({
      sizeMax: GATHERED_MAX,
      waitingMax: OWED_MAX,
      run: (_lane, departures) => this.#settleGathered(departures),
    });
  }

  leave(departure: Departure): void {
    if (this.#owed.size >= OWED_MAX) return;
    const nowMs = performance.now();
    this.#noticeStall(nowMs);
    const isAtOnce = departure.mayCrashAtOnce && nowMs >= this.#unsteadyUntilMs;
    const crashFromMs = isAtOnce ? nowMs : Number.POSITIVE_INFINITY;
    const owed = { ...departure, closedAtMs: nowMs, crashFromMs, isTrying: false };
    this.#owed.add(owed);
    void this.#try(owed);
  }

  /** Called a few times a second. */
  sweep(): void {
    const nowMs = performance.now();
    this.#noticeStall(nowMs);
    this.#sweptAtMs = nowMs;
    if (nowMs < this.#restUntilMs) return;
    let tried = 0;
    for (const owed of this.#owed) {
      if (owed.isTrying || isSettling(owed, nowMs)) continue;
      if (nowMs - owed.closedAtMs >= OWED_MS_MAX) this.#owed.delete(owed);
      else if (tried < RETRIED_MAX) {
        tried += 1;
        void this.#try(owed);
      }
    }
  }

  /** A sweep that is late: whatever closes now may have been closed by that. */
  #noticeStall(nowMs: number): void {
    if (nowMs - this.#sweptAtMs > STALLED_MS) this.#unsteadyUntilMs = nowMs + this.#settleMs;
  }

  drain(): Promise<void> {
    return this.#batcher.drain();
  }

  async #try(owed: Owed): Promise<void> {
    owed.isTrying = true;
    try {
      await this.#batcher.submit(`${owed.board.id} ${owed.lane}`, owed);
      if (!isSettling(owed, performance.now())) this.#owed.delete(owed);
    } catch (error) {
      if (isWorthAnotherTry(error)) this.#putOff(owed);
      else this.#owed.delete(owed);
      // A deleted board took its workers and claims with it.
      if (!(error instanceof BoardGoneError)) this.#parts.onError(error);
    } finally {
      owed.isTrying = false;
    }
  }

  /** Of a close that has just been written. */
  #mayCrash(owed: Owed): boolean {
    const nowMs = performance.now();
    const isFirst = owed.crashFromMs === owed.closedAtMs;
    if (isFirst ? nowMs - owed.closedAtMs <= AT_ONCE_MS : owed.crashFromMs <= nowMs) return true;
    if (!isSettling(owed, nowMs)) owed.crashFromMs = nowMs + this.#settleMs;
    return false;
  }

  #putOff(owed: Owed): void {
    const nowMs = performance.now();
    this.#restUntilMs = nowMs + REST_MS;
    this.#unsteadyUntilMs = nowMs + this.#settleMs;
    owed.crashFromMs = Number.POSITIVE_INFINITY;
  }

  async #settleGathered(departures: readonly Owed[]): Promise<Settled<void>[]> {
    const boardId = departures[0]?.board.id;
    for (let turn = 0; boardId !== undefined && turn < TURNS_MAX; turn += 1) {
      const crashed = await this.#settleTurn(boardId, departures);
      if (crashed > 0) {
        this.#parts.onCrashed(crashed);
        this.#parts.wake.nudge(boardId);
        this.#parts.wake.ring(boardId);
      }
      if (crashed < CRASHED_PER_TURN_MAX) break;
    }
    return departures.map(() => ({ ok: true, value: undefined }));
  }

  /** Resolves to how many claims ended. */
  #settleTurn(boardId: number, departures: readonly Owed[]): Promise<number> {
    const lane = departures[0]?.lane ?? '';
    // A socket may have been several workers of the lane.
    const lost = new Map(departures.filter(({ isLost }) => isLost).map((owed) => [keyOf(owed), owed]));
    return transaction(this.#parts.sql, async (tx) => {
      const nowMs = performance.now();
      const closings = departures.map(({ worker, socketId, closedAtMs }) => {
        return { worker, socketId, secondsAgo: (nowMs - closedAtMs) / 1000 };
      });
      const closed = await closeWorkerSockets(tx, boardId, lane, closings);
      const closedAt = new Map<string, string>();
      for (const { worker, socket_id: socketId, socket_closed_at: at } of closed) {
        const owed = lost.get(keyOf({ worker, socketId }));
        if (owed !== undefined && this.#mayCrash(owed)) closedAt.set(worker, at);
      }
      if (closedAt.size === 0) return 0;
      const flagged = await listCrashable(tx, boardId, lane, [...closedAt.keys()]);
      const refs = flagged
        .filter(({ runId }) => !this.#parts.returns.owes(runId))
        .slice(0, CRASHED_PER_TURN_MAX);
      if (refs.length === 0) return 0;
      const holds = await lockHolds(tx, boardId, refs);
      await settleEndings(
        tx,
        boardId,
        holds.map((held) => crashOf(held, closedAt.get(held.worker) ?? null)),
      );
      return holds.length;
    });
  }
}

function keyOf({ worker, socketId }: Pick<Departure, 'worker' | 'socketId'>): string {
  return `${socketId} ${worker}`;
}

function isSettling({ crashFromMs }: Owed, nowMs: number): boolean {
  return nowMs < crashFromMs && crashFromMs < Number.POSITIVE_INFINITY;
}

function isWorthAnotherTry(error: unknown): boolean {
  if (error instanceof ProblemError) return error.code === 'rate_limited';
  return isDatabaseAway(error) || isConflict(error);
}

function crashOf(held: HeldRow, socketClosedAt: string | null): Ending {
  const reason = `The socket of its worker closed at ${socketClosedAt}, and the claim was to be taken then (crash_on_disconnect).`;
  return {
    held,
    end: { verb: 'crash', reason },
    actor: { type: 'system', id: 'disconnect' },
    fingerprint: null,
    summary: null,
    result: null,
    error: reason,
    metadata: null,
    evidence: {
      limit: 'disconnect',
      socket_closed_at: socketClosedAt,
      claimed_at: held.claimed_at,
      lease_expires_at: held.lease_expires_at,
      last_heartbeat_at: held.last_heartbeat_at,
      last_progress_at: held.last_progress_at,
    },
  };
}
