/** What faults are done to. */
import type { Cluster } from './cluster.ts';
import type { Party } from './party.ts';
import type { ReplicaPair } from './replica-pair.ts';
import type { Server } from './server.ts';

export interface FaultTargets {
  readonly cluster: Cluster;
  /** The cluster and its standby; null: it has none. */
  readonly pair: ReplicaPair | null;
  readonly servers: readonly Server[];
  readonly workers: readonly Party[];
  readonly gateways: readonly Party[];
  readonly synthesizers: readonly Party[];
  /** What works on the board that prunes. */
  readonly churners: readonly Party[];
}
