/** Reads the lane a worker is for, waits for a server that is away, and registers the lane when asked to. */
import type { ClaimMode, Lane } from '../../contract/lanes.ts';
import { LanekeeperError } from '../errors.ts';
import type { Availability } from './availability.ts';
import type { WorkerClient } from './worker-client.ts';

export interface LaneSearch {
  readonly client: WorkerClient;
  readonly lane: string;
  /** With the claim mode that it asks for, when it does. */
  readonly mayRegister: boolean;
  readonly claimMode?: ClaimMode | undefined;
  /** How long an unreachable server is waited for; null: for ever. */
  readonly connectSeconds: number | null;
}

/** null when the signal fires meanwhile. Throws what waiting does not mend. */
export async function findLane(
  search: LaneSearch,
  availability: Availability,
  signal: AbortSignal,
): Promise<Lane | null> {
  const { connectSeconds } = search;
  const patienceMs = connectSeconds === null ? Number.POSITIVE_INFINITY : connectSeconds * 1000;
  return await availability.ask(() => readLane(search, signal), signal, patienceMs);
}

async function readLane(search: LaneSearch, signal: AbortSignal): Promise<Lane> {
  const { client, lane, mayRegister, claimMode } = search;
  const options = { signal, retry: { attemptsMax: 1 } };
  try {
    return (await client.lanes.get(lane, options)).lane;
  } catch (error) {
    const isMissing = error instanceof LanekeeperError && error.code === 'lane_not_found';
    if (!isMissing || !mayRegister) throw error;
    return (await client.lanes.register(lane, { kind: 'persistent', claim_mode: claimMode }, options)).lane;
  }
}
