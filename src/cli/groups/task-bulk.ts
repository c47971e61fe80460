/** task bulk, task delete: what is done to many tasks at once, and what cannot be undone. */
import type { Command } from 'commander';
import type { BodyOf } from '../../client/operation-types.ts';
import { LIMITS } from '../../contract/constants.ts';
import { confirm } from '../confirm.ts';
import type { Context } from '../context.ts';
import { EXIT, ExitError, UsageError } from '../exit-codes.ts';
import { counted } from '../format.ts';
import { cancelOperation, waitForOperation, writeOperation } from '../operation-output.ts';
import { given, integerFrom, listFrom, timeFrom } from '../options.ts';
import { printable } from '../output.ts';

type BulkBody = BodyOf<'bulkTasks'>;

/** A day: 100,000 tasks take minutes; whoever wants a shorter wait says --no-wait. */
const WAIT_SECONDS = 86_400;

interface BulkFlags {
  readonly status?: string[];
  readonly lane?: string[];
  readonly label?: string[];
  readonly tenant?: string[];
  readonly parent?: string;
  readonly search?: string;
  readonly limit?: number;
  readonly toLane?: string;
  readonly runAt?: string;
  readonly reason?: string;
  readonly dryRun?: boolean;
  readonly wait: boolean;
}

export function addBulkCommands(task: Command, contextOf: () => Context): void {
  task
    .command('delete <id>')
    .description('delete a task that nobody holds, and erase all that was written about it')
    .action(async (id: string) => {
      const context = contextOf();
      await confirm(context, `Delete task ${id} and all that was written about it`);
      await (await context.client()).tasks.delete(id);
      context.output.note(`Deleted task ${printable(id)}.`);
    });
  task
    .command('bulk <action> [ids...]')
    .description(
      'do one thing to many tasks, by id or by filter: promote, unblock, cancel, assign, archive, reopen, reclaim, schedule, accept, delete',
    )
    .option('--status <statuses>', 'filter: comma-separated', listFrom)
    .option('--lane <lanes>', 'filter: comma-separated; - stands for none', listFrom)
    .option('--label <key:value>', 'filter: comma-separated; all must match', listFrom)
    .option('--tenant <names>', 'filter: comma-separated', listFrom)
    .option('--parent <id>', 'filter: what waits, or waited, for this task')
    .option('--search <text>', 'filter: part of the title')
    .option('--limit <n>', 'filter: the oldest so many', integerFrom(1, LIMITS.bulkTasksMax))
    .option('--to-lane <lane>', 'with assign: where to; - takes them from their lanes')
    .option('--run-at <time>', 'with schedule: RFC 3339, or like +10m', timeFrom(Date.now))
    .option('--reason <text>', 'for the log')
    .option('--dry-run', 'change nothing, and say what would fail')
    .option('--no-wait', 'answer with the operation as it begins')
    .action((action: string, ids: string[], flags: BulkFlags) => runBulk(contextOf(), action, ids, flags));
  task
    .command('bulk-cancel <operation>')
    .description(
      'the same as "operation cancel": stop an operation on many tasks; what it has done stays done',
    )
    .action((id: string) => cancelOperation(contextOf(), id));
}

async function runBulk(
  context: Context,
  action: string,
  ids: readonly string[],
  flags: BulkFlags,
): Promise<void> {
  const body = bodyOf(action, ids, flags);
  if (action === 'delete' && !flags.dryRun) {
    const which = ids.length === 0 ? 'every task that the filter matches' : counted(ids.length, 'task');
    await confirm(
      context,
      `Delete ${which}, and all that was written about ${ids.length === 1 ? 'it' : 'them'}`,
    );
  }
  const client = await context.client();
  const begun = await client.tasks.bulk(body);
  const reply = flags.wait ? await waitForOperation(context, client, begun, WAIT_SECONDS) : begun;
  writeOperation(context, reply);
  const { status, stop_reason: why, failed_count: failed, total } = reply.operation;
  if (status === 'stopped') throw new ExitError(EXIT.error, `It was stopped: ${why}.`);
  if (failed > 0)
    throw new ExitError(EXIT.error, `${failed} of ${total} ${flags.dryRun ? 'would fail' : 'failed'}.`);
}

function bodyOf(action: string, ids: readonly string[], flags: BulkFlags): BulkBody {
  const { status, lane, label, tenant, parent, search, limit, toLane, runAt, reason, dryRun } = flags;
  const filter = given({
    status: status?.join(','),
    lane: lane?.join(','),
    label: label?.map((pair) => pair.replace('=', ':')).join(','),
    tenant: tenant?.join(','),
    parent,
    q: search,
    limit,
  });
  const target = toLane === '-' ? null : toLane;
  const isFiltered = Object.keys(filter).length > 0;
  if (isFiltered === ids.length > 0) throw new UsageError('Name the tasks by their ids, or by a filter');
  // The action as given; what is wrong with it the server says with a pointer.
  return {
    action: action as BulkBody['action'],
    ...(isFiltered ? { filter } : { ids: [...ids] }),
    ...given({
      lane: target,
      run_at: runAt,
      reason,
      dry_run: dryRun,
    }),
  };
}
