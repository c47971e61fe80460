/** What workers hold that have gone. */
import type { Tx } from '../../../db/client.ts';
import type { Uuid } from '../../../kernel/ids.ts';
import type { HoldRef } from './end.ts';

/** Live claims of these workers of the lane that were to be taken when their socket closes, in task order. */
export async function listCrashable(
  tx: Tx,
  boardId: number,
  lane: string,
  workers: readonly string[],
): Promise<HoldRef[]> {
  const rows = await tx<{ task_id: Uuid; run_id: Uuid; attempt: number }[]>`
    /* claims.list_crashable */
    SELECT task_id, run_id, attempt FROM claims
    WHERE board_id = ${boardId} AND lane = ${lane} AND lane <> '' AND worker = ANY(${workers as string[]}::text[])
      AND is_crash_on_disconnect AND NOT is_superseded
    ORDER BY task_id`;
  return rows.map((row) => ({ taskId: row.task_id, runId: row.run_id, attempt: row.attempt }));
}
