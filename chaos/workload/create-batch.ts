/** Several tasks made at once, all or none, each recorded as a creation of its own. */
import type { Random } from '../random.ts';
import type { Recorder } from '../recorder.ts';
import { type Body, endOf } from './call.ts';
import type { Operator } from './operator.ts';
import { pause } from './pause.ts';

export type BatchEntry = Body & { readonly lane?: string };

interface BatchParts {
  readonly operator: Operator;
  readonly recorder: Recorder;
  readonly random: Random;
  /** Nothing is asked again after it. */
  readonly quiet: AbortSignal;
}

const ATTEMPTS_MAX = 8;
const RETRY_MS = [100, 900] as const;

/**
 * Until there is an answer. Answers their ids, in order; none where it was refused or nobody knows.
 * @param key Of the batch: with its place behind it the idempotency key of each, and its title.
 */
export async function createBatch(
  { operator, recorder, random, quiet }: BatchParts,
  key: string,
  entries: readonly BatchEntry[],
): Promise<string[]> {
  const tasks = entries.map((entry, place) => {
    const own = `${key}-${place}`;
    return { title: own, idempotency_key: own, max_failures: 1000, ...entry };
  });
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
    const ends = tasks.map(({ idempotency_key: idempotencyKey, lane = '' }) =>
      recorder.begin({ kind: 'create', idempotencyKey, lane }),
    );
    const answer = await operator.ask('POST', '/tasks/batch', { tasks });
    const made = (answer.body as { tasks?: { id: string }[] }).tasks ?? [];
    const isReplay = attempt > 1;
    for (const [place, end] of ends.entries()) {
      const taskId = made[place]?.id;
      end({
        ...endOf(answer),
        ...(answer.ending !== 'ok' || taskId === undefined ? {} : { taskId, isReplay }),
      });
    }
    if (answer.ending !== 'unknown') return made.map(({ id }) => id);
    await pause(random.between(...RETRY_MS), quiet);
    if (quiet.aborted) break;
  }
  return [];
}
