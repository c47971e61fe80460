/**
 * Makes replies of outcomes, on a lane of its own: mostly at once, sometimes not at all, sometimes so slowly that its time is over. Whatever
 * it does, what it was to reply to is told.
 */
import { Random } from '../random.ts';
import { Recorder } from '../recorder.ts';
import type { Body } from './call.ts';
import type { HeldClaim } from './holder.ts';
import { writeOverHttp } from './holder.ts';
import { joinRun, type LanePlan, type PartyChannel } from './party-channel.ts';
import { pause } from './pause.ts';
import { pullLoop } from './pull-loop.ts';
import { WorkerContext } from './worker-context.ts';

const LOOPS = 2;
/** stuck takes 45 s of a conversation: it must be rare. The others that fail are many, for a minute's run has a dozen replies. */
const LIVES = { prompt: 50, slow: 14, fail: 18, abandon: 16, stuck: 2 } as const;
/** Each process begins so: on a slow machine there are so few replies that by chance none would fail. */
const FIRST_LIVES = ['prompt', 'fail', 'slow', 'abandon'] as const;
const PROMPT_MS = [20, 400] as const;
const SLOW_MS = [2000, 5000] as const;
/** Longer than a reply may take. */
const STUCK_MS = 60_000;
const END_ATTEMPTS_MAX = 12;
const RETRY_MS = [100, 900] as const;
const LEAVE_WITHIN_MS = 4000;

async function reply(
  context: WorkerContext,
  lane: LanePlan,
  { claim, index }: { readonly claim: HeldClaim; readonly index: number },
): Promise<void> {
  const { config, recorder, quiet, leaving } = context;
  const random = context.random.of(claim.runId);
  const write = writeOverHttp(recorder, claim, () => random.pick(config.urls));
  const life = quiet.aborted ? 'prompt' : (FIRST_LIVES[index] ?? random.choose(LIVES));
  if (life === 'abandon') return;
  const workMs = { slow: random.between(...SLOW_MS), stuck: STUCK_MS };
  const isLong = life === 'slow' || life === 'stuck';
  const until = performance.now() + (isLong ? workMs[life] : random.between(...PROMPT_MS));
  while (performance.now() < until && !leaving.aborted) {
    await pause(Math.min(until - performance.now(), (lane.leaseSeconds * 1000) / 3), quiet);
    if (isLong && (await write('heartbeat', {})).ending === 'fail') return;
    if (quiet.aborted) break;
  }
  const body: Body =
    life === 'fail' ? { error: 'no words' } : { result: { text: `A reply, ${claim.runId}.` } };
  for (let attempt = 1; attempt <= END_ATTEMPTS_MAX; attempt += 1) {
    const { ending } = await write(life === 'fail' ? 'fail' : 'complete', body);
    if (ending !== 'unknown' || leaving.aborted) return;
    await pause(random.between(...RETRY_MS), leaving);
  }
}

async function run(channel: PartyChannel): Promise<void> {
  const { config } = channel;
  const lane = config.synthesizerLane;
  const context = new WorkerContext(
    channel,
    new Recorder(config.directory, config.process),
    new Random(config.seed).of(config.process),
  );
  channel.leaving.addEventListener('abort', () => {
    setTimeout(() => process.exit(0), LEAVE_WITHIN_MS).unref();
  });
  let count = 0;
  const loops = Array.from({ length: LOOPS }, (_, index) => {
    const worker = `${config.process}-${index + 1}`;
    // It works on when the others have become quiet, until all is told.
    const parts = { context, lane, worker, random: context.random.of(worker), until: channel.leaving };
    return pullLoop(parts, (claim) => {
      const index = count;
      count += 1;
      return reply(context, lane, { claim, index });
    });
  });
  await Promise.all(loops);
}

await run(await joinRun());
process.exit(0);
