/**
 * Writes lane.online and lane.offline when the first worker of a lane has come and when the last has gone. Runs on every server; what the
 * log last said stands in the lane's row, and whoever changes it writes the event under the row's lock, so each edge is written once,
 * whoever sees it. Touches no configuration: claims in flight are not decided again.
 *
 * That nobody was seen may be our own fault: the database or all servers were away, and the workers had nobody to be seen by. So nobody is
 * said to have gone before they have had the time to be seen again.
 */
import type { Sql } from '../../db/client.ts';
import { appendEvents, type NewEvent } from '../../db/event-log.ts';
import { BoardGoneError } from '../../db/failures.ts';
import { impatientTransaction, withinDeadline } from '../../db/tx.ts';
import type { Wake } from '../../db/wake.ts';
import { Turns } from '../../kernel/turns.ts';
import type { PresenceTracker } from './presence.ts';
import { countOnlineWorkers, listPresenceEdges, lockPresence, setPresence } from './store/presence.ts';

interface PresenceEdgesParts {
  /** Connections that no caller can stand before. */
  readonly sql: Sql;
  readonly wake: Wake;
  readonly presence: PresenceTracker;
  /** Only tests shorten it. */
  readonly settleMs?: number;
}

/** A socket is seen every 10 s, and its server writes that within a second or two. */
const SETTLE_MS = 15_000;
/** Sweeps further apart than this were not regular: something stood still. */
const STALLED_MS = 5000;
/** Of one transaction, some 10 ms: capped claims of these lanes wait for it. */
const LANES_PER_TURN_MAX = 200;
/** All lanes of a large installation, which come back together after it was down; the rest is the next sweep's. */
const EDGES_PER_SWEEP_MAX = 5000;
const SWEEP_MS_MAX = 1000;
const TURNS_PER_SWEEP_MAX = Math.ceil(EDGES_PER_SWEEP_MAX / LANES_PER_TURN_MAX);

export class PresenceEdges {
  readonly #parts: PresenceEdgesParts;
  readonly #settleMs: number;
  #steadySinceMs = Number.POSITIVE_INFINITY;
  #sweptAtMs = Number.NEGATIVE_INFINITY;
  /** Of boards. */
  readonly #turns = new Turns<number>({ roundsMax: TURNS_PER_SWEEP_MAX, durationMsMax: SWEEP_MS_MAX });

  constructor(parts: PresenceEdgesParts) {
    this.#parts = parts;
    this.#settleMs = parts.settleMs ?? SETTLE_MS;
  }

  /** Called about once a second. */
  async sweep(signal: AbortSignal): Promise<void> {
    const startedAtMs = performance.now();
    if (startedAtMs - this.#sweptAtMs > STALLED_MS) this.#steadySinceMs = startedAtMs;
    // Unless this much succeeds nobody could be seen. What fails later is a board's own affair.
    this.#sweptAtMs = Number.NEGATIVE_INFINITY;
    await this.#parts.presence.flushDue();
    const mayEnd = startedAtMs - this.#steadySinceMs >= this.#settleMs;
    const boards = { exceptIds: this.#turns.troubled };
    const edges = await withinDeadline(
      listPresenceEdges(this.#parts.sql, mayEnd, boards, EDGES_PER_SWEEP_MAX),
    );
    try {
      await this.#settle(edges, mayEnd, signal);
    } finally {
      this.#sweptAtMs = performance.now();
    }
  }

  async #settle(
    edges: readonly { readonly board_id: number; readonly name: string }[],
    mayEnd: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const lanesByBoard = new Map<number, string[]>();
    for (const { board_id: boardId, name } of edges) {
      const lanes = lanesByBoard.get(boardId);
      if (lanes === undefined) lanesByBoard.set(boardId, [name]);
      else lanes.push(name);
    }
    await this.#turns.take([...lanesByBoard.keys()], signal, async (boardId, patienceMs) => {
      const lanes = lanesByBoard.get(boardId) ?? (await this.#listLanes(boardId, mayEnd));
      const portion = lanes.splice(0, LANES_PER_TURN_MAX);
      if (portion.length > 0) await this.#settleLanes(boardId, portion, mayEnd, patienceMs);
      return lanes.length > 0;
    });
  }

  /** Of a board in trouble, which was left out. */
  async #listLanes(boardId: number, mayEnd: boolean): Promise<string[]> {
    const listed = listPresenceEdges(this.#parts.sql, mayEnd, { onlyId: boardId }, LANES_PER_TURN_MAX);
    return (await withinDeadline(listed)).map(nameOf);
  }

  async #settleLanes(
    boardId: number,
    lanes: readonly string[],
    mayEnd: boolean,
    patienceMs: number,
  ): Promise<void> {
    try {
      const isChanged = await impatientTransaction(this.#parts.sql, patienceMs, async (tx) => {
        const known = await lockPresence(tx, boardId, lanes);
        // Seen afresh: another server may have been here, and workers may have come or gone while we waited for the lock.
        const workers = await countOnlineWorkers(
          tx,
          boardId,
          known.map(({ name }) => name),
        );
        const come = known.filter(({ name, is_online }) => !is_online && (workers.get(name) ?? 0) > 0);
        const gone = known.filter(({ name, is_online }) => is_online && mayEnd && workers.get(name) === 0);
        if (come.length + gone.length === 0) return false;
        await setPresence(tx, boardId, come.map(nameOf), true);
        await setPresence(tx, boardId, gone.map(nameOf), false);
        const events = [
          ...come.map(({ name }) => edgeOf('lane.online', name, workers.get(name) ?? 0)),
          ...gone.map(({ name }) => edgeOf('lane.offline', name, 0)),
        ];
        await appendEvents(tx, boardId, { events });
        return true;
      });
      if (isChanged) this.#parts.wake.ring(boardId);
    } catch (error) {
      // Deleted meanwhile, and its lanes with it.
      if (!(error instanceof BoardGoneError)) throw error;
    }
  }
}

const nameOf = ({ name }: { readonly name: string }): string => name;

function edgeOf(kind: 'lane.online' | 'lane.offline', lane: string, workers: number): NewEvent {
  return { kind, lane, actor: { type: 'system', id: 'presence' }, data: { workers } };
}
