/** A worker process: several loops that claim and work, each in its own way. Killed, stopped and revived from outside. */
import { Random } from '../random.ts';
import { Recorder } from '../recorder.ts';
import { joinRun, type LanePlan, type PartyChannel } from './party-channel.ts';
import { pullLoop } from './pull-loop.ts';
import { pushLoop } from './push-loop.ts';
import { takeoverLoop } from './takeover-loop.ts';
import { WorkerContext } from './worker-context.ts';

/** Loops of a process by the lane's way of claiming. */
const LOOPS = { pull: 2, 'pull-or-watch': 1, watch: 1, push: 1 } as const;
/** What was held is over by then, or its lease will tell. */
const LEAVE_WITHIN_MS = 4000;

function startLoops(context: WorkerContext, lane: LanePlan): Promise<void>[] {
  return Array.from({ length: LOOPS[lane.claimMode] }, (_, index) => {
    const name = `${context.config.process}-${lane.name}${index + 1}`;
    const random = context.random.of(name);
    return lane.claimMode === 'push'
      ? pushLoop({ context, lane, worker: name, random })
      : pullLoop({ context, lane, worker: name, random });
  });
}

async function run(channel: PartyChannel): Promise<void> {
  const { config } = channel;
  const recorder = new Recorder(config.directory, config.process);
  const random = new Random(config.seed).of(config.process);
  const context = new WorkerContext(channel, recorder, random);
  const loops = config.lanes.flatMap((lane) => startLoops(context, lane));
  if (config.hasTakeover) loops.push(takeoverLoop(context));
  channel.leaving.addEventListener('abort', () => {
    setTimeout(() => process.exit(0), LEAVE_WITHIN_MS).unref();
  });
  await Promise.all(loops);
}

await run(await joinRun());
process.exit(0);
