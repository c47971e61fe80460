/** What the log says of the holder of a claim while it works: when it was last heard, how far it is, whether it is asked to stop. Pure. */
import type { Event } from '../../client/index.ts';
import { numberOf, stringOf, timeOf } from '../live/event-data.ts';

export interface HolderSigns {
  readonly heardAtMs: number | null;
  /** How long its last sign of life extended the lease. */
  readonly leaseMs: number | null;
  readonly progress: number | null;
  readonly note: string | null;
  readonly cancel: { readonly reason: string | null; readonly deadlineMs: number | null } | null;
}

export const NO_SIGNS: HolderSigns = {
  heardAtMs: null,
  leaseMs: null,
  progress: null,
  note: null,
  cancel: null,
};

const HEARD: ReadonlySet<string> = new Set(['task.claimed', 'task.heartbeat', 'task.progress']);

export function signsAfter(
  signs: HolderSigns,
  { kind, at, run_id: run, data }: Event,
  runId: string,
): HolderSigns {
  if (run !== runId) return signs;
  if (kind === 'task.cancel_requested')
    return {
      ...signs,
      cancel: { reason: stringOf(data['reason']), deadlineMs: timeOf(data['deadline_at']) },
    };
  if (!HEARD.has(kind)) return signs;
  const heardAtMs = Date.parse(at);
  const until = timeOf(data['lease_expires_at']);
  return {
    ...signs,
    heardAtMs,
    leaseMs: until === null ? signs.leaseMs : until - heardAtMs,
    progress: numberOf(data['progress']) ?? signs.progress,
    note: stringOf(data['note']) ?? signs.note,
  };
}

/** Most heartbeats are not in the log, but each extends the lease: its end tells when the last one came. */
export function heardAtMs(signs: HolderSigns, leaseExpiresAtMs: number): number | null {
  if (signs.heardAtMs === null || signs.leaseMs === null) return signs.heardAtMs;
  return Math.max(signs.heardAtMs, leaseExpiresAtMs - signs.leaseMs);
}
