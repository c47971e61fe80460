/** Operations on many tasks as people read them, and waiting for one to end. */
import type { Client } from '../client/client.ts';
import { waitLong } from '../client/long-wait.ts';
import type { Operation } from '../contract/bulk.ts';
import type { Context } from './context.ts';
import { EXIT, ExitError } from './exit-codes.ts';
import { printable } from './output.ts';
import { Progress } from './progress.ts';

interface OperationReply {
  readonly operation: Operation;
}

/** Between two looks at a bar on a terminal; a long operation moves it a few dozen times a minute. */
const LOOK_SECONDS = 2;

/** Until it has ended. Exit code 124: not in time; it goes on. */
export async function waitForOperation(
  { output }: Context,
  client: Client,
  begun: OperationReply,
  seconds: number,
): Promise<OperationReply> {
  const { timing } = client.transport;
  const { id } = begun.operation;
  const progress = new Progress(output, 'tasks');
  const isOver = ({ operation }: OperationReply): boolean => {
    progress.show(operation.succeeded + operation.failed_count, operation.total);
    return operation.status !== 'running';
  };
  try {
    if (isOver(begun)) return begun;
    const reply = await waitLong(timing, {
      ask: (poll) => client.tasks.operation(id, poll),
      isOver,
      endsAtMs: timing.now() + seconds * 1000,
      pollSeconds: LOOK_SECONDS,
      hasAnswered: true,
    });
    if (reply.operation.status !== 'running') return reply;
  } finally {
    progress.end();
  }
  throw new ExitError(EXIT.waitTimedOut, `It goes on.\nNext: lanekeeper operation get ${id} --wait`);
}

/** Stops it, as `operation cancel` and `task bulk-cancel`. */
export async function cancelOperation(context: Context, id: string): Promise<void> {
  writeOperation(context, await (await context.client()).tasks.cancelOperation(id));
}

export function writeOperation({ output }: Context, reply: OperationReply): void {
  if (output.isJson) {
    output.json(reply);
    return;
  }
  const { id, action, dry_run, status, total, succeeded, failed_count, failed } = reply.operation;
  const what = dry_run ? `${action} (dry run)` : action;
  output.line(`${id}  ${what}  ${status}  ${succeeded} succeeded, ${failed_count} failed, ${total} in all`);
  for (const item of failed) output.line(`  ${printable(item.id)}  ${item.code}`);
}
