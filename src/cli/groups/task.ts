/** task …: reading tasks and operating them. Adding them is in task-add.ts. */
import { type Command, Option } from 'commander';
import { waitLong } from '../../client/long-wait.ts';
import type { QueryOf } from '../../client/operation-types.ts';
import { LIMITS } from '../../contract/constants.ts';
import type { Task } from '../../contract/tasks.ts';
import type { Context } from '../context.ts';
import { EXIT, ExitError, UsageError } from '../exit-codes.ts';
import { age, eventLine, isFinished, writeTask, writeTasks } from '../format.ts';
import { FOLLOWED_TASKS, followList } from '../live/followed-list.ts';
import {
  appendTo,
  durationUpTo,
  giveExamples,
  given,
  integerFrom,
  listFrom,
  watchOption,
  withExamples,
} from '../options.ts';
import { printable, printableLines } from '../output.ts';
import type { Register } from '../register.ts';
import { writeTable } from '../table.ts';
import { addWhyCommand } from './attention.ts';
import { WAIT_SECONDS_MAX } from './operation.ts';
import { addTaskCommand, changeTaskCommand } from './task-add.ts';
import { addBulkCommands } from './task-bulk.ts';
import { TASK_EXAMPLES } from './task-examples.ts';
import { addLinkCommands } from './task-links.ts';
import { addLiveCommands } from './task-live.ts';
import { addVerbCommands } from './task-verbs.ts';
import { addWaitCommand, followOne } from './task-wait.ts';

/** When no time is given: an hour, after which a script should rather say how long it means. */
const WAIT_SECONDS_DEFAULT = 3600;

type TaskQuery = NonNullable<QueryOf<'listTasks'>>;
type Order = TaskQuery['order'];

interface ListFlags {
  readonly status?: string[];
  readonly lane?: string[];
  readonly label?: string[];
  readonly tenant?: string;
  readonly parent?: string;
  readonly search?: string;
  readonly order?: Order;
  readonly limit?: number;
  readonly pageToken?: string;
  readonly all?: boolean;
  readonly watch?: boolean;
}

interface GetFlags {
  readonly wait?: number | true;
  readonly watch?: boolean;
}

interface PageFlags {
  readonly limit?: number;
  readonly pageToken?: string;
}

interface EventFlags {
  readonly limit?: number;
  readonly after?: string;
}

export const registerTask: Register = (task, contextOf) => {
  withExamples(
    task,
    `  lanekeeper task add "Build the thing" --lane factory --priority 5 --payload '{"ref": "main"}'
  lanekeeper task add --from tasks.jsonl --lane factory
  lanekeeper tasks list --status ready,running --lane factory
  lanekeeper task get task_01h… --wait
  lanekeeper task add "Test it" --lane qa --parent task_01h…
  lanekeeper task graph task_01h…
  lanekeeper task cancel task_01h… --reason "not needed any more"
  lanekeeper task steer task_01h… "skip the Windows build"
  lanekeeper task output task_01h… -f`,
  );
  addTaskCommand(task, contextOf);
  addListCommand(task, contextOf);
  task
    .command('get <id>')
    .description('show a task, by id or external_ref; with --wait once it has finished')
    .option(
      '--wait [duration]',
      'wait until it has finished, like 90s or 10m (default 1h)',
      durationUpTo(WAIT_SECONDS_MAX, 0),
    )
    .addOption(
      new Option(
        '-w, --watch',
        'go on with what happens to it until it has finished; with --json it again, one a line',
      ).conflicts('wait'),
    )
    .action((id: string, flags: GetFlags) => {
      if (flags.watch) return followOne(contextOf(), id);
      return getTask(contextOf(), id, flags.wait);
    });
  task
    .command('context <id>')
    .description('show a task and what is known about it as the text that its worker reads')
    .action((id: string) => showContext(contextOf(), id));
  changeTaskCommand(task, contextOf);
  addLinkCommands(task, contextOf);
  addVerbCommands(task, contextOf);
  addLiveCommands(task, contextOf);
  addBulkCommands(task, contextOf);
  addHistoryCommands(task, contextOf);
  addWhyCommand(task, contextOf);
  addWaitCommand(task, contextOf);
  giveExamples(task, TASK_EXAMPLES);
};

function addListCommand(task: Command, contextOf: () => Context): void {
  const orders: Record<NonNullable<Order>, true> = { '-created': true, created: true, priority: true };
  task
    .command('list')
    .alias('ls')
    .description('list tasks, newest first')
    .option('--status <statuses>', 'comma-separated', listFrom)
    .option('--lane <lanes>', 'comma-separated; - stands for none', listFrom)
    .option('--label <key:value>', 'repeatable; all must match', appendTo)
    .option('--tenant <name>', 'of this tenant')
    .option('--parent <id>', 'what waits, or waited, for that one')
    .option('--search <text>', 'part of the title')
    .addOption(new Option('--order <order>', 'how to sort').choices(Object.keys(orders)))
    .option('--limit <n>', 'tasks a page', integerFrom(1, LIMITS.pageRowsMax))
    .option('--page-token <token>', 'next_page_token of the page before')
    .option('--all', 'all pages')
    .addOption(watchOption('tasks'))
    .action((flags: ListFlags) => listTasks(contextOf(), flags));
}

async function listTasks(context: Context, flags: ListFlags): Promise<void> {
  const { output } = context;
  const { search, pageToken, all, label, watch, ...rest } = flags;
  const labels = label?.map((pair) => pair.replace('=', ':'));
  const limit = all ? LIMITS.pageRowsMax : rest.limit;
  const query: TaskQuery = { ...rest, limit, q: search, label: labels, page_token: pageToken };
  const client = await context.client();
  if (watch) {
    const read = () => client.tasks.list(given({ ...query, limit: rest.limit ?? LIMITS.pageRowsMax }));
    const readLeft = async (id: string) => (await client.tasks.get(id)).task;
    await followList(context, client, { ...FOLLOWED_TASKS, read, readLeft, limit: rest.limit });
    return;
  }
  const listing = client.tasks.list(given(query));
  const page = await listing;
  if (all) page.tasks = await rowsOf(listing);
  const next = all ? null : page.next_page_token;
  if (output.isJson) {
    output.json({ ...page, next_page_token: next });
    return;
  }
  writeTasks(output, page.tasks);
  if (next !== null) output.note(`More: --page-token ${next}`);
  if (page.tasks.length === 0) output.note('No tasks. Next: lanekeeper task add TITLE --lane LANE');
}

async function rowsOf(listing: AsyncIterable<Task>): Promise<Task[]> {
  const rows: Task[] = [];
  for await (const row of listing) rows.push(row);
  return rows;
}

async function getTask(context: Context, id: string, wait: number | true | undefined): Promise<void> {
  const { tasks, transport } = await context.client();
  const seconds = wait === true ? WAIT_SECONDS_DEFAULT : wait;
  const reply = await waitLong(transport.timing, {
    ask: (poll) => tasks.get(id, poll),
    isOver: ({ task }) => isFinished(task),
    endsAtMs: transport.timing.now() + (seconds ?? 0) * 1000,
  });
  if (context.output.isJson) context.output.json(reply);
  else writeTask(context.output, reply.task);
  if (seconds !== undefined && !isFinished(reply.task))
    throw new ExitError(
      EXIT.waitTimedOut,
      `Not finished after ${seconds} s: the task is ${reply.task.status}.`,
    );
}

function addHistoryCommands(task: Command, contextOf: () => Context): void {
  task
    .command('comment <id> <text>')
    .description('comment on a task; the next attempt reads it. Text, @file, or - for stdin')
    .action((id: string, text: string) => comment(contextOf(), id, text));
  task
    .command('comments <id>')
    .description('list the comments of a task')
    .option('--limit <n>', 'comments a page', integerFrom(1, LIMITS.pageRowsMax))
    .option('--page-token <token>', 'next_page_token of the page before')
    .action((id: string, flags: PageFlags) => listComments(contextOf(), id, flags));
  task
    .command('runs <id>')
    .description('list the runs of a task, first attempt first')
    .option('--limit <n>', 'runs a page', integerFrom(1, LIMITS.pageRowsMax))
    .option('--page-token <token>', 'next_page_token of the page before')
    .action((id: string, flags: PageFlags) => listRuns(contextOf(), id, flags));
  task
    .command('events <id>')
    .description('list the events of a task, oldest first')
    .option('--limit <n>', 'events a page', integerFrom(1, LIMITS.eventPageRowsMax))
    .option('--after <cursor>', 'a cursor, or "start" (the default)')
    .action((id: string, flags: EventFlags) => listEvents(contextOf(), id, flags));
}

async function showContext(context: Context, id: string): Promise<void> {
  const reply = await (await context.client()).tasks.context(id);
  if (context.output.isJson) context.output.json(reply);
  else context.output.line(printableLines(reply.text.trimEnd()));
}

async function comment(context: Context, id: string, text: string): Promise<void> {
  const body = await context.readText(text);
  if (body.trim() === '') throw new UsageError('The comment is empty');
  const reply = await (await context.client()).tasks.comment(id, body);
  if (context.output.isJson) context.output.json(reply);
  else context.output.line(reply.comment.id);
}

async function listComments(context: Context, id: string, flags: PageFlags): Promise<void> {
  const { output } = context;
  const query = { limit: flags.limit, page_token: flags.pageToken };
  const page = await (await context.client()).tasks.comments(id, query);
  if (output.isJson) {
    output.json(page);
    return;
  }
  for (const { at, author, body } of page.comments) {
    output.line(
      `${output.style('dim', at)}  ${output.style('bold', `${author.type} ${printable(author.id)}`)}`,
    );
    output.line(`${printableLines(body)}\n`);
  }
  if (page.next_page_token !== null) output.note(`More: --page-token ${page.next_page_token}`);
}

async function listRuns(context: Context, id: string, flags: PageFlags): Promise<void> {
  const { output } = context;
  const query = { limit: flags.limit, page_token: flags.pageToken };
  const page = await (await context.client()).tasks.runs(id, query);
  if (output.isJson) {
    output.json(page);
    return;
  }
  writeTable(output, page.runs, [
    { title: 'RUN', text: (run) => run.run_id },
    { title: 'ATTEMPT', text: (run) => String(run.attempt) },
    { title: 'OUTCOME', text: (run) => run.outcome ?? 'running' },
    { title: 'LANE', text: (run) => run.lane ?? '-' },
    { title: 'WORKER', text: (run) => run.worker ?? '-' },
    {
      title: 'TOOK',
      text: (run) => age(run.started_at, run.ended_at === null ? Date.now() : Date.parse(run.ended_at)),
    },
    { title: 'SAID', text: (run) => run.error ?? run.summary ?? '' },
  ]);
  if (page.next_page_token !== null) output.note(`More: --page-token ${page.next_page_token}`);
}

async function listEvents(context: Context, id: string, flags: EventFlags): Promise<void> {
  const { output } = context;
  const page = await (await context.client()).tasks.events(id, { limit: flags.limit, after: flags.after });
  if (output.isJson) output.json(page);
  else for (const event of page.events) output.line(eventLine(output, event));
}
