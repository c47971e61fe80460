/** subscription put | list | get | delete */
import { Option } from 'commander';
import type { BodyOf } from '../../client/operation-types.ts';
import { LIMITS } from '../../contract/constants.ts';
import type { Subscription } from '../../contract/subscriptions.ts';
import type { Context } from '../context.ts';
import { UsageError } from '../exit-codes.ts';
import { age } from '../format.ts';
import { giveExamples, given, integerFrom, listFrom, withExamples } from '../options.ts';
import type { Output } from '../output.ts';
import type { Register } from '../register.ts';
import { writeFields, writeTable } from '../table.ts';

interface PutFlags {
  readonly task?: string;
  readonly delegation?: string;
  readonly platform: string;
  readonly chat?: string;
  readonly thread?: string;
  readonly user?: string;
  readonly mode?: 'direct' | 'synthesize' | 'silent';
  readonly wake?: boolean;
  readonly kinds?: string[];
  readonly owner?: string;
  readonly session?: string;
  readonly webhook?: string;
  readonly webhookSecret?: string;
}

interface ListFlags {
  readonly task?: string;
  readonly delegation?: string;
  readonly limit?: number;
  readonly pageToken?: string;
}

export const registerSubscription: Register = (subscription, contextOf) => {
  withExamples(
    subscription,
    `  lanekeeper subscription put --task nightly-42 --platform telegram --chat 4711 --session s1
  lanekeeper subscription put --task nightly-42 --platform hook --webhook https://example.com/done
  lanekeeper subscriptions list --task nightly-42`,
  );
  subscription
    .command('put')
    .description('tell a target the outcome of a task or delegation, or change what is given of it')
    .option('--task <id>', 'the task, by id or external_ref')
    .option('--delegation <id>', 'or the delegation')
    .requiredOption('--platform <name>', 'telegram, discord, cli, …')
    .option('--chat <id>', 'of the platform')
    .option('--thread <id>', 'of the chat')
    .option('--user <id>', 'who asked')
    .addOption(new Option('--mode <mode>', 'how it is told').choices(['direct', 'synthesize', 'silent']))
    .option('--wake', 'bring it as a new turn')
    .option('--no-wake', 'only show it')
    .option('--kinds <kinds>', 'comma-separated kinds of events, instead of the outcomes', listFrom)
    .option('--owner <name>', 'whose gateway delivers it')
    .option('--session <id>', 'the conversation it belongs to')
    .option('--webhook <url>', 'the server posts it there')
    .option(
      '--webhook-secret <secret>',
      'whsec_…; @file or - for stdin. Default: the server makes one and shows it once',
    )
    .action((flags: PutFlags) => put(contextOf(), flags));
  subscription
    .command('list')
    .description('list subscriptions, newest first')
    .option('--task <id>', 'of this task')
    .option('--delegation <id>', 'of this delegation')
    .option('--limit <n>', 'a page', integerFrom(1, LIMITS.pageRowsMax))
    .option('--page-token <token>', 'next_page_token of the page before')
    .action((flags: ListFlags) => list(contextOf(), flags));
  subscription
    .command('get <id>')
    .description('show one')
    .action((id: string) => get(contextOf(), id));
  subscription
    .command('delete <id>')
    .description('end it; what it has not delivered yet is dropped')
    .action(async (id: string) => {
      const context = contextOf();
      await (await context.client()).subscriptions.delete(id);
      context.output.note(`Deleted ${id}.`);
    });
  giveExamples(subscription, {
    put: `  lanekeeper subscription put --task nightly-42 --platform telegram --chat 4711 --session s1
  lanekeeper subscription put --task nightly-42 --platform hook --webhook https://example.com/done --webhook-secret @secret.txt`,
    list: '  lanekeeper subscription list --task nightly-42',
    get: '  lanekeeper subscription get sub_01h…',
    delete: '  lanekeeper subscription delete sub_01h…',
  });
};

async function put(context: Context, flags: PutFlags): Promise<void> {
  if ((flags.task === undefined) === (flags.delegation === undefined))
    throw new UsageError('Give --task or --delegation, and not both');
  const secret =
    flags.webhookSecret === undefined ? undefined : (await context.readText(flags.webhookSecret)).trim();
  if (flags.webhookSecret !== undefined && /^[^@-]/.test(flags.webhookSecret))
    context.output.warn(
      'warning: everybody on this machine can read a secret among the arguments; use --webhook-secret @FILE, or - for stdin',
    );
  if (secret !== undefined && flags.webhook === undefined)
    throw new UsageError('--webhook-secret goes with --webhook');
  const body = {
    platform: flags.platform,
    ...given({
      task_id: flags.task,
      delegation_id: flags.delegation,
      chat_id: flags.chat,
      thread_id: flags.thread,
      user_id: flags.user,
      mode: flags.mode,
      wake: flags.wake,
      kinds: flags.kinds as BodyOf<'putSubscription'>['kinds'],
      owner: flags.owner,
      origin: flags.session === undefined ? undefined : { session_id: flags.session },
      webhook: flags.webhook === undefined ? undefined : { url: flags.webhook, ...given({ secret }) },
    }),
  };
  const { output } = context;
  const reply = await (await context.client()).subscriptions.put(body);
  if (output.isJson) output.json(reply);
  else show(output, reply.subscription);
  const made = reply.subscription.webhook?.secret;
  if (made !== undefined) output.note('The secret is shown this once: give it to the receiver.');
}

async function get(context: Context, id: string): Promise<void> {
  const { output } = context;
  const reply = await (await context.client()).subscriptions.get(id);
  if (output.isJson) output.json(reply);
  else show(output, reply.subscription);
}

function show(output: Output, subscription: Subscription): void {
  const { webhook } = subscription;
  writeFields(output, [
    ['subscription', subscription.id],
    ['of', subscription.task_id ?? subscription.delegation_id],
    ['target', targetOf(subscription)],
    ['mode', subscription.mode],
    ['wake', subscription.wake ? 'yes' : null],
    ['owner', subscription.owner],
    ['session', subscription.origin.session_id],
    ['webhook', webhook?.url ?? null],
    ['secret', webhook?.secret ?? null],
    ['created', age(subscription.created_at)],
  ]);
}

function targetOf({ platform, chat_id: chat, thread_id: thread }: Subscription): string {
  return [platform, chat, thread].filter((part) => part !== '').join(' ');
}

async function list(context: Context, flags: ListFlags): Promise<void> {
  const { output } = context;
  const query = given({
    task_id: flags.task,
    delegation_id: flags.delegation,
    limit: flags.limit === undefined ? undefined : String(flags.limit),
    page_token: flags.pageToken,
  });
  const page = await (await context.client()).subscriptions.list(query);
  if (output.isJson) {
    output.json(page);
    return;
  }
  writeTable(output, page.subscriptions, [
    { title: 'SUBSCRIPTION', text: (row) => row.id },
    { title: 'OF', text: (row) => row.task_id ?? row.delegation_id ?? '-' },
    { title: 'MODE', text: (row) => row.mode },
    { title: 'OWNER', text: (row) => row.owner ?? '-' },
    { title: 'TARGET', text: targetOf },
  ]);
  if (page.next_page_token !== null) output.note(`More: --page-token ${page.next_page_token}`);
}
