/** snapshot: what is on the board now, and the cursor to watch from. */
import { writeLanes, writeTasks } from '../format.ts';
import { withExamples } from '../options.ts';
import type { Register } from '../register.ts';

export const registerSnapshot: Register = (command, contextOf) => {
  command.description(
    'Show the unfinished tasks and the lanes of one instant, with the cursor to watch from.',
  );
  withExamples(
    command,
    `  lanekeeper snapshot
  lanekeeper watch --after "$(lanekeeper snapshot --json | jq -r .cursor)"`,
  );
  command.action(async () => {
    const context = contextOf();
    const { output } = context;
    const reply = await (await context.client()).snapshot();
    if (output.isJson) {
      output.json(reply);
      return;
    }
    writeLanes(output, reply.lanes);
    output.line();
    writeTasks(output, reply.tasks);
    if (reply.truncated) output.note('There are more tasks than a snapshot holds.');
    output.note(`Next: lanekeeper watch --after ${reply.cursor}`);
  });
};
