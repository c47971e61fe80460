/** A worker hands a part of its task on under its claim's token, and collects it within its own run. */
import { Delegator } from './delegator.ts';
import type { HeldClaim } from './holder.ts';
import type { LoopParts } from './worker-context.ts';

/** Ahead of what else waits: its maker holds a claim meanwhile. */
const URGENT = 9;
const TASKS_MAX = 2;
/** It is decided then at the latest: the maker's own work goes on. */
const DEADLINE_SECONDS = 3;
const COLLECT_SECONDS = 2;
const COLLECTS_MAX = 4;

export async function delegateUnder({ context, random }: LoopParts, claim: HeldClaim): Promise<void> {
  const { config, recorder, leaving } = context;
  if (claim.token === null) return;
  const delegator = new Delegator({ config, recorder, random, key: claim.token, quiet: leaving });
  const idempotencyKey = `${claim.runId}-part`;
  const lanes = config.lanes.filter(({ claimMode }) => claimMode.startsWith('pull'));
  const tasks = Array.from({ length: random.whole(1, TASKS_MAX) }, (_, place) => ({
    goal: `${idempotencyKey}-${place}`,
    lane: random.pick(lanes).name,
    priority: URGENT,
    payload: { chime: true },
  }));
  const made = await delegator.create({
    idempotencyKey,
    sessionId: null,
    body: { tasks, deadline_seconds: DEADLINE_SECONDS },
  });
  if (made === null) return;
  for (let count = 0; count < COLLECTS_MAX; count += 1) {
    if (leaving.aborted || (await delegator.collect(made.id, COLLECT_SECONDS))) return;
  }
}
