/**
 * The commands as a tree: global flags, groups, help. A group's file is loaded only when a word of the command line names it, so that help
 * and mistakes are answered at once; whoever documents the commands has all of them loaded.
 */
import { Command } from 'commander';
import type { Context, Flags, System } from './context.ts';
import { EXIT_CODES_HELP } from './exit-codes.ts';
import { GROUPS, type Group } from './groups.ts';

const EXAMPLES = `Examples:
  lanekeeper serve                                        start a server with a database inside
  lanekeeper lane register factory                        register a lane
  lanekeeper task add "Build the thing" --lane factory    put a task on the board
  lanekeeper work factory -- ./build.sh                   run a command for each task of the lane
  lanekeeper watch                                        see everything that happens
  lanekeeper task steer TASK "skip the tests"             tell its worker something while it works
`;

const HELP_END = `
Environment: LANEKEEPER_URL, LANEKEEPER_TOKEN or LANEKEEPER_TOKEN_FILE, LANEKEEPER_BOARD, LANEKEEPER_PROFILE, NO_COLOR, FORCE_COLOR.
In the directory of a running server (or with LANEKEEPER_DATA_DIR) no key is needed.
See also: lanekeeper help exit-codes, lanekeeper doctor
`;

/** A shell asks it what could come next; what is being typed stands behind "--". */
const COMPLETE = 'complete';

export interface TreeOptions {
  readonly system: Pick<System, 'stdout' | 'stderr'>;
  /** Words of the command line; all groups are loaded when there are none. */
  readonly argv: readonly string[] | 'everything';
  readonly makeContext: (flags: Flags) => Context;
}

export async function buildCommandTree({ system, argv, makeContext }: TreeOptions): Promise<Command> {
  const program = new Command('lanekeeper')
    .description('A control plane for persistent worker lanes.')
    .option('--url <url>', 'server (default: LANEKEEPER_URL, a profile, or a server on this machine)')
    .option('-b, --board <name>', 'board (default: LANEKEEPER_BOARD, or "default")')
    .option('--token-file <file>', 'file with the API key; - for stdin')
    .option(
      '--token <key>',
      'the API key: - for stdin; others on this machine can read it when it is given here',
    )
    .option('--profile <name>', 'a server stored by lanekeeper login')
    .option('--json', 'print what the API answers')
    .option('-y, --yes', 'do what cannot be undone without asking')
    .option('--no-color', 'no colours')
    .option('-q, --quiet', 'no messages but warnings and errors')
    .option('-V, --version', 'print the version')
    .addHelpText('before', EXAMPLES)
    .addHelpText('after', HELP_END)
    .helpCommand(false)
    .configureHelp({ subcommandTerm: (command) => [command.name(), ...command.aliases()].join('|') });
  configure(program, system);
  const valueFlags = program.options
    .filter(({ required }) => required)
    .flatMap(({ long, short }) => [long, short]);
  const wanted = argv === 'everything' ? null : wantedGroups(argv, valueFlags);
  for (const group of GROUPS) {
    const command = program
      .command(group.name, { hidden: group.isHidden ?? false })
      .summary(group.summary)
      .description(group.summary);
    if (group.plural !== undefined) command.alias(group.plural);
    configure(command, system);
    const isWanted = wanted?.some((word) => word === group.name || word === group.plural) ?? true;
    if (isWanted) await load(group, command, makeContext);
  }
  addHelpCommand(program, system);
  return program;
}

async function load(group: Group, command: Command, makeContext: TreeOptions['makeContext']): Promise<void> {
  // One context per run: only one action of a command line is executed.
  let context: Context | undefined;
  const contextOf = (): Context => {
    if (context === undefined) throw new Error('an action ran before its preAction hook');
    return context;
  };
  command.hook('preAction', (_, action) => {
    context = makeContext(action.optsWithGlobals<Flags>());
  });
  const register = await group.load();
  register(command, contextOf);
}

function configure(command: Command, system: TreeOptions['system']): void {
  command
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void system.stdout.write(text),
      writeErr: (text) => void system.stderr.write(text),
      getOutHasColors: () => false,
    })
    .showSuggestionAfterError();
}

function addHelpCommand(program: Command, system: TreeOptions['system']): void {
  const help = program.command('help [command...]').description('help for a command; also: help exit-codes');
  configure(help, system);
  help.action((words: string[]) => {
    if (words[0] === 'exit-codes') {
      system.stdout.write(EXIT_CODES_HELP);
      return;
    }
    let command = program;
    for (const word of words) {
      const next = command.commands.find((each) => each.name() === word || each.aliases().includes(word));
      if (next === undefined) command.error(`error: unknown command '${word}'`);
      else command = next;
    }
    command.outputHelp();
  });
}

/** Global flags that take a value, to find the command among the arguments. */
type ValueFlags = readonly (string | null | undefined)[];

/** The groups that a command line needs: the one it names, and the one that it asks help or completions of. */
function wantedGroups(argv: readonly string[], valueFlags: ValueFlags): string[] {
  const [word, next] = operandsOf(argv, valueFlags);
  if (word === 'help') return next === undefined ? [] : [next];
  if (word !== COMPLETE) return word === undefined ? [] : [word];
  const [typed] = operandsOf(argv.slice(argv.indexOf('--') + 1), valueFlags);
  return typed === undefined ? [COMPLETE] : [COMPLETE, typed];
}

/** The first two words that are neither global flags nor their values. */
function operandsOf(argv: readonly string[], valueFlags: ValueFlags): string[] {
  const operands: string[] = [];
  for (let index = 0; index < argv.length && operands.length < 2; index += 1) {
    const word = argv[index] ?? '';
    if (word === '--') break;
    if (valueFlags.includes(word)) index += 1;
    else if (!word.startsWith('-')) operands.push(word);
  }
  return operands;
}
