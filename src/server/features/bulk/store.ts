/** Operations and their items. An operation's place is how many of its items have been decided; it moves with what was done to them. */
import type { BulkAction, StopReason } from '../../../contract/bulk.ts';
import type { ProblemCode } from '../../../contract/problems.ts';
import type { JsonParameter, Runner, Sql, Tx } from '../../db/client.ts';
import { BoardGoneError } from '../../db/failures.ts';
import type { Uuid } from '../../kernel/ids.ts';
import type { ActorRef } from '../../kernel/principal.ts';

/** What the verb is given, and what of the request was found to be no task. */
export interface BulkParameters {
  readonly reason: string | null;
  readonly lane: string | null;
  readonly runAt: string | null;
  readonly missing: readonly string[];
}

export interface NewOperation {
  readonly id: Uuid;
  readonly action: BulkAction;
  readonly parameters: BulkParameters;
  readonly isDryRun: boolean;
  readonly taskIds: readonly Uuid[];
  readonly actor: ActorRef;
}

/**
 * Whoever asks may know the board from a moment ago, and an operation writes no event that would find it gone. Until the transaction ends it is not
 * deleted: what was made is found by then. As the last step: whoever deletes it waits, and those who come meanwhile do not wait behind him.
 */
async function holdBoard(tx: Tx, boardId: number): Promise<void> {
  const rows = await tx`/* bulk.hold_board */ SELECT FROM boards WHERE id = ${boardId} FOR KEY SHARE`;
  if (rows.length === 0) throw new BoardGoneError(`board ${boardId} is gone`);
}

/**
 * False: as many as may run at once on this board are running. Two that are made at the same moment may go over that; it bounds what lies
 * about, not what must be exact.
 */
export async function insertOperation(
  tx: Tx,
  boardId: number,
  operation: NewOperation,
  runningMax: number,
): Promise<boolean> {
  const { id, action, parameters, taskIds, actor, isDryRun } = operation;
  const failed = parameters.missing.length;
  const isDone = taskIds.length === 0;
  const rows = await tx`
    /* bulk.insert */
    INSERT INTO operations (board_id, id, action, parameters, is_dry_run, status, total, failed, actor_type, actor_id, finished_at)
    SELECT ${boardId}, ${id}, ${action}, ${tx.json(parameters as unknown as JsonParameter)}, ${isDryRun}, ${isDone ? 'done' : 'running'},
      ${taskIds.length + failed}, ${failed}, ${actor.type}, ${actor.id}, ${isDone ? tx`clock_timestamp()` : null}
    WHERE (SELECT count(*) FROM operations WHERE board_id = ${boardId} AND status = 'running') < ${runningMax}
    RETURNING id`;
  if (rows.length === 0) return false;
  await tx`
    /* bulk.insert_items */
    INSERT INTO operation_items (board_id, operation_id, place, task_id)
    SELECT ${boardId}, ${id}, row_number() OVER (ORDER BY task_id) - 1, task_id FROM unnest(${taskIds as Uuid[]}::uuid[]) AS task_id`;
  await holdBoard(tx, boardId);
  return true;
}

export interface OperationRow {
  readonly id: Uuid;
  readonly action: BulkAction;
  readonly parameters: BulkParameters;
  readonly is_dry_run: boolean;
  readonly status: 'running' | 'done' | 'stopped';
  readonly stop_reason: StopReason | null;
  readonly stopped_by_type: ActorRef['type'] | null;
  readonly stopped_by_id: string | null;
  readonly total: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly actor_type: ActorRef['type'];
  readonly actor_id: string;
  readonly created_at: string;
  readonly finished_at: string | null;
}

const COLUMNS = (sql: Runner) => sql`
  id, action, parameters, is_dry_run, status, stop_reason, stopped_by_type, stopped_by_id, total, succeeded, failed,
  actor_type, actor_id, created_at, finished_at`;

export async function findOperation(sql: Runner, boardId: number, id: Uuid): Promise<OperationRow | null> {
  const [row] = await sql<OperationRow[]>`
    /* bulk.find */ SELECT ${COLUMNS(sql)} FROM operations WHERE board_id = ${boardId} AND id = ${id}`;
  return row ?? null;
}

/** Null: it is done, or another server has it. @param isPatient Waits for that one instead. */
export async function lockRunning(
  tx: Tx,
  boardId: number,
  id: Uuid,
  isPatient: boolean,
): Promise<OperationRow | null> {
  const [row] = await tx<OperationRow[]>`
    /* bulk.lock */
    SELECT ${COLUMNS(tx)} FROM operations WHERE board_id = ${boardId} AND id = ${id} AND status = 'running'
    FOR UPDATE ${isPatient ? tx`` : tx`SKIP LOCKED`}`;
  return row ?? null;
}

/** False: it has ended, or another server has it. Who holds this may write what belongs to it, and it is not stopped meanwhile. */
export async function shareRunning(tx: Tx, boardId: number, id: Uuid): Promise<boolean> {
  const rows = await tx`
    /* bulk.share */
    SELECT FROM operations WHERE board_id = ${boardId} AND id = ${id} AND status = 'running' FOR SHARE SKIP LOCKED`;
  return rows.length > 0;
}

export async function listRunning(sql: Sql, exceptIds: readonly Uuid[], rowsMax: number): Promise<Uuid[]> {
  const rows = await sql<{ id: Uuid }[]>`
    /* bulk.list_running */
    SELECT id FROM operations WHERE status = 'running' AND id <> ALL (${exceptIds as Uuid[]}::uuid[]) ORDER BY random() LIMIT ${rowsMax}`;
  return rows.map((row) => row.id);
}

/** With its items, if its board is gone: an older server may have made it in the moment in which the board was deleted, and nobody can read it. */
export async function dropBoardless(tx: Tx, boardId: number, id: Uuid): Promise<void> {
  await tx`
    /* bulk.drop_boardless */
    WITH gone AS (
      DELETE FROM operations
      WHERE board_id = ${boardId} AND id = ${id} AND NOT EXISTS (SELECT FROM board_seq WHERE board_id = ${boardId})
      RETURNING board_id, id
    )
    DELETE FROM operation_items i USING gone WHERE i.board_id = ANY (ARRAY[gone.board_id]) AND i.operation_id = gone.id`;
}

/** What it has done stays done. One that has ended stays as it is. @param actor null: nobody has asked for it. */
export async function stopOperation(
  sql: Runner,
  boardId: number,
  id: Uuid,
  { reason, actor }: { readonly reason: StopReason; readonly actor: ActorRef | null },
): Promise<void> {
  await sql`
    /* bulk.stop */
    UPDATE operations SET status = 'stopped', stop_reason = ${reason}, stopped_by_type = ${actor?.type ?? null},
      stopped_by_id = ${actor?.id ?? null}, finished_at = clock_timestamp()
    WHERE board_id = ${boardId} AND id = ${id} AND status = 'running'`;
}

/** The place of the next item. */
export function placeOf({ succeeded, failed, parameters }: OperationRow): number {
  return succeeded + failed - parameters.missing.length;
}

/** The next items, from a place on. */
export async function readItems(
  sql: Runner,
  boardId: number,
  operationId: Uuid,
  place: number,
  rowsMax: number,
): Promise<Uuid[]> {
  const rows = await sql<{ task_id: Uuid }[]>`
    /* bulk.items */
    SELECT task_id FROM operation_items WHERE board_id = ${boardId} AND operation_id = ${operationId} AND place >= ${place}
    ORDER BY place LIMIT ${rowsMax}`;
  return rows.map((row) => row.task_id);
}

/** What has become of the items from a place on; null: it was done. Under the operation's lock. */
export async function recordItems(
  tx: Tx,
  boardId: number,
  operationId: Uuid,
  { place, codes }: { readonly place: number; readonly codes: readonly (ProblemCode | null)[] },
): Promise<void> {
  const failed = codes.filter((code) => code !== null).length;
  await tx`
    /* bulk.record */
    WITH decided AS (
      UPDATE operation_items SET is_done = true, code = (${codes as (string | null)[]}::text[])[place - ${place}::int + 1]
      WHERE board_id = ${boardId} AND operation_id = ${operationId} AND place >= ${place} AND place < ${place + codes.length}
    )
    UPDATE operations SET
      succeeded = succeeded + ${codes.length - failed}, failed = failed + ${failed},
      status = CASE WHEN succeeded + failed + ${codes.length} >= total THEN 'done' ELSE 'running' END,
      finished_at = CASE WHEN succeeded + failed + ${codes.length} >= total THEN clock_timestamp() END
    WHERE board_id = ${boardId} AND id = ${operationId}`;
}

export interface FailedItem {
  readonly task_id: Uuid;
  readonly code: ProblemCode;
}

export async function listFailures(
  sql: Sql,
  boardId: number,
  operationId: Uuid,
  rowsMax: number,
): Promise<FailedItem[]> {
  return sql<FailedItem[]>`
    /* bulk.failures */
    SELECT task_id, code FROM operation_items WHERE board_id = ${boardId} AND operation_id = ${operationId} AND code IS NOT NULL
    ORDER BY place LIMIT ${rowsMax}`;
}

/**
 * Some operations that ended long ago, the oldest first, with their items: at most so many operations, and of more than so many tasks one alone.
 * Resolves to how many. With pinned plans: by statistics that are missing or old, all items of all operations may be read for it.
 */
export async function forgetOldOperations(
  tx: Tx,
  keptDays: number,
  bounds: { readonly operationsMax: number; readonly itemsMax: number },
): Promise<number> {
  const { count } = await tx`
    /* bulk.forget */
    WITH old AS MATERIALIZED (
      SELECT board_id, id, total, finished_at FROM operations
      WHERE finished_at < clock_timestamp() - make_interval(days => ${keptDays})
      ORDER BY finished_at LIMIT ${bounds.operationsMax} FOR UPDATE SKIP LOCKED
    ),
    due AS MATERIALIZED (
      SELECT board_id, id FROM (
        SELECT board_id, id, sum(total) OVER (ORDER BY finished_at, id ROWS UNBOUNDED PRECEDING) AS items,
          row_number() OVER (ORDER BY finished_at, id) AS number FROM old
      ) AS numbered WHERE items <= ${bounds.itemsMax} OR number = 1
    ),
    items AS (
      DELETE FROM operation_items i USING due WHERE i.board_id = ANY (ARRAY[due.board_id]) AND i.operation_id = due.id
    )
    DELETE FROM operations o USING due WHERE o.board_id = ANY (ARRAY[due.board_id]) AND o.id = due.id`;
  return count;
}
