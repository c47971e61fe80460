/** check, collect, steer, cancel, list: what is done with a delegation once it is made. Also as `delegation <verb>`. */
import type { Command } from 'commander';
import { LIMITS } from '../../contract/constants.ts';
import type { Context } from '../context.ts';
import { collectDelegation, writeDelegation } from '../delegation-output.ts';
import { UsageError } from '../exit-codes.ts';
import { DELEGATION_COLUMNS } from '../format.ts';
import { FOLLOWED_DELEGATIONS, followList } from '../live/followed-list.ts';
import { durationFrom, giveExamples, given, integerFrom, watchOption, withExamples } from '../options.ts';
import type { Register } from '../register.ts';
import { writeTable } from '../table.ts';
import { registerDelegate } from './delegate.ts';

const COLLECT_SECONDS_DEFAULT = 600;

interface ListFlags {
  readonly watch?: boolean;
  readonly session?: string;
  readonly status?: string;
  readonly limit?: number;
  readonly pageToken?: string;
}

interface CancelFlags {
  readonly session?: string;
  readonly reason?: string;
}

/** `lanekeeper delegation …` has all of them. */
export const registerDelegation: Register = (delegation, contextOf) => {
  withExamples(
    delegation,
    `  lanekeeper delegation create --task "factory: build the release" --task "qa: test what is on main"
  lanekeeper delegation list --status running
  lanekeeper delegation collect deleg_01h…`,
  );
  registerDelegate(delegation.command('create').alias('delegate'), contextOf);
  registerCheck(delegation.command('get').alias('check'), contextOf);
  registerCollect(delegation.command('collect'), contextOf);
  registerSteer(delegation.command('steer'), contextOf);
  registerCancel(delegation.command('cancel'), contextOf);
  registerList(delegation.command('list'), contextOf);
  // Those of the short forms are about the short forms.
  giveExamples(delegation, {
    create: `  lanekeeper delegation create --task "factory: build the release" --task "qa: test what is on main"
  lanekeeper delegation create --goal "ship 2.0" --from tasks.jsonl --join any --deadline 30m`,
    get: '  lanekeeper delegation get deleg_01h… --json',
    collect: '  lanekeeper delegation collect deleg_01h… --timeout 10m',
    steer: '  lanekeeper delegation steer deleg_01h… "leave the Windows build out"',
    cancel: `  lanekeeper delegation cancel deleg_01h… --reason "not needed any more"
  lanekeeper delegation cancel --session s1`,
    list: `  lanekeeper delegation list --status running
  lanekeeper delegations list --watch`,
  });
};

export const registerCheck: Register = (command, contextOf) => {
  withExamples(
    command,
    `  lanekeeper check deleg_01h…
  lanekeeper check deleg_01h… --json | jq -r .delegation.status`,
  )
    .description('Show how a delegation stands, without waiting.')
    .argument('<delegation>')
    .action((id: string) => check(contextOf(), id));
};

async function check(context: Context, id: string): Promise<void> {
  const { output } = context;
  const reply = await (await context.client()).delegations.get(id);
  if (output.isJson) output.json(reply);
  else writeDelegation(output, reply.delegation);
}

export const registerCollect: Register = (command, contextOf) => {
  withExamples(
    command,
    `  lanekeeper collect deleg_01h… --timeout 10m
  lanekeeper collect "$(lanekeeper delegate --task "qa: smoke test")"`,
  )
    .description(
      'Wait until a delegation is decided, and print its results as one block. Exit code 124: not in time.',
    )
    .argument('<delegation>')
    .option(
      '--timeout <duration>',
      'how long to wait, like 90s or 10m',
      durationFrom,
      COLLECT_SECONDS_DEFAULT,
    )
    .action(async (id: string, flags: { timeout: number }) => {
      const context = contextOf();
      const endsAt = performance.now() + flags.timeout * 1000;
      await collectDelegation(context, await context.client(), id, endsAt);
    });
};

export const registerSteer: Register = (command, contextOf) => {
  withExamples(
    command,
    `  lanekeeper steer deleg_01h… "leave the Windows build out"
  git diff | lanekeeper steer deleg_01h… - --task task_01h…`,
  )
    .description('Tell the workers of a delegation something while they work. Text, @file, or - for stdin.')
    .argument('<delegation>')
    .argument('<message>')
    .option('--task <id>', 'only the worker of this child')
    .action((id: string, message: string, flags: { task?: string }) =>
      steer(contextOf(), id, message, flags.task),
    );
};

async function steer(context: Context, id: string, message: string, task: string | undefined): Promise<void> {
  const text = (await context.readText(message)).replace(/\r?\n$/, '');
  if (text.trim() === '') throw new UsageError('The message is empty');
  const body = { message: text, ...given({ task_id: task }) };
  const reply = await (await context.client()).delegations.steer(id, body);
  const { output } = context;
  if (output.isJson) output.json(reply);
  else output.line(`queued ${reply.queued}, missed ${reply.missed}`);
}

export const registerCancel: Register = (command, contextOf) => {
  withExamples(
    command,
    `  lanekeeper cancel deleg_01h… --reason "not needed any more"
  lanekeeper cancel --session s1`,
  )
    .description('Stop a delegation, or all of a session: it comes back at once with what there is.')
    .argument('[delegation]')
    .option('--session <id>', 'all that run for this session')
    .option('--reason <text>', 'why')
    .action((id: string | undefined, flags: CancelFlags) => cancel(contextOf(), id, flags));
};

async function cancel(
  context: Context,
  id: string | undefined,
  { session, reason }: CancelFlags,
): Promise<void> {
  if ((id === undefined) === (session === undefined))
    throw new UsageError('Give a delegation or --session, and not both');
  const { delegations } = await context.client();
  const { output } = context;
  if (id !== undefined) {
    const reply = await delegations.cancel(id, reason);
    if (output.isJson) output.json(reply);
    else writeDelegation(output, reply.delegation);
    return;
  }
  const reply = await delegations.cancelSession({ session_id: session ?? '', ...given({ reason }) });
  if (output.isJson) {
    output.json(reply);
    return;
  }
  for (const cancelled of reply.cancelled) output.line(cancelled);
  output.note(`Stopped ${reply.cancelled.length}.`);
}

export const registerList: Register = (command: Command, contextOf) => {
  withExamples(
    command,
    `  lanekeeper list --status running
  lanekeeper list --session s1 --json
  lanekeeper list --watch`,
  )
    .description('List delegations, newest first.')
    .option('--session <id>', 'of this session')
    .option('--status <statuses>', 'running, completed, partial, failed, cancelled; comma-separated')
    .option('--limit <n>', 'a page', integerFrom(1, LIMITS.pageRowsMax))
    .option('--page-token <token>', 'next_page_token of the page before')
    .addOption(watchOption('delegations'))
    .action((flags: ListFlags) => list(contextOf(), flags));
};

async function list(context: Context, flags: ListFlags): Promise<void> {
  const { output } = context;
  const query = given({
    session_id: flags.session,
    status: flags.status,
    limit: flags.limit,
    page_token: flags.pageToken,
  });
  const client = await context.client();
  if (flags.watch) {
    const { limit } = flags;
    const read = () => client.delegations.list({ ...query, limit: limit ?? LIMITS.pageRowsMax });
    const readLeft = async (id: string) => (await client.delegations.get(id)).delegation;
    await followList(context, client, { ...FOLLOWED_DELEGATIONS, read, readLeft, limit });
    return;
  }
  const page = await client.delegations.list(query);
  if (output.isJson) {
    output.json(page);
    return;
  }
  writeTable(output, page.delegations, DELEGATION_COLUMNS);
  if (page.next_page_token !== null) output.note(`More: --page-token ${page.next_page_token}`);
}
