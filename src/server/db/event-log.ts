/**
 * The last statement of every transaction that changes a board: takes the next sequence numbers from the counter row and
 * writes the events. Whoever calls it must not lock anything of the board afterwards, or two transactions could wait in a circle;
 * deregistering a lane may, because what it deletes then was locked before or is nobody else's.
 * The hot statements of claims and tasks have the same step inlined, and retention has one of its own for what it erases.
 */
import type { EventKind, TaskStatus } from '../../contract/statuses.ts';
import { assert } from '../kernel/assert.ts';
import type { ActorRef } from '../kernel/principal.ts';
import type { Tx } from './client.ts';
import { BoardGoneError } from './failures.ts';
import { outboxOf } from './outbox.ts';

export interface NewEvent {
  readonly kind: EventKind;
  readonly taskId?: string | null;
  readonly runId?: string | null;
  readonly lane?: string | null;
  readonly worker?: string | null;
  readonly attempt?: number | null;
  readonly taskVersion?: number | null;
  readonly delegationId?: string | null;
  readonly actor: ActorRef;
  readonly data: Readonly<Record<string, unknown>>;
}

export type StatusCounts = Partial<Record<TaskStatus, number>>;

export interface LogPosition {
  readonly seq: number;
  readonly configVersion: number;
}

export interface LogChange {
  readonly events: readonly NewEvent[];
  /** How many tasks each status gained (or lost, negative). */
  readonly counts?: StatusCounts;
  /** The configuration that claims are decided on has changed: claims in flight must be decided again. */
  readonly isConfigChange?: boolean;
}

/** Returns the position after the last event written. */
export async function appendEvents(tx: Tx, boardId: number, change: LogChange): Promise<LogPosition> {
  const { events } = change;
  const counts = change.counts ?? {};
  assert(events.length > 0, 'a change of a board is an event');
  const column = <T>(read: (event: NewEvent) => T | null | undefined): (T | null)[] =>
    events.map((event) => read(event) ?? null);
  const [row] = await tx<{ seq: number; config_version: number }[]>`
    /* log.append */
    WITH bumped AS (
      UPDATE board_seq SET
        seq = seq + ${events.length},
        config_version = config_version + ${change.isConfigChange ? 1 : 0},
        triage = triage + ${counts.triage ?? 0},
        todo = todo + ${counts.todo ?? 0},
        scheduled = scheduled + ${counts.scheduled ?? 0},
        ready = ready + ${counts.ready ?? 0},
        running = running + ${counts.running ?? 0},
        blocked = blocked + ${counts.blocked ?? 0},
        review = review + ${counts.review ?? 0},
        done = done + ${counts.done ?? 0},
        cancelled = cancelled + ${counts.cancelled ?? 0},
        archived = archived + ${counts.archived ?? 0}
      WHERE board_id = ${boardId}
      RETURNING seq, config_version, clock_timestamp() AS at
    ),
    written AS (
      INSERT INTO events (board_id, seq, kind, at, task_id, run_id, lane, worker, attempt, task_version, delegation_id, actor_type, actor_id,
        data)
      SELECT ${boardId}, bumped.seq - ${events.length} + item.ordinality, item.kind, bumped.at, item.task_id, item.run_id, item.lane,
        item.worker, item.attempt, item.task_version, item.delegation_id, item.actor_type, item.actor_id, item.data::jsonb
      FROM bumped, unnest(
        ${column((event) => event.kind)}::text[], ${column((event) => event.taskId)}::uuid[], ${column((event) => event.runId)}::uuid[],
        ${column((event) => event.lane)}::text[], ${column((event) => event.worker)}::text[], ${column((event) => event.attempt)}::int[],
        ${column((event) => event.taskVersion)}::int[], ${column((event) => event.delegationId)}::uuid[], ${column((event) => event.actor.type)}::text[],
        ${column((event) => event.actor.id)}::text[], ${column((event) => JSON.stringify(event.data))}::text[]
      ) WITH ORDINALITY AS item (kind, task_id, run_id, lane, worker, attempt, task_version, delegation_id, actor_type, actor_id, data, ordinality)
      RETURNING seq, kind, at, task_id, delegation_id
    ),
    ${outboxOf(tx, boardId)}
    SELECT seq, config_version FROM bumped`;
  if (row === undefined) throw new BoardGoneError(`board ${boardId} has no counter row`);
  return { seq: row.seq, configVersion: row.config_version };
}

/**
 * From now to the end of the transaction nobody else's change of the board commits, and none of it is missed by the statements behind this one.
 * After every other lock. False: the board is gone, as its next event finds too.
 */
export async function lockCounter(tx: Tx, boardId: number): Promise<boolean> {
  const rows = await tx`
    /* log.lock_counter */ SELECT FROM board_seq WHERE board_id = ${boardId} FOR NO KEY UPDATE`;
  return rows.length > 0;
}

/**
 * Of tasks that are not locked, because they stay as they are: a subscription that is put, changed or ended meanwhile has been seen by this, or
 * sees what was told. Both statements are sent at once where they are prepared, so that the counter row is not kept for a round more.
 */
export async function appendNews(tx: Tx, boardId: number, events: readonly NewEvent[]): Promise<void> {
  await Promise.all([lockCounter(tx, boardId), appendEvents(tx, boardId, { events })]);
}

/** Claims in flight are decided again, where there is nothing to tell the log. As the last step, like the events. */
export async function raiseConfigVersion(tx: Tx, boardId: number): Promise<void> {
  await tx`
    /* log.raise_config_version */
    UPDATE board_seq SET config_version = config_version + 1 WHERE board_id = ${boardId}`;
}

/** `before` lost one task and `after` gained one. */
export function countMove(counts: StatusCounts, before: TaskStatus | null, after: TaskStatus | null): void {
  if (before !== null) counts[before] = (counts[before] ?? 0) - 1;
  if (after !== null) counts[after] = (counts[after] ?? 0) + 1;
}
