/** Operations on many tasks as people read them, and waiting for one to end. */
import type { Client } from '../client/client.ts';
import type { Operation } from '../contract/bulk.ts';
import { LIMITS } from '../contract/constants.ts';
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
  const untilMs = performance.now() + seconds * 1000;
  const progress = new Progress(output, 'tasks');
  let reply = begun;
  try {
    while (reply.operation.status === 'running') {
      const { id, succeeded, failed_count: failed, total } = reply.operation;
      progress.show(succeeded + failed, total);
      const leftSeconds = Math.ceil((untilMs - performance.now()) / 1000);
      if (leftSeconds <= 0)
        throw new ExitError(EXIT.waitTimedOut, `It goes on.\nNext: lanekeeper operation get ${id} --wait`);
      const waitSeconds = Math.min(LOOK_SECONDS, leftSeconds, LIMITS.waitSecondsMax);
      reply = await client.tasks.operation(id, { waitSeconds });
    }
  } finally {
    progress.end();
  }
  return reply;
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
