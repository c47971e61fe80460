/** Why tasks are not running, for one or for a whole page of them. Only looks: decides nothing, and locks nothing. */
import { LIMITS } from '../../../contract/constants.ts';
import type { Task } from '../../../contract/tasks.ts';
import type { ListedTask, WhyReason } from '../../../contract/why.ts';
import { begin } from '../../db/begin.ts';
import { pinPlans, type Runner, type Sql, type Tx } from '../../db/client.ts';
import { withinDeadline } from '../../db/tx.ts';
import { assert, present } from '../../kernel/assert.ts';
import { parseId, type Uuid } from '../../kernel/ids.ts';
import type { Principal } from '../../kernel/principal.ts';
import { type BoardRef, settingsOf } from '../boards/service.ts';
import { type LaneState, type PresenceTracker, readLaneStates } from '../lanes/service.ts';
import type { TaskService } from '../tasks/service.ts';
import { laneOf, type Place, reasonsOf, type WhyFacts } from './reasons.ts';
import {
  listUnmetParents,
  readBoardState,
  readPlaces,
  readWaitingTasks,
  type UnmetParent,
  type WaitingTask,
} from './store/why.ts';

/** Tasks ahead in a lane are counted this far. Pinned by the issue: people ask whether it is soon, not which of a million they are. */
const AHEAD_MAX = 1000;
/**
 * Read of the heads of all lanes of a page: some 10 ms where the visibility map is out of date. With more than five lanes each is counted
 * less far than AHEAD_MAX.
 */
const PLACES_MAX = 5000;

const FIRST: Place = { ahead: 0, isAtLeast: false };

interface WhyParts {
  readonly sql: Sql;
  readonly presence: PresenceTracker;
  readonly tasks: TaskService;
}

export class Why {
  readonly #parts: WhyParts;

  constructor(parts: WhyParts) {
    this.#parts = parts;
  }

  async explain(caller: Principal, board: BoardRef, reference: string): Promise<WhyReason[]> {
    const { sql, tasks } = this.#parts;
    const task = await tasks.get(caller, board, reference);
    await this.noticeWorkers();
    const id = idOf(task);
    // Of one instant: a task that is claimed between two looks would seem to be far back in its queue.
    const found = begin(sql, 'ISOLATION LEVEL REPEATABLE READ READ ONLY', async (tx) => {
      await pinPlans(tx);
      return this.reasonsOf(tx, board.id, [id]);
    });
    return (await withinDeadline(found)).get(id) ?? [];
  }

  /** @param tx The snapshot that the tasks are of; nothing else is read in it afterwards. */
  async explainAll(tx: Tx, board: BoardRef, tasks: readonly Task[]): Promise<ListedTask[]> {
    await pinPlans(tx);
    const ids = tasks.map((task) => idOf(task));
    const found = await this.reasonsOf(tx, board.id, ids);
    return tasks.map((task) => ({ ...task, reasons: found.get(idOf(task)) ?? [] }));
  }

  /** To be called before a snapshot is taken that lanes are to be judged by: a worker may have come just now. */
  noticeWorkers(): Promise<void> {
    return this.#parts.presence.flush();
  }

  /** Of tasks of a page, in at most five statements. A task that is gone has none, like one that runs. Best with pinned plans. */
  async reasonsOf(
    runner: Runner,
    boardId: number,
    ids: readonly Uuid[],
  ): Promise<ReadonlyMap<Uuid, WhyReason[]>> {
    assert(ids.length <= LIMITS.pageRowsMax, 'reasons are read by the page');
    const tasks = ids.length === 0 ? [] : await readWaitingTasks(runner, boardId, ids);
    const waiting = tasks.filter((task) => task.status !== 'running');
    const board = await readBoardState(runner, boardId);
    if (board === null || waiting.length === 0) return new Map();
    const lanes = await this.#lanesOf(runner, boardId, waiting);
    const parents = await this.#parentsOf(runner, boardId, waiting);
    const places = await this.#placesOf(runner, boardId, waiting, lanes);
    const { paused } = settingsOf(board);
    const factsOf = (task: WaitingTask): WhyFacts => ({
      task,
      board: { isPaused: paused, updatedAt: board.updated_at },
      lane: lanes.get(laneOf(task) ?? ''),
      unmetParents: parents.get(task.id) ?? [],
      place: places(task),
    });
    return new Map(waiting.map((task) => [task.id, reasonsOf(factsOf(task))]));
  }

  async #lanesOf(
    runner: Runner,
    boardId: number,
    tasks: readonly WaitingTask[],
  ): Promise<ReadonlyMap<string, LaneState>> {
    const names = [...new Set(tasks.map(laneOf))].filter((name) => name !== null);
    const states = names.length === 0 ? [] : await readLaneStates(runner, boardId, names);
    return new Map(states.map((state) => [state.name, state]));
  }

  async #parentsOf(
    runner: Runner,
    boardId: number,
    tasks: readonly WaitingTask[],
  ): Promise<ReadonlyMap<Uuid, UnmetParent[]>> {
    const ids = tasks.filter((task) => task.unmet_parents > 0).map((task) => task.id);
    const rows = ids.length === 0 ? [] : await listUnmetParents(runner, boardId, ids, LIMITS.parentsMax);
    const byChild = new Map<Uuid, UnmetParent[]>(ids.map((id) => [id, []]));
    for (const row of rows) byChild.get(row.child_id)?.push(row);
    return byChild;
  }

  /** Only where there is a queue: at a lane that claims. */
  async #placesOf(
    runner: Runner,
    boardId: number,
    tasks: readonly WaitingTask[],
    lanes: ReadonlyMap<string, LaneState>,
  ): Promise<(task: WaitingTask) => Place> {
    const isQueued = ({ status, lane }: WaitingTask): boolean => {
      const state = lanes.get(lane ?? '');
      return (
        status === 'ready' &&
        state?.kind !== 'human' &&
        state?.allowed_status_mutations === 'own-claimed-only'
      );
    };
    const queued = tasks.filter(isQueued);
    if (queued.length === 0) return () => FIRST;
    const names = [...new Set(queued.map((task) => task.lane))].filter((name) => name !== null);
    const ids = queued.map((task) => task.id);
    const aheadMax = Math.min(AHEAD_MAX, Math.ceil(PLACES_MAX / names.length));
    const ahead = await readPlaces(runner, boardId, names, ids, aheadMax);
    const far = { ahead: aheadMax, isAtLeast: true };
    return (task) => {
      const known = ahead.get(task.id);
      if (!isQueued(task)) return FIRST;
      return known === undefined ? far : { ahead: known, isAtLeast: false };
    };
  }
}

function idOf(task: Task): Uuid {
  return present(parseId('task', task.id), 'a task has an id');
}
