/** What boards have set to be pruned, and when it is looked at next. The row of a board and kind is the lock of whoever prunes it. */
import type { RetentionKind } from '../../../../contract/retention.ts';
import type { Sql, Tx } from '../../../db/client.ts';
import { columnOf } from '../../../db/column.ts';
import type { Uuid } from '../../../kernel/ids.ts';

export interface KeptFor {
  readonly kind: RetentionKind;
  readonly seconds: number;
}

/**
 * What is to be pruned from now on, and nothing else. Whoever prunes it just now is waited for: when this is committed, nothing more is pruned by
 * what was set before. After the board's row, and before anything of it is locked.
 */
export async function setDue(tx: Tx, boardId: number, all: readonly KeptFor[]): Promise<void> {
  const kinds = columnOf(all, ({ kind }) => kind);
  await tx`
    /* retention.unset */ DELETE FROM retention WHERE board_id = ${boardId} AND kind <> ALL (${kinds as string[]}::text[])`;
  if (all.length === 0) return;
  await tx`
    /* retention.set */
    INSERT INTO retention AS known (board_id, kind, kept_seconds, due_at)
    SELECT ${boardId}, kind, seconds, clock_timestamp()
    FROM unnest(${kinds as string[]}::text[], ${columnOf(all, ({ seconds }) => seconds)}::int[]) AS kept (kind, seconds)
    ON CONFLICT (board_id, kind) DO UPDATE SET kept_seconds = excluded.kept_seconds, due_at = excluded.due_at, behind_since = NULL,
      place = NULL, place_attempt = 0, left_rows = 0
    WHERE known.kept_seconds <> excluded.kept_seconds`;
}

export interface DueRow {
  readonly board_id: number;
  readonly kind: RetentionKind;
}

/** What is due longest first. `now()` is what an index can be asked for; the clock itself is not. */
export async function listDue(sql: Sql, except: readonly DueRow[], rowsMax: number): Promise<DueRow[]> {
  const names = except.map(({ board_id, kind }) => `${board_id} ${kind}`);
  return sql<DueRow[]>`
    /* retention.list_due */
    SELECT board_id, kind FROM retention
    WHERE due_at <= now() AND concat(board_id, ' ', kind) <> ALL (${names}::text[])
    ORDER BY due_at LIMIT ${rowsMax}`;
}

export interface DueTurn {
  readonly kept_seconds: number;
  readonly place: Uuid | null;
  readonly place_attempt: number;
  readonly left_rows: number;
  /** What was over before this is pruned. */
  readonly horizon: string;
}

/** Null: another server is at it or has been, it is kept for ever by now, or the board is gone. */
export async function lockDue(tx: Tx, boardId: number, kind: RetentionKind): Promise<DueTurn | null> {
  const [row] = await tx<DueTurn[]>`
    /* retention.lock */
    SELECT kept_seconds, place, place_attempt, left_rows, clock_timestamp() - make_interval(secs => kept_seconds) AS horizon
    FROM retention WHERE board_id = ${boardId} AND kind = ${kind} AND due_at <= clock_timestamp() FOR UPDATE SKIP LOCKED`;
  return row ?? null;
}

/** There is more: due at once, behind all that have waited longer. */
export async function goOn(
  tx: Tx,
  boardId: number,
  kind: RetentionKind,
  at: { readonly place: Uuid | null; readonly placeAttempt: number; readonly leftRows: number },
): Promise<void> {
  await tx`
    /* retention.go_on */
    UPDATE retention SET due_at = clock_timestamp(), behind_since = coalesce(behind_since, due_at), place = ${at.place},
      place_attempt = ${at.placeAttempt}, left_rows = ${at.leftRows}
    WHERE board_id = ${boardId} AND kind = ${kind}`;
}

/**
 * All that was due is gone. Next when the oldest that is left becomes due, and not before the pause is over; when nothing is left, when the first
 * that comes after this can be.
 */
export async function rest(
  tx: Tx,
  boardId: number,
  kind: RetentionKind,
  { pauseSeconds, pauseSecondsMax, oldestAt }: Rest,
): Promise<void> {
  await tx`
    /* retention.rest */
    UPDATE retention SET behind_since = NULL, place = NULL, place_attempt = 0, left_rows = 0,
      due_at = least(
        greatest(
          clock_timestamp() + make_interval(secs => ${pauseSeconds}),
          coalesce(${oldestAt}::timestamptz, clock_timestamp()) + make_interval(secs => kept_seconds)
        ),
        clock_timestamp() + make_interval(secs => ${pauseSecondsMax})
      )
    WHERE board_id = ${boardId} AND kind = ${kind}`;
}

/** Nothing can be done now: everything stays as it is, also how long it has been behind, and it is due again soon. */
export async function putOff(
  tx: Tx,
  boardId: number,
  kind: RetentionKind,
  pauseSeconds: number,
): Promise<void> {
  await tx`
    /* retention.put_off */
    UPDATE retention SET due_at = clock_timestamp() + make_interval(secs => ${pauseSeconds}), behind_since = coalesce(behind_since, due_at)
    WHERE board_id = ${boardId} AND kind = ${kind}`;
}

export interface Rest {
  readonly pauseSeconds: number;
  /** Times may be in the past by their own account, as those of imported tasks are. */
  readonly pauseSecondsMax: number;
  /** Null: nothing is left. */
  readonly oldestAt: string | null;
}
