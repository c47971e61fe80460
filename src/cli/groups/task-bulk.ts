/** task bulk, task delete: what is done to many tasks at once, and what cannot be undone. */
import type { Command } from 'commander';
import type { Client } from '../../client/client.ts';
import type { BodyOf } from '../../client/operation-types.ts';
import type { Operation } from '../../contract/bulk.ts';
import { LIMITS } from '../../contract/constants.ts';
import type { Context } from '../context.ts';
import { EXIT, ExitError, UsageError } from '../exit-codes.ts';
import { given, integerFrom, listFrom, timeFrom } from '../options.ts';
import { printable } from '../output.ts';

type BulkBody = BodyOf<'bulkTasks'>;

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
    .description('stop an operation on many tasks: what it has done stays done')
    .action(async (id: string) => {
      const context = contextOf();
      const { operation } = await (await context.client()).tasks.cancelOperation(id);
      writeOperation(context, operation);
    });
}

async function runBulk(
  context: Context,
  action: string,
  ids: readonly string[],
  flags: BulkFlags,
): Promise<void> {
  const client = await context.client();
  const { operation } = await client.tasks.bulk(bodyOf(action, ids, flags));
  const end = flags.wait ? await waitFor(context, client, operation) : operation;
  writeOperation(context, end);
  if (end.status === 'stopped') throw new ExitError(EXIT.error, `It was stopped: ${end.stop_reason}.`);
  if (end.failed_count > 0)
    throw new ExitError(
      EXIT.error,
      `${end.failed_count} of ${end.total} ${flags.dryRun ? 'would fail' : 'failed'}.`,
    );
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

/** Says how far it is each time a wait is over. */
async function waitFor(context: Context, client: Client, begun: Operation): Promise<Operation> {
  let operation = begun;
  while (operation.status === 'running') {
    ({ operation } = await client.tasks.operation(operation.id, { waitSeconds: PROGRESS_SECONDS }));
    const { succeeded, failed_count: failed, total } = operation;
    if (operation.status === 'running') context.output.note(`${succeeded + failed} of ${total}`);
  }
  return operation;
}

/** Between two lines of progress: a long operation says a few dozen. */
const PROGRESS_SECONDS = 5;

function writeOperation({ output }: Context, operation: Operation): void {
  if (output.isJson) {
    output.json({ operation });
    return;
  }
  const { id, action, dry_run, status, total, succeeded, failed_count, failed } = operation;
  const what = dry_run ? `${action} (dry run)` : action;
  output.line(`${id}  ${what}  ${status}  ${succeeded} succeeded, ${failed_count} failed, ${total} in all`);
  for (const item of failed) output.line(`  ${printable(item.id)}  ${item.code}`);
}
