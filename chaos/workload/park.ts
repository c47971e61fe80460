/** A worker makes a helper under its claim's token, and makes its own task wait for it. */

import { endOf } from './call.ts';
import type { HeldClaim } from './holder.ts';
import { Operator } from './operator.ts';
import { pause } from './pause.ts';
import type { LoopParts } from './worker-context.ts';

const ATTEMPTS_MAX = 3;
/** Ahead of what else waits, so that the helper is held while its maker still is there. */
const URGENT = 9;

/** For somebody to take the helper: below the shortest lease, with the time until the next stroke. */
const HELD_WITHIN_MS = 1200;
const LOOK_MS = 60;

/** False: it could not; the claim may be over. Else the helper is held, or as good as: both end on the next stroke. */
export async function makeHelper({ context, random }: LoopParts, claim: HeldClaim): Promise<boolean> {
  const { recorder, config } = context;
  if (claim.token === null) return false;
  const key = claim.token;
  const operator = new Operator(config, recorder, random);
  const idempotencyKey = `${claim.runId}-helper`;
  // Where somebody waits for work, and not for a hint.
  const lane = random.pick(config.lanes.filter(({ claimMode }) => claimMode.startsWith('pull'))).name;
  const task = {
    title: idempotencyKey,
    lane,
    idempotency_key: idempotencyKey,
    priority: URGENT,
    payload: { helper: true },
    max_failures: 1000,
  };
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
    const end = recorder.begin({ kind: 'create', idempotencyKey, lane });
    const answer = await operator.ask('POST', '/tasks', task, key);
    const { task: made } = answer.body as { task?: { id: string } };
    const isMade = answer.ending === 'ok' && made !== undefined;
    end({
      ...endOf(answer),
      ...(isMade ? { taskId: made.id, isReplay: answer.status === 200 } : {}),
    });
    if (answer.ending === 'fail') return false;
    if (!isMade) continue;
    const linked = await operator.act({ kind: 'link', taskId: claim.taskId, parentId: made.id, key });
    if (linked.ending === 'fail') return false;
    await awaitHolder(operator, made.id, key);
    return true;
  }
  return false;
}

async function awaitHolder(operator: Operator, taskId: string, key: string): Promise<void> {
  const deadline = performance.now() + HELD_WITHIN_MS;
  while (performance.now() < deadline) {
    const { body } = await operator.ask('GET', `/tasks/${taskId}`, undefined, key);
    const { task } = body as { task?: { status: string } };
    if (task !== undefined && task.status !== 'ready') return;
    await pause(LOOK_MS);
  }
}
