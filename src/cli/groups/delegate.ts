/** delegate: hands work over in the background, and what to do when there is no room for it. */
import { Option } from 'commander';
import type { Client } from '../../client/client.ts';
import type { Delegated, Overflow } from '../../client/delegate.ts';
import { hasEnded } from '../../client/delegate.ts';
import { LanekeeperError } from '../../client/errors.ts';
import type { BodyOf } from '../../client/operation-types.ts';
import { LIMITS } from '../../contract/constants.ts';
import type { Task } from '../../contract/tasks.ts';
import type { Context } from '../context.ts';
import { collectDelegation } from '../delegation-output.ts';
import { EXIT, ExitError, UsageError } from '../exit-codes.ts';
import { objectsOf } from '../json-lines.ts';
import { appendTo, durationFrom, given, withExamples } from '../options.ts';
import { type Output, printable, printableLines } from '../output.ts';
import type { Register } from '../register.ts';

type Body = BodyOf<'createDelegation'>;
type Child = Body['tasks'][number];

interface DelegateFlags {
  readonly task?: string[];
  readonly from?: string;
  readonly goal?: string;
  readonly context?: string;
  readonly join?: 'all' | 'any';
  readonly deadline?: number;
  readonly onBlocked?: 'end' | 'wait';
  readonly onDecided?: 'cancel' | 'leave';
  readonly capacityKey?: string;
  readonly session?: string;
  readonly platform?: string;
  readonly chat?: string;
  readonly thread?: string;
  readonly subscribe: boolean;
  readonly onCapacity: 'fail' | 'wait' | 'inline';
  readonly timeout: number;
  readonly collect?: boolean;
}

/** How long it is waited for room, or for the results, unless the caller says. */
const TIMEOUT_SECONDS_DEFAULT = 600;

export const registerDelegate: Register = (command, contextOf) => {
  withExamples(
    command,
    `  lanekeeper delegate --task "factory: build the release" --task "qa: test what is on main"
  lanekeeper delegate --goal "ship 2.0" --from tasks.jsonl --join any --deadline 30m
  lanekeeper delegate --task "factory: look into the crash" --session s1 --on-capacity wait
  lanekeeper collect "$(lanekeeper delegate --task "qa: smoke test")" --timeout 10m`,
  );
  command
    .description('Hand work over in the background: prints the id of the delegation at once.')
    .option('--task <lane: goal>', 'one child (repeatable)', appendTo)
    .option(
      '--from <file>',
      'children, one JSON object a line: {"lane", "goal", "context", "model", …}; - for stdin',
    )
    .option('--goal <text>', 'what all of it is for; text, @file, or -')
    .option('--context <text>', 'what the children should know; text, @file, or -')
    .addOption(
      new Option('--join <rule>', 'any: the first child that is done decides').choices(['all', 'any']),
    )
    .option('--deadline <duration>', 'decide then with what there is, like 30m', durationFrom)
    .addOption(
      new Option('--on-blocked <rule>', 'whether a blocked child has ended').choices(['end', 'wait']),
    )
    .addOption(new Option('--on-decided <rule>', 'what becomes of the others').choices(['cancel', 'leave']))
    .option('--capacity-key <key>', 'what shares the limit; default: the session')
    .option(
      '--session <id>',
      'the conversation it belongs to: as platform cli, unless --platform says otherwise',
    )
    .option('--platform <name>', 'where the outcome is told')
    .option('--chat <id>', 'of the platform')
    .option('--thread <id>', 'of the chat')
    .option('--no-subscribe', 'the outcome is collected, and told nowhere')
    .addOption(
      new Option(
        '--on-capacity <what>',
        'when as many run as may: fail (exit code 5), wait for room, or do it inline: here and now',
      )
        .choices(['fail', 'wait', 'inline'])
        .default('fail'),
    )
    .option('--timeout <duration>', 'for waiting and collecting', durationFrom, TIMEOUT_SECONDS_DEFAULT)
    .option('--collect', 'wait for the results and print them')
    .action((flags: DelegateFlags) => delegate(contextOf(), flags));
};

async function delegate(context: Context, flags: DelegateFlags): Promise<void> {
  const client = await context.client();
  const body = await bodyOf(context, flags);
  const endsAt = performance.now() + flags.timeout * 1000;
  const { delegation: made, inline } = await create(context, client, body, flags);
  if (made === null) {
    writeInline(context, inline);
    return;
  }
  const { output } = context;
  if (flags.collect) {
    await collectDelegation(context, client, made.id, endsAt);
    return;
  }
  if (output.isJson) output.json({ delegation: made });
  else output.line(made.id);
  output.note(`Next: lanekeeper collect ${made.id}`);
}

async function bodyOf(context: Context, flags: DelegateFlags): Promise<Body> {
  const tasks = [...(flags.task ?? []).map(childOf), ...(await childrenFrom(context, flags.from))];
  if (tasks.length === 0) throw new UsageError('Give at least one --task "lane: goal", or --from FILE');
  if (tasks.length > LIMITS.delegationTasksMax)
    throw new UsageError(`A delegation has at most ${LIMITS.delegationTasksMax} children`);
  const origin = originOf(flags);
  return {
    tasks,
    ...given({
      goal: flags.goal === undefined ? undefined : await context.readText(flags.goal),
      context: flags.context === undefined ? undefined : await context.readText(flags.context),
      join: flags.join,
      deadline_seconds: flags.deadline,
      on_blocked: flags.onBlocked,
      on_decided: flags.onDecided,
      capacity_key: flags.capacityKey,
      origin,
      subscribe: flags.subscribe ? undefined : (false as const),
    }),
  };
}

/** A session of the command line is platform cli with the session as its chat. */
function originOf({ session, platform, chat, thread }: DelegateFlags): Body['origin'] {
  const parts = given({
    platform: platform ?? (session === undefined ? undefined : 'cli'),
    chat_id: chat ?? (platform === undefined ? session : undefined),
    thread_id: thread,
    session_id: session,
  });
  return Object.keys(parts).length === 0 ? undefined : parts;
}

function childOf(text: string): Child {
  const match = /^([a-z0-9][a-z0-9._-]{0,63}):\s*(\S[\s\S]*)$/.exec(text);
  if (match === null) throw new UsageError(`--task must look like "lane: goal", not ${JSON.stringify(text)}`);
  return { lane: match[1] ?? null, goal: match[2] ?? '' };
}

/** What is wrong with a child the server says with a pointer. */
async function childrenFrom(context: Context, file: string | undefined): Promise<Child[]> {
  if (file === undefined) return [];
  const text = await context.readText(file === '-' ? '-' : `@${file}`);
  return objectsOf(text, file).map((object) => object as Child);
}

/** The handle; or, where there was no room and it was to be done inline, its tasks as they ended. */
async function create(
  { output }: Context,
  client: Client,
  body: Body,
  { onCapacity, timeout: timeoutSeconds }: DelegateFlags,
): Promise<Delegated<Task[]>> {
  if (onCapacity === 'inline') {
    const inline = ({ runTasks }: Overflow): Promise<Task[]> => {
      output.note('As many delegations as may are running; doing this one inline.');
      return runTasks();
    };
    return await client.delegate({ ...body, timeoutSeconds, onCapacity: inline });
  }
  const onWait = (): void =>
    output.note('As many delegations as may are running; waiting for one of them to end.');
  try {
    return await client.delegate({ ...body, timeoutSeconds, onCapacity, onWait });
  } catch (error) {
    const isFull = error instanceof LanekeeperError && error.code === 'delegation_capacity';
    if (!isFull || onCapacity === 'fail') throw error;
    throw new ExitError(EXIT.waitTimedOut, 'There was no room in time; nothing was delegated.');
  }
}

/** The work of a delegation, done without one. */
function writeInline({ output }: Context, tasks: readonly Task[]): void {
  if (output.isJson) output.json({ tasks });
  else for (const [index, task] of tasks.entries()) writeChild(output, task, `${index + 1}/${tasks.length}`);
  const late = tasks.find((task) => !hasEnded(task));
  if (late !== undefined)
    throw new ExitError(EXIT.waitTimedOut, `${late.id} has not ended in time; it goes on.`);
}

function writeChild(output: Output, task: Task, place: string): void {
  output.line(`--- ${place === '1/1' ? '' : `TASK ${place}: `}${printable(task.title)}`);
  output.line(`Status: ${task.status}`);
  if (task.summary) output.line(printableLines(task.summary));
  if (task.result !== null) output.line(printableLines(JSON.stringify(task.result, null, 2)));
}
