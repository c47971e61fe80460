/** Reads the lane a worker is for, waits for a server that is away, and registers the lane when asked to. */
import type { Client } from '../../client/client.ts';
import { LanekeeperError } from '../../client/errors.ts';
import type { Lane } from '../../contract/lanes.ts';
import type { Availability } from './availability.ts';

export interface LaneSearch {
  readonly client: Client;
  readonly lane: string;
  readonly mayRegister: boolean;
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

async function readLane({ client, lane, mayRegister }: LaneSearch, signal: AbortSignal): Promise<Lane> {
  const options = { signal, retry: { attemptsMax: 1 } };
  try {
    return (await client.lanes.get(lane, options)).lane;
  } catch (error) {
    const isMissing = error instanceof LanekeeperError && error.code === 'lane_not_found';
    if (!isMissing || !mayRegister) throw error;
    return (await client.lanes.register(lane, { kind: 'persistent' }, options)).lane;
  }
}
