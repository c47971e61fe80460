/** What happens to claims without their holder: heard of as hints, after which a heartbeat asks. */

/** Events after which a running claim may be gone or unwanted. */
export const CLAIM_KINDS: readonly string[] = [
  'task.cancel_requested',
  'task.cancelled',
  'task.crashed',
  'task.timed_out',
  'task.reclaimed',
  'task.released',
  'task.deleted',
  'lane.taken_over',
];

interface ClaimEvent {
  readonly kind: string;
  readonly worker?: string | undefined;
}

/** The worker that has taken the lane over; null: none, or we. */
export function takerOf({ kind, worker }: ClaimEvent, self: string): string | null {
  return kind === 'lane.taken_over' && worker !== undefined && worker !== self ? worker : null;
}
