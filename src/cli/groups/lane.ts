/** lane register | list | show (get) | set | pause | resume | drain | takeover | claim | delete | key */
import { type Command, Option } from 'commander';
import type { BodyOf } from '../../client/operation-types.ts';
import { LIMITS } from '../../contract/constants.ts';
import type { ClaimMode, Lane, LaneKind, StatusMutations } from '../../contract/lanes.ts';
import type { TakeoverMode } from '../../contract/statuses.ts';
import { confirm } from '../confirm.ts';
import type { Context } from '../context.ts';
import { UsageError } from '../exit-codes.ts';
import { laneState, writeLane, writeLanes } from '../format.ts';
import { FOLLOWED_LANES, followList } from '../live/followed-list.ts';
import {
  appendTo,
  giveExamples,
  given,
  integerFrom,
  labelInto,
  plainNoOption,
  timeFrom,
  watchOption,
  withExamples,
} from '../options.ts';
import type { Register } from '../register.ts';
import { writeSecret } from '../secret.ts';
import { addClaimCommand } from './lane-claim.ts';
import { LANE_EXAMPLES } from './lane-examples.ts';

/** The values of the wire; the compiler holds them against the contract. */
const KINDS: Record<LaneKind, true> = { persistent: true, spawn: true, human: true };
const CLAIM_MODES: Record<ClaimMode, true> = { 'pull-or-watch': true, pull: true, watch: true, push: true };
const MUTATIONS: Record<StatusMutations, true> = { 'own-claimed-only': true, none: true };
const TAKEOVER_MODES: Record<TakeoverMode, true> = { release: true, adopt: true, expire: true };

interface LaneFlags {
  readonly kind?: LaneKind;
  readonly claimMode?: ClaimMode;
  readonly allowedStatusMutations?: StatusMutations;
  readonly maxConcurrentClaims?: number;
  readonly leaseSeconds?: number;
  readonly noProgressSeconds?: number;
  readonly maxRuntimeSeconds?: number;
  readonly label?: Record<string, string>;
  readonly description?: string;
  readonly spawn?: string;
  readonly clear?: string[];
}

interface ListFlags {
  readonly limit?: number;
  readonly pageToken?: string;
  readonly watch?: boolean;
}

interface TakeoverFlags {
  readonly mode: TakeoverMode;
  readonly worker: string;
}

interface KeyFlags {
  readonly name?: string;
  readonly expiresAt?: string;
  readonly mcpAliases?: boolean;
}

export const registerLane: Register = (lane, contextOf) => {
  withExamples(
    lane,
    `  lanekeeper lanes register factory --kind persistent --claim-mode pull-or-watch --allowed-status-mutations own-claimed-only
  lanekeeper lane key factory > factory.key
  lanekeeper lane set factory --max-concurrent-claims 4
  lanekeeper lane drain factory
  lanekeeper lane takeover factory --mode release --worker press-2
  lanekeeper lane takeover factory --mode adopt --worker press-2 --json > claims.json`,
  );
  withLaneOptions(
    lane.command('register <name>').description('register a lane, or change the one with this name'),
  ).action((name: string, flags: LaneFlags) => registerNamed(contextOf(), name, flags));
  lane
    .command('list')
    .description('list lanes with presence and backlog')
    .option('--limit <n>', 'lanes a page', integerFrom(1, LIMITS.pageRowsMax))
    .option('--page-token <token>', 'next_page_token of the page before')
    .addOption(watchOption('lanes'))
    .action((flags: ListFlags) => listLanes(contextOf(), flags));
  lane
    .command('show <name>')
    .alias('get')
    .description('show a lane with its backlog and workers: versions, when last seen, claims in flight')
    .action(async (name: string) =>
      showLane(contextOf(), await (await contextOf().client()).lanes.get(name)),
    );
  withLaneOptions(lane.command('set <name>').description('change a lane'))
    .option(
      '--clear <field>',
      'set a field back to its default, e.g. max_concurrent_claims (repeatable)',
      appendTo,
    )
    .action((name: string, flags: LaneFlags) => changeLane(contextOf(), name, flags));
  addSwitches(lane, contextOf);
  addTakeover(lane, contextOf);
  addClaimCommand(lane, contextOf);
  lane
    .command('delete <name>')
    .description('deregister a lane that holds no claims, and revoke its keys')
    .action((name: string) => deleteLane(contextOf(), name));
  lane
    .command('key <name>')
    .description("issue a key for the lane's workers; the secret is shown once")
    .option('--name <text>', 'what the key is for')
    .option('--expires-at <time>', 'RFC 3339 or like +30d', timeFrom(Date.now))
    .option('--mcp-aliases', 'its MCP tools also answer to their alias names: docs/mcp.md')
    .action((name: string, flags: KeyFlags) => createKey(contextOf(), name, flags));
  giveExamples(lane, LANE_EXAMPLES);
};

function withLaneOptions(command: Command): Command {
  const seconds = integerFrom(1, LIMITS.leaseSecondsMax);
  return command
    .addOption(new Option('--kind <kind>', 'who works on it').choices(Object.keys(KINDS)))
    .addOption(new Option('--claim-mode <mode>', 'how it learns of work').choices(Object.keys(CLAIM_MODES)))
    .addOption(
      new Option('--allowed-status-mutations <what>', 'what it may change').choices(Object.keys(MUTATIONS)),
    )
    .option('--max-concurrent-claims <n>', 'exact, over all its workers', integerFrom(1, 1_000_000))
    .option('--lease-seconds <n>', 'default lease of a claim', seconds)
    .addOption(plainNoOption('--no-progress-seconds <n>', 'time out without progress').argParser(seconds))
    .option('--max-runtime-seconds <n>', 'time out an attempt', seconds)
    .option('--label <key=value>', 'label (repeatable)', labelInto)
    .option('--description <text>', 'what it is for')
    .option('--spawn <json>', 'of a lane of kind spawn: {"argv": […], …}, or @file');
}

async function bodyOf(context: Context, flags: LaneFlags): Promise<NonNullable<BodyOf<'patchLane'>>> {
  const spawn = flags.spawn === undefined ? undefined : await context.readJson(flags.spawn, '--spawn');
  const body = given({
    kind: flags.kind,
    claim_mode: flags.claimMode,
    allowed_status_mutations: flags.allowedStatusMutations,
    max_concurrent_claims: flags.maxConcurrentClaims,
    lease_seconds: flags.leaseSeconds,
    no_progress_seconds: flags.noProgressSeconds,
    max_runtime_seconds: flags.maxRuntimeSeconds,
    labels: flags.label,
    description: flags.description,
    // The server checks it; its messages point into it.
    spawn: spawn as NonNullable<BodyOf<'patchLane'>>['spawn'],
  });
  const cleared = Object.fromEntries((flags.clear ?? []).map((field) => [field.replaceAll('-', '_'), null]));
  return { ...body, ...cleared };
}

async function registerNamed(context: Context, name: string, flags: LaneFlags): Promise<void> {
  const client = await context.client();
  const reply = await client.lanes.register(name, await bodyOf(context, flags));
  showLane(context, reply);
  context.output.note(`Next: ${nextStepOf(reply.lane)}`);
}

function nextStepOf({ name, kind, claim_mode }: Lane): string {
  if (kind === 'spawn') return 'lanekeeper dispatch    spawns what the lane says, once per task';
  // `work` asks for claims, which a push lane refuses: its workers live on a socket.
  return claim_mode === 'push'
    ? `lanekeeper lane key ${name}    and give it to a worker that opens a socket: docs/protocol.md, Push`
    : `lanekeeper work ${name} -- CMD    or, for a key of its own: lanekeeper lane key ${name}`;
}

async function changeLane(context: Context, name: string, flags: LaneFlags): Promise<void> {
  const body = await bodyOf(context, flags);
  if (Object.keys(body).length === 0) throw new UsageError('Nothing to change: give at least one option');
  showLane(context, await (await context.client()).lanes.patch(name, body));
}

async function listLanes(context: Context, flags: ListFlags): Promise<void> {
  const { output } = context;
  const client = await context.client();
  if (flags.watch) {
    const { limit } = flags;
    const read = () => client.lanes.list({ limit: limit ?? LIMITS.pageRowsMax });
    const readLeft = async (name: string) => (await client.lanes.get(name)).lane;
    await followList(context, client, { ...FOLLOWED_LANES, read, readLeft, limit });
    return;
  }
  const page = await client.lanes.list({ limit: flags.limit, page_token: flags.pageToken });
  if (output.isJson) {
    output.json(page);
    return;
  }
  writeLanes(output, page.lanes);
  if (page.next_page_token !== null) output.note(`More: --page-token ${page.next_page_token}`);
  if (page.lanes.length === 0) output.note('No lanes yet. Next: lanekeeper lane register NAME');
}

function addSwitches(lane: Command, contextOf: () => Context): void {
  const verbs = {
    pause: 'stop handing out work; claims that are held go on',
    resume: 'end a pause or a drain',
    drain: 'hand out no more work; paused when the last claim ends',
  } as const;
  for (const verb of ['pause', 'resume', 'drain'] as const) {
    lane
      .command(`${verb} <name>`)
      .description(verbs[verb])
      .action(async (name: string) => {
        const { output } = contextOf();
        const reply = await (await contextOf().client()).lanes[verb](name);
        if (output.isJson) output.json(reply);
        else output.line(`lane ${reply.lane.name} is ${laneState(reply.lane)}`);
      });
  }
}

function addTakeover(lane: Command, contextOf: () => Context): void {
  lane
    .command('takeover <name>')
    .description(
      'take a lane over from its other workers: their claims are given back, adopted, or left to their leases',
    )
    .addOption(
      new Option('--mode <mode>', 'what becomes of their claims')
        .choices(Object.keys(TAKEOVER_MODES))
        .makeOptionMandatory(),
    )
    .requiredOption('--worker <name>', 'the worker that takes over')
    .addHelpText(
      'after',
      `
  release  their tasks are ready again; that is no failure
  adopt    they become claims of --worker, printed with the tokens that speak for them: only with --json, and only once
  expire   nobody gets them before their leases have run out
A "lanekeeper work" of another name on the lane claims no more, and ends with exit code 5.
`,
    )
    .action((name: string, flags: TakeoverFlags) => takeOver(contextOf(), name, flags));
}

async function takeOver(context: Context, name: string, { mode, worker }: TakeoverFlags): Promise<void> {
  const { output } = context;
  if (mode === 'adopt' && !output.isJson) {
    throw new UsageError(
      'Give --json with --mode adopt: it prints the adopted claims with their tokens, which are shown only once',
    );
  }
  const reply = await (await context.client()).lanes.takeOver(name, { mode, worker });
  if (output.isJson) {
    output.json(reply);
    return;
  }
  output.line(`lane ${reply.lane.name} is taken over by ${worker}, epoch ${reply.lane.epoch}`);
}

async function deleteLane(context: Context, name: string): Promise<void> {
  await confirm(context, `Deregister lane ${name} and revoke its keys`);
  await (await context.client()).lanes.delete(name);
  context.output.note(`Deregistered lane ${name}.`);
}

async function createKey(context: Context, name: string, flags: KeyFlags): Promise<void> {
  const body = given({ name: flags.name, expires_at: flags.expiresAt, mcp_aliases: flags.mcpAliases });
  const reply = await (await context.client()).lanes.createKey(name, body);
  writeSecret(context.output, reply);
}

function showLane(context: Context, reply: { readonly lane: Lane }): void {
  if (context.output.isJson) context.output.json(reply);
  else writeLane(context.output, reply.lane);
}
