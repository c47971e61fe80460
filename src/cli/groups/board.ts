/** board create | list | get | stats | set | delete */
import type { Command } from 'commander';
import type { Board } from '../../contract/boards.ts';
import { LIMITS } from '../../contract/constants.ts';
import { confirm } from '../confirm.ts';
import type { Context } from '../context.ts';
import { giveExamples, given, integerFrom, listFrom, withExamples } from '../options.ts';
import type { Output } from '../output.ts';
import type { Register } from '../register.ts';
import { writeFields, writeTable } from '../table.ts';
import { type RetentionFlags, retentionOf, retentionText, withRetentionOptions } from './board-retention.ts';
import { addStatsCommand } from './board-stats.ts';

/** As the contract has it. */
const DELEGATION_CAPACITY_MAX = 100;

interface BoardFlags extends RetentionFlags {
  readonly title?: string;
  readonly description?: string;
  readonly paused?: boolean;
  readonly strandedAfterSeconds?: number;
  readonly delegationCapacity?: number;
  readonly synthesizerLane?: string;
  readonly synthesizePlatforms?: string[];
  readonly defaultOwner?: string;
}

interface ListFlags {
  readonly limit?: number;
  readonly pageToken?: string;
}

export const registerBoard: Register = (board, contextOf) => {
  withExamples(
    board,
    `  lanekeeper board create factory --title "The factory"
  lanekeeper board set factory --paused
  lanekeeper boards list --json`,
  );
  board
    .command('list')
    .description('list the boards you may see')
    .option('--limit <n>', 'boards a page', integerFrom(1, LIMITS.pageRowsMax))
    .option('--page-token <token>', 'next_page_token of the page before')
    .action((flags: ListFlags) => listBoards(contextOf(), flags));
  board
    .command('get [name]')
    .description('show a board with its counts (default: the current one)')
    .action((name?: string) => getBoard(contextOf(), name));
  addStatsCommand(board, contextOf);
  withBoardOptions(
    board.command('create <name>').description('create a board, or change the one with this name'),
  ).action((name: string, flags: BoardFlags) => saveBoard(contextOf(), { name, flags, isNew: true }));
  withBoardOptions(board.command('set <name>').description('change a board; an empty text clears it')).action(
    (name: string, flags: BoardFlags) => saveBoard(contextOf(), { name, flags, isNew: false }),
  );
  board
    .command('delete <name>')
    .description('delete a board with everything on it')
    .action((name: string) => deleteBoard(contextOf(), name));
  giveExamples(board, {
    list: `  lanekeeper board list
  lanekeeper boards list --limit 20 --json`,
    get: `  lanekeeper board get
  lanekeeper board get factory --json`,
    stats: `  lanekeeper board stats
  lanekeeper board stats factory --window 24h
  lanekeeper board stats --json | jq '.stats.totals.queue_wait'`,
    create: '  lanekeeper board create factory --title "The factory" --stranded-after-seconds 600',
    set: `  lanekeeper board set factory --paused
  lanekeeper board set factory --keep-events 30d --keep-finished-tasks 90d
  lanekeeper board set factory --description ""`,
    delete: '  lanekeeper board delete factory --yes',
  });
};

function withBoardOptions(command: Command): Command {
  command
    .option('--title <text>', 'what people call it')
    .option('--description <text>', 'what it is for')
    .option('--paused', 'hand out no work')
    .option('--no-paused', 'hand out work again')
    .option(
      '--stranded-after-seconds <n>',
      'a task that nobody has claimed for so long is reported (default 300)',
      integerFrom(1, 86_400 * 30),
    )
    .option(
      '--delegation-capacity <n>',
      'running delegations of one capacity key',
      integerFrom(1, DELEGATION_CAPACITY_MAX),
    )
    .option('--synthesizer-lane <name>', 'whose workers make replies of outcomes; empty: nobody')
    .option('--synthesize-platforms <names>', 'where outcomes are told as a reply; comma-separated', listFrom)
    .option('--default-owner <name>', 'whose gateway delivers what names none; empty: nobody');
  return withRetentionOptions(command);
}

async function listBoards(context: Context, flags: ListFlags): Promise<void> {
  const client = await context.client();
  const page = await client.boards.list({ limit: flags.limit, page_token: flags.pageToken });
  const { output } = context;
  if (output.isJson) {
    output.json(page);
    return;
  }
  const count = (name: keyof Board['counts']) => (board: Board) => String(board.counts[name]);
  writeTable(output, page.boards, [
    { title: 'BOARD', text: (board) => board.name },
    { title: 'READY', text: count('ready') },
    { title: 'RUNNING', text: count('running') },
    { title: 'BLOCKED', text: count('blocked') },
    { title: 'DONE', text: count('done') },
    { title: 'STATE', text: (board) => (board.settings.paused ? 'paused' : 'open') },
    { title: 'TITLE', text: (board) => board.title ?? '' },
  ]);
  if (page.next_page_token !== null) output.note(`More: --page-token ${page.next_page_token}`);
}

async function getBoard(context: Context, name: string | undefined): Promise<void> {
  const client = await context.client();
  const reply = await client.boards.get(name ?? client.board);
  if (context.output.isJson) context.output.json(reply);
  else writeBoard(context.output, reply.board);
}

interface SaveRequest {
  readonly name: string;
  readonly flags: BoardFlags;
  readonly isNew: boolean;
}

async function saveBoard(context: Context, { name, flags, isNew }: SaveRequest): Promise<void> {
  const text = (value: string | undefined) => (value === '' ? null : value);
  const named = given({
    paused: flags.paused,
    stranded_after_seconds: flags.strandedAfterSeconds,
    delegation_capacity: flags.delegationCapacity,
    synthesizer_lane: text(flags.synthesizerLane),
    synthesize_platforms: flags.synthesizePlatforms,
    default_owner: text(flags.defaultOwner),
    retention: retentionOf(flags),
  });
  const settings = Object.keys(named).length === 0 ? undefined : named;
  const body = given({ title: text(flags.title), description: text(flags.description), settings });
  const { boards } = await context.client();
  const reply = isNew ? await boards.put(name, body) : await boards.patch(name, body);
  if (context.output.isJson) context.output.json(reply);
  else writeBoard(context.output, reply.board);
}

async function deleteBoard(context: Context, name: string): Promise<void> {
  await confirm(context, `Delete board ${name} with everything on it`);
  await (await context.client()).boards.delete(name);
  context.output.note(`Deleted board ${name}.`);
}

function writeBoard(output: Output, board: Board): void {
  const counts = Object.entries(board.counts).filter(([, tasks]) => tasks > 0);
  writeFields(output, [
    ['board', board.name],
    ['title', board.title],
    ['description', board.description],
    ['state', board.settings.paused ? 'paused' : 'open'],
    ['stranded after', `${board.settings.stranded_after_seconds} s`],
    ['keeps', retentionText(board.settings.retention)],
    ['tasks', counts.map(([status, tasks]) => `${tasks} ${status}`).join(', ') || 'none'],
    ['cursor', board.cursor],
  ]);
}
