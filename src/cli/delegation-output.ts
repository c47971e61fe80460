/** Delegations as people read them, and waiting for one to come back. */
import type { Client } from '../client/client.ts';
import type { Delegation } from '../contract/delegations.ts';
import type { Context } from './context.ts';
import { EXIT, ExitError } from './exit-codes.ts';
import { age } from './format.ts';
import { type Output, printableLines } from './output.ts';
import { writeFields } from './table.ts';

/** Its results as the one block that is told of it; before there are any, how it stands. */
export function writeDelegation(output: Output, delegation: Delegation): void {
  if (delegation.text !== null) {
    output.line(printableLines(delegation.text));
    return;
  }
  writeFields(output, [
    ['delegation', delegation.id],
    ['status', delegation.status],
    ['goal', delegation.goal],
    ['tasks', delegation.tasks.join(' ')],
    ['join', delegation.join],
    ['deadline', delegation.deadline_at],
    ['session', delegation.origin?.session_id ?? null],
    ['created', age(delegation.created_at)],
  ]);
}

/** Prints it once it is decided. Exit code 124: not in time; it goes on, and may be collected later. */
export async function collectDelegation(
  { output }: Context,
  client: Client,
  id: string,
  endsAt: number,
): Promise<void> {
  const timeoutSeconds = Math.max(0, (endsAt - performance.now()) / 1000);
  const reply = await client.delegations.collect(id, { timeoutSeconds });
  if (reply.delegation.status === 'running')
    throw new ExitError(EXIT.waitTimedOut, `${id} is still running.\nNext: lanekeeper collect ${id}`);
  if (output.isJson) output.json(reply);
  else writeDelegation(output, reply.delegation);
}
