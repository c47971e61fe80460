/**
 * The command line as a whole: global flags, the list of command groups, help and errors. A group's file is loaded
 * only when its command is used, so that help and mistakes are answered at once.
 */
import { Command, CommanderError } from 'commander';
import { LanekeeperError, UnreachableError } from '../client/errors.ts';
import { Context, type Flags, type System } from './context.ts';
import { EXIT, EXIT_CODES_HELP, type ExitCode, ExitError, exitCodeOf } from './exit-codes.ts';
import { GROUPS, type Group } from './groups.ts';
import { printable, printableLines } from './output.ts';
import { packageVersion } from './package-version.ts';

const EXAMPLES = `Examples:
  lanekeeper serve                                        start a server with a database inside
  lanekeeper lane register factory                        register a lane
  lanekeeper task add "Build the thing" --lane factory    put a task on the board
  lanekeeper work factory -- ./build.sh                   run a command for each task of the lane
  lanekeeper watch                                        see everything that happens
  lanekeeper task steer TASK "skip the tests"             tell its worker something while it works
`;

const HELP_END = `
Environment: LANEKEEPER_URL, LANEKEEPER_TOKEN or LANEKEEPER_TOKEN_FILE, LANEKEEPER_BOARD, LANEKEEPER_PROFILE, NO_COLOR.
In the directory of a running server (or with LANEKEEPER_DATA_DIR) no key is needed.
See also: lanekeeper help exit-codes
`;

/** Global flags that take a value, to find the command among the arguments. */
const VALUE_FLAGS = ['--url', '-b', '--board', '--token-file', '--profile'];

/** Runs one command line; the caller exits with what this resolves to. */
export async function runProgram(
  argv: readonly string[],
  system: System,
  hooks: ProgramHooks,
): Promise<ExitCode> {
  let context: Context | undefined;
  try {
    if (argv[0] === '--version' || argv[0] === '-V') {
      system.stdout.write(`${packageVersion()}\n`);
      return EXIT.ok;
    }
    const program = await buildProgram(argv, system, (flags) => {
      context = new Context(system, flags);
      hooks.onContext(context);
      return context;
    });
    await program.parseAsync([...argv], { from: 'user' });
    return EXIT.ok;
  } catch (error) {
    return reportFailure(error, context ?? new Context(system, {}));
  }
}

export interface ProgramHooks {
  readonly onContext: (context: Context) => void;
}

type MakeContext = (flags: Flags) => Context;

async function buildProgram(
  argv: readonly string[],
  system: System,
  makeContext: MakeContext,
): Promise<Command> {
  const program = new Command('lanekeeper')
    .description('A control plane for persistent worker lanes.')
    .option('--url <url>', 'server (default: LANEKEEPER_URL, a profile, or a server on this machine)')
    .option('-b, --board <name>', 'board (default: LANEKEEPER_BOARD, or "default")')
    .option('--token-file <file>', 'file with the API key; - for stdin')
    .option('--profile <name>', 'a server stored by lanekeeper login')
    .option('--json', 'print what the API answers')
    .option('--no-color', 'no colours')
    .option('-q, --quiet', 'no messages but errors')
    .option('-V, --version', 'print the version')
    .addHelpText('before', EXAMPLES)
    .addHelpText('after', HELP_END)
    .helpCommand(false)
    .configureHelp({ subcommandTerm: (command) => [command.name(), ...command.aliases()].join('|') });
  configure(program, system);
  const [word, next] = operandsOf(argv);
  const wanted = word === 'help' ? next : word;
  for (const group of GROUPS) {
    const command = program.command(group.name).summary(group.summary).description(group.summary);
    if (group.plural !== undefined) command.alias(group.plural);
    configure(command, system);
    if (wanted === group.name || wanted === group.plural) await load(group, command, makeContext);
  }
  addHelpCommand(program, system);
  return program;
}

async function load(group: Group, command: Command, makeContext: MakeContext): Promise<void> {
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

function configure(command: Command, system: System): void {
  command
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void system.stdout.write(text),
      writeErr: (text) => void system.stderr.write(text),
      getOutHasColors: () => false,
    })
    .showSuggestionAfterError();
}

function addHelpCommand(program: Command, system: System): void {
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

/** The first two words that are neither global flags nor their values. */
function operandsOf(argv: readonly string[]): string[] {
  const operands: string[] = [];
  for (let index = 0; index < argv.length && operands.length < 2; index += 1) {
    const word = argv[index] ?? '';
    if (word === '--') break;
    if (VALUE_FLAGS.includes(word)) index += 1;
    else if (!word.startsWith('-')) operands.push(word);
  }
  return operands;
}

function reportFailure(error: unknown, context: Context): ExitCode {
  if (error instanceof CommanderError) {
    // Commander has printed its message. Help that was asked for is no mistake.
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  }
  const { output } = context;
  for (const line of messagesOf(error)) output.warn(line);
  return exitCodeOf(error);
}

function messagesOf(error: unknown): string[] {
  if (error instanceof ExitError) return error.message === '' ? [] : [error.message];
  if (!(error instanceof Error)) return [String(error)];
  const lines = [printableLines(error.message)];
  if (error instanceof LanekeeperError) {
    for (const { pointer, detail } of error.errors)
      lines.push(`  ${printable(pointer)}: ${printable(detail)}`);
    if (error.status >= 500 && error.requestId !== undefined)
      lines.push(`Request id: ${printable(error.requestId)}`);
  }
  const next = nextStepOf(error);
  return next === undefined ? lines : [...lines, `Next: ${next}`];
}

function nextStepOf(error: Error): string | undefined {
  if (error instanceof UnreachableError) {
    return 'is the server running (lanekeeper serve), and is --url or LANEKEEPER_URL right?';
  }
  if (!(error instanceof LanekeeperError)) return undefined;
  switch (error.code) {
    case 'unauthenticated':
      return 'lanekeeper login, or give a key with --token-file or LANEKEEPER_TOKEN';
    case 'token_expired':
      return 'the claim is over; claim the task again';
    case 'forbidden':
    case 'claim_token_required':
    case 'not_your_claim':
      return 'lanekeeper whoami shows what the key may do';
    case 'lane_not_found':
      return 'lanekeeper lane list, or lanekeeper lane register NAME';
    case 'not_found':
      return 'check the id and the board (--board); lanekeeper board list shows what you may see';
    case 'illegal_transition':
      return 'lanekeeper task get ID shows the status';
    case 'dependency_cycle':
      return 'lanekeeper task graph ID shows what waits for what';
    case 'version_mismatch':
      return 'read it again, then repeat the change';
    case 'lane_has_claims':
      return 'lanekeeper lane drain NAME, and wait for its tasks to end';
    case 'cursor_expired':
      return 'lanekeeper snapshot, then watch from its cursor';
    case 'rate_limited':
      return `wait ${error.retryAfterSeconds ?? 'a few'} seconds`;
    default:
      return undefined;
  }
}
