/** key create | list | revoke | rotate-signing-key */
import { Option } from 'commander';
import { LIMITS } from '../../contract/constants.ts';
import type { Key } from '../../contract/keys.ts';
import { confirm } from '../confirm.ts';
import type { Context } from '../context.ts';
import { age } from '../format.ts';
import { giveExamples, given, integerFrom, listFrom, timeFrom, withExamples } from '../options.ts';
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
  readonly mcpAliases?: boolean;
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
    .option('--mcp-aliases', 'its MCP tools also answer to their alias names: docs/mcp.md')
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
      const context = contextOf();
      await confirm(context, `Revoke key ${id} for good`);
      await (await context.client()).keys.revoke(id);
      context.output.note(`Revoked ${id}.`);
    });
  key
    .command('rotate-signing-key')
    .description('publish a new signing key for claim tokens; claims that are held stay valid')
    .action(() => rotateSigningKey(contextOf()));
  giveExamples(key, {
    create: `  lanekeeper key create --role orchestrator --name planner > planner.key
  lanekeeper key create --role lane --name press-2 --lane factory --expires-at +30d > press-2.key`,
    list: `  lanekeeper key list
  lanekeeper keys list --json`,
    revoke: '  lanekeeper key revoke key_01h… --yes',
    'rotate-signing-key': '  lanekeeper key rotate-signing-key',
  });
};

async function rotateSigningKey(context: Context): Promise<void> {
  const reply = await (await context.client()).keys.rotateSigningKey();
  const { kid, signs_at: signsAt } = reply.signing_key;
  if (context.output.isJson) context.output.json(reply);
  else context.output.line(`${kid} signs from ${signsAt} on`);
}

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
      mcp_aliases: flags.mcpAliases,
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
