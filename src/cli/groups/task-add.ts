/** task add and task set: tasks from flags, from stdin, and from files of many. */
import { type Command, Option } from 'commander';
import type { Client } from '../../client/client.ts';
import { LanekeeperError } from '../../client/errors.ts';
import type { BodyOf } from '../../client/operation-types.ts';
import { LIMITS } from '../../contract/constants.ts';
import type { Task } from '../../contract/tasks.ts';
import type { Context } from '../context.ts';
import { UsageError } from '../exit-codes.ts';
import { counted, taskLine } from '../format.ts';
import { nameOf, objectsOf } from '../json-lines.ts';
import { appendTo, given, integerFrom, labelInto, plainNoOption, timeFrom } from '../options.ts';
import { Progress } from '../progress.ts';

type CreateBody = BodyOf<'createTask'>;
type Changeable = Omit<BodyOf<'patchTask'>, 'title'>;
/** What every task of a file has unless its line says otherwise. */
type Defaults = Omit<CreateBody, 'title'>;

interface TaskFlags {
  readonly title?: string;
  readonly lane?: string;
  readonly body?: string;
  readonly priority?: number;
  readonly payload?: string;
  readonly label?: Record<string, string>;
  readonly runAt?: string;
  readonly parent?: string[];
  readonly status?: 'ready' | 'triage' | 'blocked';
  readonly idempotencyKey?: string;
  readonly maxFailures?: number;
  readonly maxRuntimeSeconds?: number;
  readonly noProgressSeconds?: number;
  readonly backoff?: string;
  readonly tenant?: string;
  readonly externalRef?: string;
  readonly from?: string;
  readonly clear?: string[];
}

/** Leaves room in a request for the brackets and names around the tasks. */
const BATCH_BYTES_MAX = LIMITS.batchBodyBytesMax - 64 * 1024;

export function addTaskCommand(task: Command, contextOf: () => Context): void {
  withTaskOptions(task.command('add [title]').alias('create').description('put a task on the board'))
    .option('--lane <name>', 'who shall do it')
    .option('--parent <id>', 'wait until that one is done (repeatable)', appendTo)
    .option('--run-at <time>', 'not before: RFC 3339 or like +10m', timeFrom(Date.now))
    .addOption(new Option('--status <status>', 'to begin with').choices(['ready', 'triage', 'blocked']))
    .option('--idempotency-key <key>', 'one task per board has it: adding again answers with that one')
    .option(
      '--from <file>',
      'many: one JSON object a line, - for stdin; the other options are their defaults. "parents": ["#0"] is the first line',
    )
    .action((title: string | undefined, flags: TaskFlags) => add(contextOf(), title, flags));
}

export function changeTaskCommand(task: Command, contextOf: () => Context): void {
  withTaskOptions(task.command('set <id>').description('change a task'))
    .option('--title <text>', 'a new title')
    .option('--clear <field>', 'empty a field, e.g. tenant (repeatable)', appendTo)
    .action((id: string, flags: TaskFlags) => change(contextOf(), id, flags));
}

function withTaskOptions(command: Command): Command {
  const seconds = integerFrom(1, LIMITS.leaseSecondsMax);
  return command
    .option('--body <text>', 'what to do; text, @file, or - for stdin')
    .option('--priority <n>', 'higher first', integerFrom(-LIMITS.priorityMax, LIMITS.priorityMax))
    .option('--payload <json>', 'data for the worker; JSON, @file, or - for stdin')
    .option('--label <key=value>', 'label (repeatable)', labelInto)
    .option('--max-failures <n>', 'failures in a row before it is given up', integerFrom(1, 1000))
    .option('--max-runtime-seconds <n>', 'time out an attempt', seconds)
    .addOption(plainNoOption('--no-progress-seconds <n>', 'time out without progress').argParser(seconds))
    .option('--backoff <json>', '{"base_seconds": 1, "factor": 2, "cap_seconds": 300}')
    .option('--tenant <name>', 'whom it is for')
    .option('--external-ref <ref>', 'a name of yours that it answers to');
}

async function fieldsOf(context: Context, flags: TaskFlags): Promise<Changeable> {
  const { body, payload, backoff } = flags;
  if (body === '-' && payload === '-') throw new UsageError('Only one option can read the standard input');
  const fields = given({
    body: body === undefined ? undefined : await context.readText(body),
    priority: flags.priority,
    payload: payload === undefined ? undefined : await context.readJson(payload, '--payload'),
    labels: flags.label,
    max_failures: flags.maxFailures,
    max_runtime_seconds: flags.maxRuntimeSeconds,
    no_progress_seconds: flags.noProgressSeconds,
    backoff: backoff === undefined ? undefined : await context.readJson(backoff, '--backoff'),
    tenant: flags.tenant,
    external_ref: flags.externalRef,
  });
  // JSON as given; what is wrong with it the server says with a pointer.
  return fields as Changeable;
}

async function add(context: Context, title: string | undefined, flags: TaskFlags): Promise<void> {
  const defaults = {
    ...(await fieldsOf(context, flags)),
    ...given({
      lane: flags.lane,
      run_at: flags.runAt,
      parents: flags.parent,
      status: flags.status,
      idempotency_key: flags.idempotencyKey,
    }),
  };
  if (flags.from !== undefined) {
    if (title !== undefined) throw new UsageError('Give a title or --from, not both');
    await addMany(context, flags.from, defaults);
    return;
  }
  if (title === undefined) throw new UsageError('Give a title, or many tasks with --from FILE');
  const client = await context.client();
  const reply = await client.tasks.create({ ...defaults, title });
  const { output } = context;
  if (output.isJson) output.json(reply);
  else output.line(taskLine(output, reply.task));
  await noteUnknownLane(context, client, flags.lane);
  output.note(`Next: lanekeeper task get ${reply.task.id} --wait`);
}

/** A task may wait for a lane that is registered later; more often its name was mistyped. */
async function noteUnknownLane({ output }: Context, client: Client, lane: string | undefined): Promise<void> {
  if (lane === undefined || output.isQuiet) return;
  try {
    await client.lanes.get(lane, { retry: { attemptsMax: 1 } });
  } catch (error) {
    // Whoever may not see lanes has added a task all the same.
    if (error instanceof LanekeeperError && error.code === 'lane_not_found')
      output.note(
        `There is no lane ${lane} yet: the task waits for it. Next: lanekeeper lane register ${lane}`,
      );
  }
}

async function addMany(context: Context, from: string, defaults: Defaults): Promise<void> {
  const text = await context.readText(from === '-' ? '-' : `@${from}`);
  const tasks = objectsOf(text, from).map((fields, index): CreateBody => {
    const { title } = fields;
    if (typeof title !== 'string') throw new UsageError(`Task ${index + 1} of ${nameOf(from)} has no title`);
    return { ...defaults, ...fields, title };
  });
  const { output } = context;
  const client = await context.client();
  const created: Task[] = [];
  const batches = withinReach(batchesOf(tasks));
  const progress = new Progress(output, 'tasks');
  for (const batch of batches) {
    if (batches.length > 1) progress.show(created.length, tasks.length);
    try {
      created.push(...(await client.tasks.createBatch(batch)).tasks);
    } catch (error) {
      progress.end();
      if (created.length > 0) output.warn(`The first ${created.length} of ${tasks.length} tasks were added.`);
      throw error;
    }
  }
  progress.end();
  if (output.isJson) output.json({ tasks: created });
  else for (const task of created) output.line(taskLine(output, task));
  output.note(`Added ${counted(created.length, 'task')}.`);
}

/** "#0" is the first task of its request: of lines that went before in another one the server knows nothing. */
function withinReach(batches: readonly CreateBody[][]): readonly CreateBody[][] {
  const isPlace = (parent: string): boolean => parent.startsWith('#');
  if (batches.length > 1 && batches.some((batch) => batch.some(({ parents }) => parents?.some(isPlace))))
    throw new UsageError(
      `Parents like "#0" reach no farther than one request, of up to ${LIMITS.batchTasksMax} tasks: add fewer at once`,
    );
  return batches;
}

/** As few requests as the API's limits allow; each is all or nothing. */
function batchesOf(tasks: readonly CreateBody[]): CreateBody[][] {
  const batches: CreateBody[][] = [];
  let bytes = BATCH_BYTES_MAX;
  for (const task of tasks) {
    const taskBytes = Buffer.byteLength(JSON.stringify(task)) + 1;
    const batch = batches.at(-1);
    if (batch === undefined || bytes + taskBytes > BATCH_BYTES_MAX || batch.length === LIMITS.batchTasksMax) {
      batches.push([task]);
      bytes = taskBytes;
    } else {
      batch.push(task);
      bytes += taskBytes;
    }
  }
  return batches;
}

async function change(context: Context, id: string, flags: TaskFlags): Promise<void> {
  const cleared = Object.fromEntries((flags.clear ?? []).map((field) => [field.replaceAll('-', '_'), null]));
  const body = { ...(await fieldsOf(context, flags)), ...given({ title: flags.title }), ...cleared };
  if (Object.keys(body).length === 0) throw new UsageError('Nothing to change: give at least one option');
  const reply = await (await context.client()).tasks.patch(id, body);
  if (context.output.isJson) context.output.json(reply);
  else context.output.line(taskLine(context.output, reply.task));
}
