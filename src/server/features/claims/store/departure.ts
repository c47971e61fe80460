/** What workers hold that have gone. */
import type { Tx } from '../../../db/client.ts';
import type { Uuid } from '../../../kernel/ids.ts';
import type { HoldRef } from './end.ts';

/**
 * Live claims of these workers of the lane that were to be taken when their socket closes, in task order. Of what each had when it closed:
 * the look may come long after that, and a worker that has claimed since, without a socket, is alive. The workers are locked, as they were
 * when their close was written.
 */
export async function listCrashable(
  tx: Tx,
  boardId: number,
  lane: string,
  workers: readonly string[],
): Promise<HoldRef[]> {
  const rows = await tx<{ task_id: Uuid; run_id: Uuid; attempt: number }[]>`
    /* claims.list_crashable */
    SELECT c.task_id, c.run_id, c.attempt FROM claims c
    WHERE c.board_id = ${boardId} AND c.lane = ${lane} AND c.lane <> '' AND c.worker = ANY(${workers as string[]}::text[])
      AND c.is_crash_on_disconnect AND NOT c.is_superseded
      AND c.claimed_at <= (SELECT socket_closed_at FROM workers WHERE board_id = ${boardId} AND lane = ${lane} AND worker = c.worker)
    ORDER BY c.task_id`;
  return rows.map((row) => ({ taskId: row.task_id, runId: row.run_id, attempt: row.attempt }));
}
