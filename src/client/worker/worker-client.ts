/** As much of a client as its workers use. The client makes workers, so what they know of it stands here: else each would import the other. */
import type { Claims } from '../resources/claims.ts';
import type { Delegations } from '../resources/delegations.ts';
import type { Events } from '../resources/events.ts';
import type { Lanes } from '../resources/lanes.ts';
import type { Runs } from '../resources/runs.ts';
import type { Tasks } from '../resources/tasks.ts';
import type { Transport } from '../transport.ts';
import type { WatchOptions } from '../watch/options.ts';
import type { WebSocketConstructor } from '../watch/socket.ts';
import type { Watch } from '../watch/watch.ts';

export interface WorkerClient {
  readonly url: string;
  readonly board: string;
  readonly transport: Transport;
  /** For tests and unusual platforms; undefined: the platform's. */
  readonly webSocket: WebSocketConstructor | undefined;
  readonly lanes: Lanes;
  readonly claims: Claims;
  readonly runs: Runs;
  readonly tasks: Tasks;
  readonly delegations: Delegations;
  readonly events: Events;
  watch(options?: WatchOptions, signal?: AbortSignal): Watch;
}
