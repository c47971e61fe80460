/** A lane as the wire shows it: its fields, who attends to it, and what waits for it. */
import type { Lane } from '../../../contract/lanes.ts';
import type { BoardRef } from '../boards/service.ts';
import { fieldsOf } from './lane-fields.ts';
import type { LaneRow } from './store/lane.ts';
import type { readBacklogs, readWorkers } from './store/presence.ts';

type Workers = Awaited<ReturnType<typeof readWorkers>>;
type Backlogs = Awaited<ReturnType<typeof readBacklogs>>;

/** @param workers and backlogs: of any lanes; this one's are picked out. */
export function laneOf(board: BoardRef, row: LaneRow, workers: Workers, backlogs: Backlogs): Lane {
  const seen = workers.filter((worker) => worker.lane === row.name);
  const backlog = backlogs.find((entry) => entry.lane === row.name);
  return {
    board: board.name,
    name: row.name,
    ...fieldsOf(row),
    labels: { ...row.labels },
    spawn: row.spawn as Lane['spawn'],
    paused: row.is_paused,
    draining: row.is_draining,
    epoch: row.epoch,
    version: row.version,
    created_at: row.created_at,
    updated_at: row.updated_at,
    presence: {
      online: seen.some((worker) => worker.is_online),
      workers: seen.map(({ worker, last_seen_at, in_flight, version, is_online }) => ({
        worker,
        last_seen_at,
        in_flight,
        online: is_online,
        ...(version === null ? {} : { version }),
      })),
    },
    backlog: {
      ready: backlog?.ready ?? 0,
      running: backlog?.running ?? 0,
      oldest_ready_at: backlog?.oldest_ready_at ?? null,
    },
  };
}
