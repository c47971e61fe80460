/** Lanes: registered, changed, paused, resumed, drained, deregistered; shown with presence and backlog. */

import type { Lane, LaneBody, LaneKind } from '../../../contract/lanes.ts';
import type { EventKind } from '../../../contract/statuses.ts';
import type { Runner, Sql, Tx } from '../../db/client.ts';
import { appendEvents, type NewEvent } from '../../db/event-log.ts';
import { transaction, withinDeadline } from '../../db/tx.ts';
import type { Wake } from '../../db/wake.ts';
import { type ActorRef, actorOf, type Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import { boardNotFound, holdPlace, type KeyService } from '../auth/service.ts';
import { type BoardRef, versionMismatch } from '../boards/service.ts';
import type { ConfigCache } from './config.ts';
import { checked, DEFAULTS, fieldsOf, withoutNulls } from './lane-fields.ts';
import { laneOf } from './lane-view.ts';
import type { PresenceTracker } from './presence.ts';
import {
  deleteLane,
  findLane,
  findLaneNames,
  hasLaneClaims,
  insertLane,
  insertLanes,
  type LaneFields,
  type LaneRow,
  listDrainedLanes,
  listLanes,
  lockLane,
  lockLaneForEnd,
  type NamedLane,
  setLaneState,
  updateLane,
} from './store/lane.ts';
import { readBacklogs, readWorkers } from './store/presence.ts';

export { type BoardConfig, ConfigCache, type LaneConfig } from './config.ts';
export { PresenceTracker } from './presence.ts';
export { PresenceEdges } from './presence-edges.ts';
export { type LaneRow, lockLane, markReviewers, type NamedLane, raiseEpoch } from './store/lane.ts';
export { type LaneOffline, type LaneState, listLanesOffline, readLaneStates } from './store/lane-state.ts';
export { listOthersOnline } from './store/presence.ts';
export {
  closeWorkerSockets,
  listNewerSockets,
  listNewestSockets,
  type NewestSocketRow,
  openWorkerSockets,
  type SocketOpening,
} from './store/worker-socket.ts';

/** Lanes that one sweep moves from draining to paused. */
const DRAINED_PER_SWEEP_MAX = 100;

type Switch = 'pause' | 'resume' | 'drain';
const SWITCHES: Record<
  Switch,
  { readonly kind: EventKind; readonly isPaused: boolean; readonly isDraining: boolean }
> = {
  pause: { kind: 'lane.paused', isPaused: true, isDraining: false },
  resume: { kind: 'lane.resumed', isPaused: false, isDraining: false },
  drain: { kind: 'lane.draining', isPaused: false, isDraining: true },
};

interface LaneServiceParts {
  readonly sql: Sql;
  readonly wake: Wake;
  readonly presence: PresenceTracker;
  readonly configs: ConfigCache;
  readonly keys: KeyService;
}

export function laneNotFound(board: string, lane: string): ProblemError {
  return new ProblemError(
    'lane_not_found',
    `There is no lane ${JSON.stringify(lane)} on board ${JSON.stringify(board)}. Register it: lanekeeper lanes register ${lane}`,
    { extensions: { resource: 'lane' } },
  );
}

/** Those that the board has none of; the others are left alone. The caller writes the events, as a change of configuration. */
export async function registerMissingLanes(
  tx: Tx,
  boardId: number,
  lanes: readonly { readonly name: string; readonly kind: LaneKind }[],
  isDryRun: boolean,
): Promise<NamedLane[]> {
  if (lanes.length === 0) return [];
  const names = lanes.map(({ name }) => name);
  const known = new Set(await findLaneNames(tx, boardId, names));
  const missing = lanes
    .filter(({ name }) => !known.has(name))
    .sort((left, right) => (left.name < right.name ? -1 : 1))
    .map(({ name, kind }) => ({ name, fields: { ...DEFAULTS, kind } }));
  return isDryRun ? missing : insertLanes(tx, boardId, missing);
}

export class LaneService {
  readonly #parts: LaneServiceParts;

  constructor(parts: LaneServiceParts) {
    this.#parts = parts;
  }

  async get(board: BoardRef, name: string): Promise<Lane> {
    const row = await withinDeadline(findLane(this.#parts.sql, board.id, name));
    if (row === null) throw laneNotFound(board.name, name);
    const [lane] = await this.#withPresence(this.#parts.sql, board, [row]);
    if (lane === undefined) throw laneNotFound(board.name, name);
    return lane;
  }

  async list(
    board: BoardRef,
    afterName: string | null,
    rowsMax: number,
    runner: Runner = this.#parts.sql,
  ): Promise<Lane[]> {
    const rows = await withinDeadline(listLanes(runner, board.id, afterName, rowsMax));
    return this.#withPresence(runner, board, rows);
  }

  async put(
    caller: Principal,
    board: BoardRef,
    name: string,
    body: LaneBody,
  ): Promise<{ lane: Lane; isNew: boolean }> {
    const given = withoutNulls(body);
    const isNew = await this.#change(board, async (tx) => {
      const fields = checked({ ...DEFAULTS, ...given });
      if (!(await insertLane(tx, board.id, name, fields))) return null;
      await this.#log(tx, board, {
        kind: 'lane.registered',
        lane: name,
        actor: actorOf(caller),
        data: { ...fields },
      });
      return true;
    });
    if (isNew === null)
      await this.#update(caller, board, name, null, (row) => ({ ...fieldsOf(row), ...given }));
    return { lane: await this.get(board, name), isNew: isNew !== null };
  }

  /** In a PATCH null sets a field back to its default. */
  async patch(
    caller: Principal,
    board: BoardRef,
    name: string,
    version: number | null,
    body: LaneBody,
  ): Promise<Lane> {
    const given = Object.fromEntries(
      Object.entries(body).map(([key, value]) => [
        key,
        value === null ? DEFAULTS[key as keyof LaneFields] : value,
      ]),
    );
    await this.#update(caller, board, name, version, (row) => ({ ...fieldsOf(row), ...given }));
    return this.get(board, name);
  }

  async #update(
    caller: Principal,
    board: BoardRef,
    name: string,
    version: number | null,
    change: (row: LaneRow) => LaneFields,
  ): Promise<void> {
    await this.#change(board, async (tx) => {
      const row = await this.#lock(tx, board, name);
      if (version !== null && version !== row.version) throw versionMismatch(row.version);
      const before = fieldsOf(row);
      const after = checked(change(row));
      const changed = Object.entries(after).filter(
        ([key, value]) => JSON.stringify(value) !== JSON.stringify(before[key as keyof LaneFields]),
      );
      if (changed.length === 0) return;
      await updateLane(tx, board.id, name, after);
      await this.#log(tx, board, {
        kind: 'lane.updated',
        lane: name,
        actor: actorOf(caller),
        data: Object.fromEntries(changed),
      });
    });
  }

  async switch(caller: Principal, board: BoardRef, name: string, to: Switch): Promise<Lane> {
    const { kind, isPaused, isDraining } = SWITCHES[to];
    await this.#change(board, async (tx) => {
      const row = await this.#lock(tx, board, name);
      if (row.is_paused === isPaused && row.is_draining === isDraining) return;
      if (to === 'drain' && row.is_paused) return; // Nothing is handed out already, and a pause is where a drain ends.
      await setLaneState(tx, board.id, name, { isPaused, isDraining });
      await this.#log(tx, board, {
        kind,
        lane: name,
        actor: actorOf(caller),
        data: { paused: isPaused, draining: isDraining },
      });
      // The counter row is ours now: no claim of this board is under way that a fresh look could miss.
      if (to === 'drain') await this.#pauseIfDrained(tx, board, name, actorOf(caller));
    });
    return this.get(board, name);
  }

  async delete(caller: Principal, board: BoardRef, name: string): Promise<void> {
    await this.#change(board, async (tx) => {
      if (!(await lockLaneForEnd(tx, board.id, name))) throw laneNotFound(board.name, name);
      await this.#log(tx, board, { kind: 'lane.deregistered', lane: name, actor: actorOf(caller), data: {} });
      if (await hasLaneClaims(tx, board.id, name)) {
        throw new ProblemError(
          'lane_has_claims',
          `Lane ${JSON.stringify(name)} holds claims; drain it first.`,
        );
      }
      await deleteLane(tx, board.id, name);
      await this.#parts.keys.revokeLaneKeys(tx, board.name, name);
    });
  }

  /** Until the transaction ends neither it nor its board is gone: what is made for it meanwhile is found by then. */
  async hold(tx: Tx, board: BoardRef, name: string): Promise<void> {
    const { held, isLaneHeld } = await holdPlace(tx, [board.name], name);
    if (held.length === 0) throw boardNotFound(board.name);
    if (!isLaneHeld) throw laneNotFound(board.name, name);
  }

  /** A draining lane whose last claim has ended becomes paused. */
  async pauseDrainedLanes(resolveBoard: (id: number) => Promise<BoardRef | null>): Promise<void> {
    for (const { board_id, name } of await withinDeadline(
      listDrainedLanes(this.#parts.sql, DRAINED_PER_SWEEP_MAX),
    )) {
      const board = await resolveBoard(board_id);
      if (board === null) continue;
      await this.#change(board, async (tx) => {
        const row = await lockLane(tx, board.id, name);
        if (row?.is_draining) await this.#pauseIfDrained(tx, board, name, { type: 'system', id: 'drain' });
      });
    }
  }

  async #pauseIfDrained(tx: Tx, board: BoardRef, name: string, actor: ActorRef): Promise<void> {
    if (await hasLaneClaims(tx, board.id, name)) return;
    await setLaneState(tx, board.id, name, { isPaused: true, isDraining: false });
    await this.#log(tx, board, {
      kind: 'lane.paused',
      lane: name,
      actor,
      data: { paused: true, draining: false },
    });
  }

  /** Runs a change of configuration; the caches learn of it, and waiting claims are woken to decide again. */
  async #change<T>(board: BoardRef, work: (tx: Tx) => Promise<T>): Promise<T> {
    const result = await transaction(this.#parts.sql, work);
    this.#parts.configs.forget(board.id);
    this.#parts.wake.ring(board.id);
    return result;
  }

  async #lock(tx: Tx, board: BoardRef, name: string): Promise<LaneRow> {
    const row = await lockLane(tx, board.id, name);
    if (row === null) throw laneNotFound(board.name, name);
    return row;
  }

  async #log(tx: Tx, board: BoardRef, event: NewEvent): Promise<void> {
    await appendEvents(tx, board.id, { events: [event], isConfigChange: true });
  }

  async #withPresence(runner: Runner, board: BoardRef, rows: readonly LaneRow[]): Promise<Lane[]> {
    if (rows.length === 0) return [];
    await this.#parts.presence.flush();
    const names = rows.map((row) => row.name);
    const [workers, backlogs] = await withinDeadline(
      Promise.all([readWorkers(runner, board.id, names), readBacklogs(runner, board.id, names)]),
    );
    return rows.map((row) => laneOf(board, row, workers, backlogs));
  }
}
