/** Who is signed in, and what that person may do. The server decides; this only spares people buttons that would be refused. */
import type { Client, Key } from '../../client/index.ts';
import type { ServerClock } from '../live/server-clock.ts';

export interface Session {
  readonly secret: string;
  readonly key: Key;
  /** Speaks for no board in particular; `useClient` of a page speaks for its board. */
  readonly client: Client;
  readonly clock: ServerClock;
  readonly may: Rights;
  /** Withdraws the key, if a sign-in made it, and forgets it. */
  readonly signOut: () => void;
  /** Only that: of a key that has been revoked already. */
  readonly forget: () => void;
}

export interface Rights {
  /** Create and operate tasks, change lanes, cancel delegations, retry deliveries. */
  readonly operate: boolean;
  /** Delete tasks and boards, issue and revoke keys. */
  readonly administer: boolean;
  /** Read subscriptions, deliveries and session messages. */
  readonly readDeliveries: boolean;
}

export function rightsOf(role: Key['role']): Rights {
  const operate = role === 'admin' || role === 'orchestrator';
  return { operate, administer: role === 'admin', readDeliveries: operate || role === 'observer' };
}
