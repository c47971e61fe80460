/** Claims that were made before and still hold, read again. */
import type { Runner } from '../../../db/client.ts';
import type { Uuid } from '../../../kernel/ids.ts';
import { taskDetailColumns } from '../../tasks/service.ts';
import type { ClaimedRow } from './claimed-row.ts';

/** Live claims with their tasks, by run, as claimReady returns them: for answers that are given again. */
export async function findLiveClaims(
  sql: Runner,
  boardId: number,
  runIds: readonly Uuid[],
): Promise<ClaimedRow[]> {
  return sql<ClaimedRow[]>`
    /* claims.find_live */
    SELECT (SELECT seq FROM board_seq WHERE board_id = ${boardId}) AS log_seq, c.run_id, c.worker, c.attempt AS claim_attempt, c.lane AS claim_lane, c.claimed_at, c.lease_expires_at,
      c.is_cancel_requested, extract(epoch FROM c.runtime_expires_at - c.claimed_at)::int AS claim_runtime_seconds, 0 AS waited_seconds, 0 AS board_reviews, NULL AS look_ms,
      t.id, t.lane, t.status, t.attempt, t.version, t.status_since, t.updated_at, t.priority, t.consecutive_failures, t.max_failures,
      t.max_runtime_seconds, t.no_progress_seconds, t.run_at, t.unmet_parents, t.reviewer, t.blocked_kind, t.blocked_reason, t.created_at,
      ${taskDetailColumns(sql)}
    FROM claims c
    JOIN tasks t ON t.board_id = c.board_id AND t.id = c.task_id
    JOIN task_details d ON d.board_id = c.board_id AND d.task_id = c.task_id
    WHERE c.board_id = ${boardId} AND c.run_id = ANY(${runIds as Uuid[]}::uuid[])
    ORDER BY c.run_id`;
}
