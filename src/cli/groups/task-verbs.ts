/** The verbs of an operator: each changes one task and prints it as it is then. */
import type { Command } from 'commander';
import type { Client } from '../../client/client.ts';
import type { BodyOf } from '../../client/operation-types.ts';
import type { Task } from '../../contract/tasks.ts';
import type { Context } from '../context.ts';
import { UsageError } from '../exit-codes.ts';
import { taskLine } from '../format.ts';
import { given, integerFrom, timeFrom } from '../options.ts';

type TaskReply = Promise<{ readonly task: Task }>;
type Act = (tasks: Client['tasks']) => TaskReply;

export interface CompleteFlags {
  readonly summary?: string;
  readonly result?: string;
  readonly metadata?: string;
}

interface CancelFlags {
  readonly reason?: string;
  readonly deadlineSeconds?: number;
}

export function addVerbCommands(task: Command, contextOf: () => Context): void {
  const run = async (act: Act): Promise<void> => {
    const context = contextOf();
    const reply = await act((await context.client()).tasks);
    if (context.output.isJson) context.output.json(reply);
    else context.output.line(taskLine(context.output, reply.task));
  };
  task
    .command('cancel <id>')
    .description('cancel a task: at once, or by asking the worker that runs it')
    .option('--reason <text>', 'for the worker and the log')
    .option(
      '--deadline-seconds <n>',
      'how long a running claim may take to stop (default 30)',
      integerFrom(0, 86_400),
    )
    .action((id: string, { reason, deadlineSeconds }: CancelFlags) =>
      run((tasks) => tasks.cancel(id, given({ reason, deadline_seconds: deadlineSeconds }))),
    );
  task
    .command('unblock <id>')
    .description('make a blocked task ready again')
    .option('--answer <text>', 'kept as a comment for the next attempt; text, @file, or - for stdin')
    .action(async (id: string, flags: { answer?: string }) => {
      const answer = flags.answer === undefined ? undefined : await contextOf().readText(flags.answer);
      await run((tasks) => tasks.unblock(id, given({ answer })));
    });
  task
    .command('complete <id>')
    .description('complete a task that nobody holds')
    .option('--summary <text>', 'text, @file, or - for stdin')
    .option('--result <json>', 'JSON, @file, or - for stdin')
    .option('--metadata <json>', 'a JSON object, or @file')
    .action(async (id: string, flags: CompleteFlags) => {
      const body = await completion(contextOf(), flags);
      await run((tasks) => tasks.complete(id, body));
    });
  task
    .command('assign <id> <lane>')
    .description('give a task that nobody holds to another lane; - takes it from its lane')
    .option('--reason <text>', 'for the log')
    .action((id: string, lane: string, { reason }: { reason?: string }) =>
      run((tasks) => tasks.assign(id, { lane: lane === '-' ? null : lane, ...given({ reason }) })),
    );
  task
    .command('reclaim <id>')
    .description('take a running task back from the worker that holds it')
    .option('--reason <text>', 'for the next attempt and the log')
    .action((id: string, { reason }: { reason?: string }) =>
      run((tasks) => tasks.reclaim(id, given({ reason }))),
    );
  task
    .command('schedule <id>')
    .argument('<time>', 'RFC 3339 or like +10m', timeFrom(Date.now))
    .description('let a task that nobody holds wait for a time')
    .action((id: string, time: string) => run((tasks) => tasks.schedule(id, time)));
  task
    .command('request-changes <id> <reason>')
    .description(
      'send work that waits for review back to the lane that did it; the reason is text, or - for stdin',
    )
    .action(async (id: string, reason: string) => {
      const text = await contextOf().readReason(reason);
      await run((tasks) => tasks.requestChanges(id, text));
    });
  const plain = {
    promote: 'let a task in triage or scheduled go on now; it still waits for its parents',
    accept: 'let work that waits for review stand: the task is done',
    archive: 'hide a task that nobody holds',
    reopen: 'make a finished or archived task ready again',
  } as const;
  for (const verb of ['promote', 'accept', 'archive', 'reopen'] as const) {
    task
      .command(`${verb} <id>`)
      .description(plain[verb])
      .action((id: string) => run((tasks) => tasks[verb](id)));
  }
}

export async function completion(
  context: Context,
  flags: CompleteFlags,
): Promise<NonNullable<BodyOf<'completeTask'>>> {
  const { summary, result, metadata } = flags;
  if ([summary, result].filter((value) => value === '-').length > 1) {
    throw new UsageError('Only one option can read the standard input');
  }
  const body = given({
    summary: summary === undefined ? undefined : await context.readText(summary),
    result: result === undefined ? undefined : await context.readJson(result, '--result'),
    metadata: metadata === undefined ? undefined : await context.readJson(metadata, '--metadata'),
  });
  // JSON as given; what is wrong with it the server says with a pointer.
  return body as NonNullable<BodyOf<'completeTask'>>;
}
