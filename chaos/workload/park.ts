/** A worker makes a helper under its claim's token, and makes its own task wait for it. */
import type { HeldClaim } from './holder.ts';
import { Operator } from './operator.ts';
import type { LoopParts } from './worker-context.ts';

const ATTEMPTS_MAX = 3;
/** Ahead of what else waits, so that the helper is held while its maker still is there. */
const URGENT = 9;

/** False: it could not; the claim may be over. @param meetAtMs When the helper is to end, by the wall clock. */
export async function makeHelper(
  { context, random }: LoopParts,
  claim: HeldClaim,
  meetAtMs: number,
): Promise<boolean> {
  const { recorder, config } = context;
  if (claim.token === null) return false;
  const key = claim.token;
  const operator = new Operator(config, recorder, random);
  const idempotencyKey = `${claim.runId}-helper`;
  const lane = random.pick(config.lanes).name;
  const task = {
    title: idempotencyKey,
    lane,
    idempotency_key: idempotencyKey,
    priority: URGENT,
    payload: { meet_at: meetAtMs },
    max_failures: 1000,
  };
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
    const end = recorder.begin({ kind: 'create', idempotencyKey, lane });
    const answer = await operator.ask('POST', '/tasks', task, key);
    const { task: made } = answer.body as { task?: { id: string } };
    const isMade = answer.ending === 'ok' && made !== undefined;
    end({
      ending: answer.ending,
      ...(answer.code === undefined ? {} : { code: answer.code }),
      ...(isMade ? { taskId: made.id, isReplay: answer.status === 200 } : {}),
    });
    if (answer.ending === 'fail') return false;
    if (!isMade) continue;
    const linked = await operator.act({ kind: 'link', taskId: claim.taskId, parentId: made.id, key });
    return linked.ending !== 'fail';
  }
  return false;
}
