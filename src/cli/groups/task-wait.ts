/** task wait, and task get -w: told by the watch when something has happened, instead of asking again and again. */
import { type Command, Option } from 'commander';
import { callAfter } from '../../client/timing.ts';
import type { Task } from '../../contract/tasks.ts';
import type { Context } from '../context.ts';
import { EXIT, ExitError } from '../exit-codes.ts';
import { eventLine, isFinished, taskLine, writeTask } from '../format.ts';
import { followTasks } from '../live/followed-tasks.ts';
import { durationFrom } from '../options.ts';

/** As `task get --wait`. */
const WAIT_SECONDS_DEFAULT = 3600;

const GOALS = ['done', 'ended', 'blocked', 'any'] as const;
type Goal = (typeof GOALS)[number];

interface WaitFlags {
  readonly for: Goal;
  readonly timeout: number;
}

export function addWaitCommand(task: Command, contextOf: () => Context): void {
  task
    .command('wait <ids...>')
    .description('wait until all of these tasks are what they shall be; prints each when it is')
    .addOption(new Option('--for <what>', 'what to wait for').choices(GOALS).default('done'))
    .option('--timeout <duration>', 'at most so long, like 90s or 10m', durationFrom, WAIT_SECONDS_DEFAULT)
    .addHelpText(
      'after',
      `
  done     done. Failed: cancelled, archived, or blocked because it was given up
  ended    done, cancelled or archived
  blocked  blocked. Failed: it has ended instead
  any      ended or blocked, whatever comes first
Exit codes: 0 all of them are, 1 one of them has failed, 3 there is no such task, 124 not in time. With --json one line for each
task: {"task": …}.
`,
    )
    .action((ids: string[], flags: WaitFlags) => waitForTasks(contextOf(), ids, flags));
}

/** Whether a wait for it is over, and how. */
export function judge(task: Pick<Task, 'status' | 'blocked'>, goal: Goal): 'met' | 'failed' | 'waiting' {
  const isOver = isFinished(task);
  const isBlocked = task.status === 'blocked';
  switch (goal) {
    case 'done':
      if (task.status === 'done') return 'met';
      // Nobody works on it again before a person says so.
      return isOver || (isBlocked && task.blocked?.kind === 'gave_up') ? 'failed' : 'waiting';
    case 'ended':
      return isOver ? 'met' : 'waiting';
    case 'blocked':
      if (isBlocked) return 'met';
      return isOver ? 'failed' : 'waiting';
    case 'any':
      return isOver || isBlocked ? 'met' : 'waiting';
  }
}

async function waitForTasks(context: Context, ids: readonly string[], flags: WaitFlags): Promise<void> {
  const { output } = context;
  const client = await context.client();
  const leaving = new AbortController();
  let isLate = false;
  const stopTimer = callAfter(flags.timeout * 1000, () => {
    isLate = true;
    leaving.abort();
  });
  const failed: Task[] = [];
  let left = new Set(ids).size;
  const look = (task: Task): boolean => {
    const verdict = judge(task, flags.for);
    if (verdict === 'waiting') return true;
    left -= 1;
    if (output.isJson) output.jsonLine({ task });
    else output.line(taskLine(output, task));
    if (verdict === 'failed') {
      failed.push(task);
      leaving.abort();
    }
    return false;
  };
  try {
    await followTasks(context, client, ids, { look }, leaving.signal);
  } finally {
    stopTimer();
  }
  const [first] = failed;
  if (first !== undefined) throw new ExitError(EXIT.error, `${first.id} is ${first.status}.`);
  if (isLate) throw new ExitError(EXIT.waitTimedOut, `Not in time: ${left} of ${ids.length} to go.`);
}

/** People read what it is and then what happens to it; programs are given it again each time it has changed. */
export async function followOne(context: Context, id: string): Promise<void> {
  const { output } = context;
  const client = await context.client();
  let version: number | undefined;
  const look = (task: Task): boolean => {
    if (output.isJson) {
      if (task.version !== version) output.jsonLine({ task });
    } else if (version === undefined) writeTask(output, task);
    version = task.version;
    return !isFinished(task);
  };
  const onEvent = output.isJson
    ? undefined
    : (event: Parameters<typeof eventLine>[1]) => output.line(eventLine(output, event));
  const { cursor: after } = await client.events.list({ after: 'now' });
  const follower = onEvent === undefined ? { look, after } : { look, after, onEvent };
  await followTasks(context, client, [id], follower, new AbortController().signal);
}
