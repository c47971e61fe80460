/** How much waits for a person, for the badge. */
import type { Event } from '../../client/index.ts';
import { useLiveQuery } from '../live/live-context.tsx';

/** Lanes go offline and leases come close to their end without an event at that moment. */
const REREAD_MS = 15_000;

/** Nearly everything that happens touches it, and its answer looks at the whole board: two seconds late is early enough for people. */
const LEAST_MS = 2000;

const TOUCHING = /^(task\.(?!heartbeat|progress|commented)|lane\.)/;

const touchesAttention = ({ kind }: Event): boolean => TOUCHING.test(kind);

export function useAttention() {
  return useLiveQuery({
    key: ['attention'],
    read: (client, signal) => client.attention({ signal }),
    isTouchedBy: touchesAttention,
    everyMs: REREAD_MS,
    leastMs: LEAST_MS,
  });
}

export interface AttentionCount {
  readonly count: number;
  readonly isMore: boolean;
}

export function useAttentionCount(): AttentionCount {
  const { data } = useAttention();
  return { count: data?.attention.length ?? 0, isMore: data?.truncated ?? false };
}
