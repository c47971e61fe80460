/** Earlier attempts as the next one is told of them. */
import type { Outcome } from '../../../../contract/statuses.ts';
import type { JsonParameter, PendingQuery, Runner } from '../../../db/client.ts';
import { documentColumn, type ExcerptCaps, excerptColumn } from '../../../db/excerpt.ts';
import type { Uuid } from '../../../kernel/ids.ts';

export interface AttemptRow {
  readonly task_id: Uuid;
  readonly id: Uuid;
  readonly attempt: number;
  readonly lane: string | null;
  readonly worker: string | null;
  readonly outcome: Outcome;
  readonly started_at: string;
  readonly ended_at: string;
  /** Texts are longer than their cap by a character where they are to be cut. */
  readonly summary: string | null;
  readonly error: string | null;
  readonly result: JsonParameter;
  readonly checkpoint: JsonParameter;
  readonly metadata: Record<string, JsonParameter> | null;
  /** Of result, checkpoint and metadata those that are there but too long to be read, with spaces between. */
  readonly cut: string;
  /** Its checkpoint is the latest of the task, and whole. */
  readonly is_resumable: boolean;
  /** The last whose reviewer asked for changes. */
  readonly is_sent_back: boolean;
  /** How many attempts were found, counted as far as they were looked at. */
  readonly found: number;
}

/**
 * Attempts in which the latest checkpoint and the last review are looked for: a night of failures, a quarter of an hour after each other. A task
 * that has been tried more often than that in vain has other needs.
 */
const LOOKED_AT_MAX = 100;

/**
 * The newest ended attempts of several tasks, each task's oldest first, for handoffs. Where the work stands and what is to be changed is never
 * left out for newer attempts that came to nothing: those two are always among them.
 * First only the narrow columns of many attempts are looked at, then what is shown is looked up by its key.
 */
export async function listNewestAttempts(
  sql: Runner,
  boardId: number,
  taskIds: readonly Uuid[],
  caps: ExcerptCaps,
): Promise<AttemptRow[]> {
  const document = (column: PendingQuery): PendingQuery => documentColumn(sql, column, caps);
  return sql<AttemptRow[]>`
    /* claims.list_newest_attempts */
    SELECT task.id AS task_id, told.id, told.attempt, told.lane, told.worker, told.outcome, told.started_at, told.ended_at, told.summary, told.error,
      told.result_text::json AS result, told.metadata_text::json AS metadata,
      (CASE WHEN told.is_resumable THEN told.checkpoint::text ELSE told.checkpoint_text END)::json AS checkpoint,
      concat_ws(' ',
        CASE WHEN told.has_result AND told.result_text IS NULL THEN 'result' END,
        CASE WHEN told.has_metadata AND told.metadata_text IS NULL THEN 'metadata' END,
        CASE WHEN told.has_checkpoint AND told.checkpoint_text IS NULL AND NOT told.is_resumable THEN 'checkpoint' END) AS cut,
      told.is_resumable, told.is_sent_back, told.found
    FROM unnest(${taskIds as Uuid[]}::uuid[]) AS task (id)
    CROSS JOIN LATERAL (
      SELECT shown.*, sum(bytes) OVER (ORDER BY attempt DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes_before
      FROM (
        SELECT marked.has_checkpoint, marked.is_resumable, marked.is_sent_back, marked.found, run.*,
          coalesce(octet_length(run.summary), 0) + coalesce(octet_length(run.error), 0) + coalesce(octet_length(run.result_text), 0)
            + coalesce(octet_length(run.metadata_text), 0) + coalesce(octet_length(run.checkpoint_text), 0) AS bytes
        FROM (
          SELECT newest.attempt, newest.has_checkpoint, count(*) OVER ()::int AS found, row_number() OVER (ORDER BY newest.attempt DESC) AS place,
            newest.attempt IS NOT DISTINCT FROM max(newest.attempt) FILTER (WHERE newest.has_checkpoint) OVER () AS is_resumable,
            newest.attempt IS NOT DISTINCT FROM max(newest.attempt) FILTER (WHERE newest.outcome = 'changes_requested') OVER () AS is_sent_back
          FROM (
            SELECT attempt, outcome, checkpoint IS NOT NULL AS has_checkpoint FROM runs
            WHERE board_id = ${boardId} AND task_id = task.id AND outcome IS NOT NULL ORDER BY attempt DESC LIMIT ${LOOKED_AT_MAX}
          ) AS newest
        ) AS marked
        CROSS JOIN LATERAL (
          SELECT id, attempt, lane, worker, outcome, started_at, ended_at,
            ${excerptColumn(sql, sql`summary`, caps)} AS summary, ${excerptColumn(sql, sql`error`, caps)} AS error,
            result IS NOT NULL AS has_result, metadata IS NOT NULL AS has_metadata, checkpoint,
            ${document(sql`result`)} AS result_text, ${document(sql`metadata`)} AS metadata_text,
            CASE WHEN NOT marked.is_resumable THEN ${document(sql`checkpoint`)} END AS checkpoint_text
          FROM runs WHERE board_id = ${boardId} AND task_id = task.id AND attempt = marked.attempt OFFSET 0
        ) AS run
        WHERE marked.place <= ${caps.rows} OR marked.is_resumable OR marked.is_sent_back
      ) AS shown
    ) AS told
    WHERE coalesce(told.bytes_before, 0) < ${caps.bytes} OR told.is_resumable OR told.is_sent_back
    ORDER BY task.id, told.attempt`;
}
