/** Which run a command acts on, and under which token: what `work` and `dispatch` set for the processes that they start. */
import type { Context } from './context.ts';
import { UsageError } from './exit-codes.ts';

export interface RunFlag {
  readonly run?: string;
}

export function runOf({ system }: Context, { run }: RunFlag): string {
  const id = run ?? system.env['LANEKEEPER_RUN_ID'];
  if (id === undefined || id === '') throw new UsageError('Name the run: --run or LANEKEEPER_RUN_ID');
  return id;
}

export async function tokenOf(context: Context): Promise<string> {
  const { token } = await context.settings();
  if (token === undefined)
    throw new UsageError('Give the token of the claim: LANEKEEPER_TOKEN or --token-file');
  return token;
}
