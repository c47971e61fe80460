/** key create | list | revoke */
import { Option } from 'commander';
import { LIMITS } from '../../contract/constants.ts';
import type { Key } from '../../contract/keys.ts';
import type { Context } from '../context.ts';
import { age } from '../format.ts';
import { given, integerFrom, listFrom, timeFrom, withExamples } from '../options.ts';
import type { Register } from '../register.ts';
import { writeSecret } from '../secret.ts';
import { writeTable } from '../table.ts';

const ROLES: Record<Key['role'], true> = { admin: true, orchestrator: true, observer: true, lane: true };

interface CreateFlags {
  readonly role: Key['role'];
  readonly name: string;
  readonly boards?: string[];
  readonly lane?: string;
  readonly owner?: string;
  readonly expiresAt?: string;
}

interface ListFlags {
  readonly limit?: number;
  readonly pageToken?: string;
}

export const registerKey: Register = (key, contextOf) => {
  withExamples(
    key,
    `  lanekeeper key create --role orchestrator --name planner > planner.key
  lanekeeper key create --role observer --name wallboard --boards factory,default --expires-at +90d
  lanekeeper key revoke key_01h…`,
  );
  key
    .command('create')
    .description('issue a key; the secret is shown once')
    .addOption(
      new Option('--role <role>', 'what it may do').choices(Object.keys(ROLES)).makeOptionMandatory(),
    )
    .requiredOption('--name <text>', 'what it is for')
    .option('--boards <names>', 'comma-separated boards, or "*" for all', listFrom)
    .option('--lane <name>', 'of a lane key: its lane on --board')
    .option('--owner <name>', 'delivery owner')
    .option('--expires-at <time>', 'RFC 3339 or like +30d', timeFrom(Date.now))
    .action((flags: CreateFlags) => createKey(contextOf(), flags));
  key
    .command('list')
    .description('list live keys')
    .option('--limit <n>', 'keys a page', integerFrom(1, LIMITS.pageRowsMax))
    .option('--page-token <token>', 'next_page_token of the page before')
    .action((flags: ListFlags) => listKeys(contextOf(), flags));
  key
    .command('revoke <id>')
    .description('revoke a key everywhere within a second')
    .action(async (id: string) => {
      await (await contextOf().client()).keys.revoke(id);
      contextOf().output.note(`Revoked ${id}.`);
    });
};

async function createKey(context: Context, flags: CreateFlags): Promise<void> {
  const client = await context.client();
  const isForLane = flags.role === 'lane' && flags.boards === undefined;
  const body = {
    role: flags.role,
    name: flags.name,
    ...given({
      boards: flags.boards,
      board: isForLane ? client.board : undefined,
      lane: flags.lane,
      owner: flags.owner,
      expires_at: flags.expiresAt,
    }),
  };
  writeSecret(context.output, await client.keys.create(body));
}

async function listKeys(context: Context, flags: ListFlags): Promise<void> {
  const { output } = context;
  const page = await (await context.client()).keys.list({ limit: flags.limit, page_token: flags.pageToken });
  if (output.isJson) {
    output.json(page);
    return;
  }
  writeTable(output, page.keys, [
    { title: 'ID', text: (key) => key.id },
    { title: 'ROLE', text: (key) => key.role },
    { title: 'BOARDS', text: (key) => key.boards.join(',') },
    { title: 'LANE', text: (key) => key.lane ?? '-' },
    { title: 'USED', text: (key) => age(key.last_used_at) },
    { title: 'EXPIRES', text: (key) => key.expires_at ?? 'never' },
    { title: 'NAME', text: (key) => key.name },
  ]);
  if (page.next_page_token !== null) output.note(`More: --page-token ${page.next_page_token}`);
}
