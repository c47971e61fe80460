/** watch: the log as it happens, one event a line, through drops and restarts of the server. */
import type { OutputFrame } from '../../client/watch/options.ts';
import { connectionNotes } from '../connection-notes.ts';
import type { Context } from '../context.ts';
import { counted, eventLine, shortId } from '../format.ts';
import { integerFrom, listFrom, withExamples } from '../options.ts';
import { drained, UNREAD_BYTES_MAX } from '../output.ts';
import type { Register } from '../register.ts';

interface WatchFlags {
  readonly after: string;
  readonly lanes?: string[];
  readonly tasks?: string[];
  readonly kinds?: string[];
  readonly count?: number;
  readonly output?: boolean;
}

export const registerWatch: Register = (command, contextOf) => {
  withExamples(
    command,
    `  lanekeeper watch
  lanekeeper watch --after start --json | jq .kind
  lanekeeper watch --lanes factory --kinds task.completed,task.failed
  lanekeeper watch --lanes factory --output`,
  );
  command
    .description('Follow the log of a board. Reconnects and goes on where it was; ends with Ctrl-C.')
    .addHelpText(
      'after',
      '\nWithout a first connection it ends after 30 s, with exit code 6. Once it was connected it comes back for ever.\n',
    )
    .option('--after <cursor>', '"now", "start" (the oldest retained event) or a cursor', 'now')
    .option('--lanes <names>', 'only these lanes', listFrom)
    .option('--tasks <ids>', 'only these tasks', listFrom)
    .option('--kinds <kinds>', 'only these kinds; task.* stands for all of tasks', listFrom)
    .option('--output', 'also what workers print, as they print it')
    .option('--count <n>', 'end after so many events', integerFrom(1, Number.MAX_SAFE_INTEGER))
    .action((flags: WatchFlags) => watch(contextOf(), flags));
};

async function watch(context: Context, flags: WatchFlags): Promise<void> {
  const { output } = context;
  const client = await context.client();
  const { after, lanes, tasks, kinds } = flags;
  const onOutput = flags.output ? (frame: OutputFrame) => showOutput(context, frame) : undefined;
  const notes = connectionNotes(output, client.url);
  const source = client.watch({ ...notes, after, lanes, tasks, kinds, onOutput });
  let left = flags.count ?? Number.POSITIVE_INFINITY;
  for await (const event of source) {
    if (output.isJson) output.jsonLine(event);
    else output.line(eventLine(output, event));
    left -= 1;
    if (left <= 0) break;
    await drained(output);
  }
}

/** What a reader is too slow for is left out: output is no log, and cannot be held back. */
function showOutput({ output }: Context, frame: OutputFrame): void {
  const { task_id: taskId, lines, dropped = 0 } = frame;
  if (output.stdout.writableLength >= UNREAD_BYTES_MAX) return;
  if (output.isJson) output.jsonLine(frame);
  else {
    const prefix = output.style('dim', `[${shortId(taskId)}] `);
    if (dropped > 0) output.line(`${prefix}(${counted(dropped, 'line')} left out)`);
    for (const line of lines) output.printed(prefix + line);
  }
}
