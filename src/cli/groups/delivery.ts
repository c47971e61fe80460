/** delivery claim | ack | nack | list | retry, and session messages: what a gateway does, by hand. */
import { LIMITS } from '../../contract/constants.ts';
import type { Context } from '../context.ts';
import { age } from '../format.ts';
import {
  durationFrom,
  durationUpTo,
  giveExamples,
  given,
  integerFrom,
  listFrom,
  withExamples,
} from '../options.ts';
import { printableLines } from '../output.ts';
import type { Register } from '../register.ts';
import { writeTable } from '../table.ts';

interface ClaimFlags {
  readonly owner?: string;
  readonly platforms?: string[];
  readonly max?: number;
  readonly leaseSeconds?: number;
  readonly wait?: number | true;
}

interface ListFlags {
  readonly status?: string;
  readonly subscription?: string;
  readonly limit?: number;
  readonly pageToken?: string;
}

interface NackFlags {
  readonly lease: string;
  readonly error?: string;
  readonly permanent?: boolean;
  readonly defer?: number;
}

const WAIT_SECONDS_DEFAULT = 30;

export const registerDelivery: Register = (delivery, contextOf) => {
  withExamples(
    delivery,
    `  lanekeeper delivery claim --platforms discord --wait --json
  lanekeeper delivery ack dlv_01h… --lease 0b2f… --message-id 4711
  lanekeeper delivery list --status dead
  lanekeeper delivery retry dlv_01h…`,
  );
  delivery
    .command('claim')
    .description('take what is to be sent, one of each session; with --wait as soon as there is something')
    .option('--owner <name>', 'of this owner; default: of nobody')
    .option('--platforms <names>', 'comma-separated', listFrom)
    .option('--max <n>', 'at most so many', integerFrom(1, LIMITS.claimsMax))
    .option('--lease-seconds <n>', 'how long you have', integerFrom(1, LIMITS.deliveryLeaseSecondsMax))
    .option(
      '--wait [duration]',
      `wait for one when there is none, up to ${LIMITS.waitSecondsMax}s (default ${WAIT_SECONDS_DEFAULT}s)`,
      durationUpTo(LIMITS.waitSecondsMax),
    )
    .action((flags: ClaimFlags) => claim(contextOf(), flags));
  delivery
    .command('ack <id>')
    .description('it was sent')
    .requiredOption('--lease <id>', 'lease_id of the claim')
    .option('--message-id <id>', "the platform's")
    .action((id: string, flags: { lease: string; messageId?: string }) => ack(contextOf(), id, flags));
  delivery
    .command('nack <id>')
    .description('it could not be sent')
    .requiredOption('--lease <id>', 'lease_id of the claim')
    .option('--error <text>', 'why; - for stdin')
    .option('--permanent', 'trying again cannot help')
    .option(
      '--defer <duration>',
      'the session is busy: again after this, and nothing is counted',
      durationFrom,
    )
    .action((id: string, flags: NackFlags) => nack(contextOf(), id, flags));
  delivery
    .command('list')
    .description('list deliveries, newest first')
    .option('--status <statuses>', 'pending, synthesizing, leased, acked, dead; comma-separated')
    .option('--subscription <id>', 'of this subscription')
    .option('--limit <n>', 'a page', integerFrom(1, LIMITS.pageRowsMax))
    .option('--page-token <token>', 'next_page_token of the page before')
    .action((flags: ListFlags) => list(contextOf(), flags));
  delivery
    .command('retry <id>')
    .description('send a dead one, or one that pauses, now')
    .action(async (id: string) => {
      const { output } = contextOf();
      const reply = await (await contextOf().client()).deliveries.retry(id);
      if (output.isJson) output.json(reply);
      else output.line(reply.delivery.status);
    });
  giveExamples(delivery, {
    claim: `  lanekeeper delivery claim --platforms discord,telegram --wait --json
  lanekeeper delivery claim --owner chat-gateway --max 10 --lease-seconds 60 --json`,
    ack: '  lanekeeper delivery ack dlv_01h… --lease 0b2f… --message-id 4711',
    nack: `  lanekeeper delivery nack dlv_01h… --lease 0b2f… --error "the chat is gone" --permanent
  lanekeeper delivery nack dlv_01h… --lease 0b2f… --defer 30s`,
    list: '  lanekeeper delivery list --status dead,pending',
    retry: '  lanekeeper delivery retry dlv_01h…',
  });
};

export const registerSession: Register = (session, contextOf) => {
  withExamples(session, '  lanekeeper session messages s1');
  session
    .command('messages <session>')
    .description('what an origin session was told, oldest first')
    .option('--limit <n>', 'a page', integerFrom(1, LIMITS.pageRowsMax))
    .option('--page-token <token>', 'next_page_token of the page before')
    .action((id: string, flags: Pick<ListFlags, 'limit' | 'pageToken'>) => messages(contextOf(), id, flags));
  giveExamples(session, { messages: '  lanekeeper session messages s1 --limit 20' });
};

async function claim(context: Context, flags: ClaimFlags): Promise<void> {
  const { output } = context;
  const body = given({
    owner: flags.owner,
    platforms: flags.platforms,
    max: flags.max,
    lease_seconds: flags.leaseSeconds,
  });
  const seconds = flags.wait === true ? WAIT_SECONDS_DEFAULT : flags.wait;
  const options = seconds === undefined ? {} : { waitSeconds: seconds };
  const reply = await (await context.client()).deliveries.claim(body, options);
  if (output.isJson) {
    output.json(reply);
    return;
  }
  for (const delivery of reply.deliveries) {
    const { subscription } = delivery;
    output.line(
      `${delivery.id}  lease ${delivery.lease_id}  ${subscription.platform} ${subscription.chat_id}`.trimEnd(),
    );
    output.line(printableLines(delivery.text));
  }
  if (reply.deliveries.length === 0) output.note('Nothing is to be sent.');
}

async function ack(
  context: Context,
  id: string,
  { lease, messageId }: { lease: string; messageId?: string },
): Promise<void> {
  const { output } = context;
  const body = { lease_id: lease, ...given({ message_id: messageId }) };
  const reply = await (await context.client()).deliveries.ack(id, body);
  if (output.isJson) output.json(reply);
  else output.line(reply.delivery.status);
}

async function nack(context: Context, id: string, flags: NackFlags): Promise<void> {
  const { output } = context;
  const body = {
    lease_id: flags.lease,
    ...given({
      error: flags.error === undefined ? undefined : await context.readReason(flags.error),
      permanent: flags.permanent,
      defer_seconds: flags.defer,
    }),
  };
  const reply = await (await context.client()).deliveries.nack(id, body);
  if (output.isJson) output.json(reply);
  else output.line(`${reply.delivery.status}, due ${reply.delivery.due_at}`);
}

async function list(context: Context, flags: ListFlags): Promise<void> {
  const { output } = context;
  const query = given({
    status: flags.status,
    subscription_id: flags.subscription,
    limit: flags.limit === undefined ? undefined : String(flags.limit),
    page_token: flags.pageToken,
  });
  const page = await (await context.client()).deliveries.list(query);
  if (output.isJson) {
    output.json(page);
    return;
  }
  writeTable(output, page.deliveries, [
    { title: 'DELIVERY', text: (row) => row.id },
    { title: 'STATUS', text: (row) => row.status },
    { title: 'OF', text: (row) => row.task_id ?? row.delegation_id ?? '-' },
    { title: 'PLATFORM', text: (row) => row.platform },
    { title: 'TRIES', text: (row) => String(row.attempt) },
    { title: 'CREATED', text: (row) => age(row.created_at) },
    { title: 'ERROR', text: (row) => row.last_error ?? '-' },
  ]);
  if (page.next_page_token !== null) output.note(`More: --page-token ${page.next_page_token}`);
}

async function messages(
  context: Context,
  session: string,
  flags: Pick<ListFlags, 'limit' | 'pageToken'>,
): Promise<void> {
  const { output } = context;
  const query = given({
    limit: flags.limit === undefined ? undefined : String(flags.limit),
    page_token: flags.pageToken,
  });
  const page = await (await context.client()).deliveries.sessionMessages(session, query);
  if (output.isJson) {
    output.json(page);
    return;
  }
  for (const message of page.messages) {
    output.line(output.style('dim', `${message.at}  ${message.platform} ${message.chat_id}`.trimEnd()));
    output.line(printableLines(message.text));
  }
  if (page.next_page_token !== null) output.note(`More: --page-token ${page.next_page_token}`);
}
