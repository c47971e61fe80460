/** event list: a page of the log. */
import { LIMITS } from '../../contract/constants.ts';
import type { Context } from '../context.ts';
import { eventLine } from '../format.ts';
import { durationUpTo, giveExamples, integerFrom, listFrom, withExamples } from '../options.ts';
import type { Register } from '../register.ts';

interface EventFlags {
  readonly after?: string;
  readonly before?: string;
  readonly limit?: number;
  readonly lanes?: string[];
  readonly tasks?: string[];
  readonly kinds?: string[];
  readonly wait?: number;
}

export const registerEvent: Register = (command, contextOf) => {
  withExamples(
    command,
    `  lanekeeper events
  lanekeeper events --before now --limit 20
  lanekeeper events --kinds task.failed --limit 20
  lanekeeper events --after CURSOR --wait 30 --json`,
  );
  command
    .command('list', { isDefault: true })
    .description(
      'read a page of the log, oldest first unless it is read back; to follow it: lanekeeper watch',
    )
    .option('--after <cursor>', 'a cursor, or "start" (the default)')
    .option('--before <cursor>', 'instead: back from a cursor, or from "now", the newest first')
    .option('--limit <n>', 'events a page', integerFrom(1, LIMITS.eventPageRowsMax))
    .option('--lanes <names>', 'only these lanes', listFrom)
    .option('--tasks <ids>', 'only these tasks', listFrom)
    .option('--kinds <kinds>', 'only these kinds; task.* stands for all of tasks', listFrom)
    .option(
      '--wait <duration>',
      `wait for one when there is none, up to ${LIMITS.waitSecondsMax}s`,
      durationUpTo(LIMITS.waitSecondsMax, 0),
    )
    .action((flags: EventFlags) => listEvents(contextOf(), flags));
  giveExamples(command, {
    list: `  lanekeeper events
  lanekeeper event list --kinds task.failed,task.gave_up --limit 20
  lanekeeper event list --after CURSOR --wait 30 --json`,
  });
};

async function listEvents(context: Context, flags: EventFlags): Promise<void> {
  const { output } = context;
  const { wait, ...query } = flags;
  const page = await (await context.client()).events.list(query, { waitSeconds: wait });
  if (output.isJson) {
    output.json(page);
    return;
  }
  for (const event of page.events) output.line(eventLine(output, event));
  output.note(`More: --${query.before === undefined ? 'after' : 'before'} ${page.cursor}`);
}
