/** operation get | cancel: one thing done to many tasks, in the background. `task bulk` makes them. */
import type { Context } from '../context.ts';
import { cancelOperation, waitForOperation, writeOperation } from '../operation-output.ts';
import { durationUpTo, giveExamples, withExamples } from '../options.ts';
import type { Register } from '../register.ts';

/** A day: as long as any wait of the command line. */
export const WAIT_SECONDS_MAX = 86_400;
const WAIT_SECONDS_DEFAULT = 3600;

export const registerOperation: Register = (operation, contextOf) => {
  withExamples(
    operation,
    `  OPERATION=$(lanekeeper task bulk archive --status done --no-wait --json | jq -r .operation.id)
  lanekeeper operation get "$OPERATION" --wait
  lanekeeper operation cancel "$OPERATION"`,
  );
  operation
    .command('get <id>')
    .description('show how far it is; with --wait once it is done')
    .option(
      '--wait [duration]',
      'wait until it is done, like 90s or 10m (default 1h)',
      durationUpTo(WAIT_SECONDS_MAX, 0),
    )
    .action((id: string, flags: { wait?: number | true }) => getOperation(contextOf(), id, flags.wait));
  operation
    .command('cancel <id>')
    .description('stop it: what it has done stays done')
    .action((id: string) => cancelOperation(contextOf(), id));
  giveExamples(operation, {
    get: '  lanekeeper operation get op_01h… --wait',
    cancel: '  lanekeeper operation cancel op_01h…',
  });
};

async function getOperation(context: Context, id: string, wait: number | true | undefined): Promise<void> {
  const client = await context.client();
  const reply = await client.tasks.operation(id);
  if (wait === undefined) {
    writeOperation(context, reply);
    return;
  }
  const seconds = wait === true ? WAIT_SECONDS_DEFAULT : wait;
  writeOperation(context, await waitForOperation(context, client, reply, seconds));
}
