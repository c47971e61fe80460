/** watch: the log as it happens, one event a line, through drops and restarts of the server. */
import { LIMITS } from '../../contract/constants.ts';
import type { Context } from '../context.ts';
import { eventLine } from '../format.ts';
import { integerFrom, listFrom, withExamples } from '../options.ts';
import type { Register } from '../register.ts';

interface WatchFlags {
  readonly after: string;
  readonly lanes?: string[];
  readonly tasks?: string[];
  readonly kinds?: string[];
  readonly count?: number;
}

export const registerWatch: Register = (command, contextOf) => {
  withExamples(
    command,
    `  lanekeeper watch
  lanekeeper watch --after start --json | jq .kind
  lanekeeper watch --lanes factory --kinds task.completed,task.failed`,
  );
  command
    .description('Follow the log of a board. Reconnects and goes on where it was; ends with Ctrl-C.')
    .option('--after <cursor>', '"now", "start" (the oldest retained event) or a cursor', 'now')
    .option('--lanes <names>', 'only these lanes', listFrom)
    .option('--tasks <ids>', 'only these tasks', listFrom)
    .option('--kinds <kinds>', 'only these kinds; task.* stands for all of tasks', listFrom)
    .option('--count <n>', 'end after so many events', integerFrom(1, Number.MAX_SAFE_INTEGER))
    .action((flags: WatchFlags) => watch(contextOf(), flags));
};

async function watch(context: Context, flags: WatchFlags): Promise<void> {
  const { output } = context;
  const client = await context.client();
  const { after, lanes, tasks, kinds } = flags;
  let isAway = false;
  const source = client.watch({
    after,
    lanes,
    tasks,
    kinds,
    onState: (state) => {
      if (state === 'backing_off' && !isAway) output.note('disconnected; reconnecting');
      if (state === 'live' && isAway) output.note('connected again');
      isAway = state === 'backing_off' || (isAway && state !== 'live');
    },
  });
  let left = flags.count ?? Number.POSITIVE_INFINITY;
  for await (const event of source) {
    if (output.isJson) output.jsonLine(event);
    else output.line(eventLine(output, event));
    left -= 1;
    if (left <= 0) break;
    await drained(context);
  }
}

/** A slow reader slows the watch down, whose queue is bounded, instead of filling our memory. */
async function drained({ output }: Context): Promise<void> {
  if (output.stdout.writableLength < LIMITS.bodyBytesMax) return;
  await new Promise((resolve) => output.stdout.once('drain', resolve));
}
