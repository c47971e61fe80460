/** Now and then takes a lane over from all the others that work on it, as an orchestrator may at any time. */
import { call, endOf } from './call.ts';
import { readClaims, recordedClaim } from './holder.ts';
import { pause } from './pause.ts';
import type { WorkerContext } from './worker-context.ts';

const MODES = { release: 2, adopt: 2, expire: 1 } as const;
/** Of one process of twelve: together every few seconds. */
const BETWEEN_MS = [15_000, 60_000] as const;

export async function takeoverLoop(context: WorkerContext): Promise<void> {
  const random = context.random.of('takeover');
  const lanes = context.config.lanes.filter((lane) => lane.claimMode.startsWith('pull'));
  while (!context.quiet.aborted) {
    await pause(random.between(...BETWEEN_MS), context.quiet);
    if (context.quiet.aborted) return;
    const lane = random.pick(lanes);
    const worker = `${context.config.process}-${lane.name}-heir`;
    const end = context.recorder.begin({ kind: 'claim', lane: lane.name, worker, claims: [] });
    const answer = await call({
      url: random.pick(context.config.urls),
      method: 'POST',
      path: context.boardPath(`/lanes/${lane.name}/takeover`),
      key: context.config.orchestratorKey,
      body: { mode: random.choose(MODES), worker },
    });
    const claims = answer.ending === 'ok' ? readClaims(answer.body) : [];
    end({ ...endOf(answer), claims: claims.map(recordedClaim) });
    const parts = { context, lane, worker, random };
    await Promise.all(claims.map((claim) => context.work(parts, claim)));
  }
}
