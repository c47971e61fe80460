/** How long a board keeps what is over: the flags that say so, and how it is shown. */
import type { Command } from 'commander';
import type { Board } from '../../contract/boards.ts';
import { durationUpTo, given } from '../options.ts';

/** As the contract has it: ten years. */
const RETENTION_SECONDS_MAX = 10 * 366 * 86_400;

type Retention = Board['settings']['retention'];

/** Null: for ever. */
type Kept = number | null;

export interface RetentionFlags {
  readonly keepEvents?: Kept;
  readonly keepFinishedTasks?: Kept;
  readonly keepRuns?: Kept;
  readonly keepOutput?: Kept;
  readonly keepDeliveries?: Kept;
  readonly keepMessages?: Kept;
}

const durationOf = durationUpTo(RETENTION_SECONDS_MAX);

function keptFrom(value: string): Kept {
  return value === 'forever' ? null : durationOf(value);
}

export function withRetentionOptions(command: Command): Command {
  return command
    .option('--keep-events <time>', 'events of the log, like 30d; "forever" (default)', keptFrom)
    .option('--keep-finished-tasks <time>', 'finished tasks, with their runs and comments', keptFrom)
    .option('--keep-runs <time>', 'runs, but for the latest of each task', keptFrom)
    .option('--keep-output <time>', 'output of tasks that nobody holds', keptFrom)
    .option('--keep-deliveries <time>', 'deliveries that are over', keptFrom)
    .option('--keep-messages <time>', 'what sessions were told', keptFrom);
}

/** Undefined: nothing of it was named. */
export function retentionOf(flags: RetentionFlags): Partial<Retention> | undefined {
  const named = given({
    events_seconds: flags.keepEvents,
    finished_tasks_seconds: flags.keepFinishedTasks,
    runs_seconds: flags.keepRuns,
    output_seconds: flags.keepOutput,
    deliveries_seconds: flags.keepDeliveries,
    messages_seconds: flags.keepMessages,
  });
  return Object.keys(named).length === 0 ? undefined : named;
}

/** From the largest unit that divides it. A server of before says nothing of it. */
export function retentionText(retention: Retention | undefined): string {
  const kept = Object.entries(retention ?? {}).flatMap(([name, seconds]) =>
    seconds === null ? [] : [`${name.replace(/_seconds$/, '').replaceAll('_', ' ')} ${timeText(seconds)}`],
  );
  return kept.join(', ') || 'everything';
}

function timeText(seconds: number): string {
  for (const [unit, size] of [
    ['d', 86_400],
    ['h', 3600],
    ['m', 60],
  ] as const)
    if (seconds % size === 0) return `${seconds / size}${unit}`;
  return `${seconds}s`;
}
