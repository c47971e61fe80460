/** Operations on many tasks: made with their set of tasks fixed, and read while they run. Carrying them out stands in runner.ts. */
import type { BulkBody, BulkFilter, Operation } from '../../../contract/bulk.ts';
import { LIMITS } from '../../../contract/constants.ts';
import type { BroadReads } from '../../db/broad-reads.ts';
import type { Sql, Tx } from '../../db/client.ts';
import { isStatementTimeout } from '../../db/failures.ts';
import { transaction, withinDeadline } from '../../db/tx.ts';
import { formatId, type IdSource, parseId, type Uuid } from '../../kernel/ids.ts';
import { pause } from '../../kernel/lifecycle.ts';
import { type ActorRef, actorOf, type Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { BoardRef } from '../boards/service.ts';
import { filterOf, findByExternalRefs, listTaskIds, type TaskService } from '../tasks/service.ts';
import { assertMayDo } from './permission.ts';
import type { BulkRunner } from './runner.ts';
import {
  findOperation,
  insertOperation,
  listFailures,
  type NewOperation,
  type OperationRow,
  stopOperation,
} from './store.ts';

export { BulkRunner } from './runner.ts';

interface BulkParts {
  readonly sql: Sql;
  readonly reads: BroadReads;
  readonly ids: IdSource;
  readonly tasks: TaskService;
  readonly runner: BulkRunner;
}

/** Of one board: each has a turn in every round, so more of them make none faster. */
const RUNNING_MAX = 10;
const RUNNING_RETRY_SECONDS = '5';
/** A dry run of so many is judged before the answer: some 100 ms. */
const JUDGED_AT_ONCE_MAX = 100;
/** More than a hundred tasks take, at one a turn. */
const TURNS_AT_ONCE_MAX = JUDGED_AT_ONCE_MAX;
/** A read by key; a watcher of a progress bar sees no difference. */
const POLL_MS = 200;

/** An operation as it is to be made, before anything is written. */
export type BulkPlan = NewOperation;

export class BulkService {
  readonly #parts: BulkParts;

  constructor(parts: BulkParts) {
    this.#parts = parts;
  }

  /** Finds the tasks that are meant. */
  async plan(caller: Principal, board: BoardRef, body: BulkBody): Promise<BulkPlan> {
    assertMayDo(caller, body.action, board);
    const { taskIds, missing } = body.filter
      ? { taskIds: await this.#match(caller, board, body.filter), missing: [] }
      : await this.#named(board, body.ids ?? []);
    return {
      // Names its board, as a run's does: whoever carries it out need not be told.
      id: this.#parts.ids.next(board.id),
      action: body.action,
      isDryRun: body.dry_run === true,
      taskIds,
      actor: actorOf(caller),
      parameters: {
        reason: body.reason ?? null,
        lane: body.lane ?? null,
        runAt: body.run_at ?? null,
        missing,
      },
    };
  }

  async #match(caller: Principal, board: BoardRef, words: BulkFilter): Promise<Uuid[]> {
    const { reads, tasks } = this.#parts;
    const parentId = words.parent ? await tasks.resolve(caller, board, words.parent) : null;
    const filter = filterOf(words, parentId, '/filter');
    const rowsMax = words.limit ?? LIMITS.bulkTasksMax;
    try {
      return await reads.read(String(board.id), (sql) => listTaskIds(sql, board.id, filter, rowsMax));
    } catch (error) {
      throw isStatementTimeout(error) ? tooExpensive(error) : error;
    }
  }

  async #named(
    board: BoardRef,
    references: readonly string[],
  ): Promise<{ taskIds: Uuid[]; missing: string[] }> {
    const refs = references.filter((reference) => parseId('task', reference) === null);
    const found =
      refs.length === 0 ? [] : await withinDeadline(findByExternalRefs(this.#parts.sql, board.id, refs));
    const known = new Map(found.map((task) => [task.external_ref, task.id]));
    const taskIds = new Set<Uuid>();
    const missing = new Set<string>();
    for (const reference of references) {
      const id = parseId('task', reference) ?? known.get(reference);
      if (id === undefined) missing.add(reference);
      else taskIds.add(id);
    }
    return { taskIds: [...taskIds], missing: [...missing] };
  }

  /** In the caller's transaction. */
  async make(tx: Tx, board: BoardRef, plan: BulkPlan): Promise<string> {
    if (!(await insertOperation(tx, board.id, plan, RUNNING_MAX))) throw tooManyRunning();
    return formatId('op', plan.id);
  }

  /** What is quickly judged is judged before anybody reads it; everything else is the sweep's. */
  async start(board: BoardRef, operation: string): Promise<Operation> {
    const { sql, runner } = this.#parts;
    const id = idOf(operation);
    const row = await withinDeadline(findOperation(sql, board.id, id));
    if (row?.is_dry_run && row.status === 'running' && row.total <= JUDGED_AT_ONCE_MAX)
      await runner.runNow(id, TURNS_AT_ONCE_MAX);
    return this.get(board, operation);
  }

  async get(board: BoardRef, operation: string): Promise<Operation> {
    const id = idOf(operation);
    const row = await withinDeadline(findOperation(this.#parts.sql, board.id, id));
    if (row === null) throw operationNotFound(operation);
    return this.#show(board, row);
  }

  /** Between two of its turns; it has ended when this is answered. */
  async cancel(caller: Principal, board: BoardRef, operation: string): Promise<Operation> {
    const { sql } = this.#parts;
    const id = idOf(operation);
    await transaction(sql, (tx) =>
      stopOperation(tx, board.id, id, { reason: 'cancelled', actor: actorOf(caller) }),
    );
    return this.get(board, operation);
  }

  /** Once it has ended, or as it is when the wait is over. */
  async wait(
    board: BoardRef,
    operation: string,
    waitSeconds: number,
    signal: AbortSignal,
  ): Promise<Operation> {
    const id = idOf(operation);
    const deadline = performance.now() + waitSeconds * 1000;
    for (;;) {
      const row = await withinDeadline(findOperation(this.#parts.sql, board.id, id));
      if (row === null) throw operationNotFound(operation);
      const leftMs = deadline - performance.now();
      if (row.status !== 'running' || leftMs <= 0 || signal.aborted) return this.#show(board, row);
      await pause(Math.min(POLL_MS, leftMs), signal);
    }
  }

  async #show(board: BoardRef, row: OperationRow): Promise<Operation> {
    const { missing } = row.parameters;
    const rowsMax = LIMITS.bulkFailuresListedMax - missing.length;
    const found =
      row.failed === missing.length
        ? []
        : await withinDeadline(listFailures(this.#parts.sql, board.id, row.id, rowsMax));
    return {
      id: formatId('op', row.id),
      board: board.name,
      action: row.action,
      dry_run: row.is_dry_run,
      status: row.status,
      stop_reason: row.stop_reason,
      stopped_by: actorIn(row.stopped_by_type, row.stopped_by_id),
      total: row.total,
      succeeded: row.succeeded,
      failed_count: row.failed,
      failed: [
        ...missing.map((id) => ({ id, code: 'not_found' as const })),
        ...found.map(({ task_id, code }) => ({ id: formatId('task', task_id), code })),
      ],
      created_by: { type: row.actor_type, id: row.actor_id },
      created_at: row.created_at,
      finished_at: row.finished_at,
    };
  }
}

function actorIn(type: ActorRef['type'] | null, id: string | null): ActorRef | null {
  return type === null || id === null ? null : { type, id };
}

function idOf(operation: string): Uuid {
  const id = parseId('op', operation);
  if (id === null) throw operationNotFound(operation);
  return id;
}

function operationNotFound(operation: string): ProblemError {
  return new ProblemError('not_found', `There is no operation ${JSON.stringify(operation)} on this board.`, {
    extensions: { resource: 'operation' },
  });
}

function tooManyRunning(): ProblemError {
  return new ProblemError(
    'rate_limited',
    `${RUNNING_MAX} operations run on this board already; make the next one when one of them is done.`,
    { headers: { 'Retry-After': RUNNING_RETRY_SECONDS } },
  );
}

function tooExpensive(cause: unknown): ProblemError {
  return new ProblemError(
    'invalid_request',
    'Finding these tasks takes longer than a search may take: narrow it, best by lane and status.',
    { errors: [{ pointer: '/filter', detail: 'reads through too many tasks of this board' }], cause },
  );
}
