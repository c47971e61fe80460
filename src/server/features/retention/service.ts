/** What a board keeps and for how long: the settings, and the list of what is due that follows from them. */
import { RETENTION_KINDS, type Retention } from '../../../contract/retention.ts';
import type { Tx } from '../../db/client.ts';
import { setDue } from './store/due.ts';

export { GROWING_TABLES, readRetentionGauges } from './store/gauges.ts';
export { Pruner } from './sweep.ts';

/** Everything, for ever. */
export const KEEP_ALL: Retention = {
  events_seconds: null,
  finished_tasks_seconds: null,
  runs_seconds: null,
  output_seconds: null,
  deliveries_seconds: null,
  messages_seconds: null,
};

/** From the commit on. Behind the board's row; what is being pruned just now by what was set before is waited for, some 20 ms. */
export async function setRetention(tx: Tx, boardId: number, retention: Retention): Promise<void> {
  const kept = RETENTION_KINDS.flatMap((kind) => {
    const seconds = retention[`${kind}_seconds`];
    return seconds === null ? [] : [{ kind, seconds }];
  });
  await setDue(tx, boardId, kept);
}
