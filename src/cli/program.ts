/** Runs one command line: builds the tree of commands, lets the one that is meant act, and tells of what goes wrong. */
import { CommanderError } from 'commander';
import { buildCommandTree } from './command-tree.ts';
import { Context, type System } from './context.ts';
import { EXIT, type ExitCode, exitCodeOf } from './exit-codes.ts';
import { messagesOf } from './failure-report.ts';
import { packageVersion } from './package-version.ts';

export interface ProgramHooks {
  readonly onContext: (context: Context) => void;
}

/** The caller exits with what this resolves to. */
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
    const program = await buildCommandTree({
      argv,
      system,
      makeContext: (flags) => {
        context = new Context(system, flags);
        hooks.onContext(context);
        return context;
      },
    });
    await program.parseAsync([...argv], { from: 'user' });
    return EXIT.ok;
  } catch (error) {
    return reportFailure(error, context ?? new Context(system, {}));
  }
}

function reportFailure(error: unknown, { output }: Context): ExitCode {
  if (error instanceof CommanderError) {
    // Commander has printed its message. Help that was asked for is no mistake.
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  }
  for (const line of messagesOf(error)) output.warn(line);
  return exitCodeOf(error);
}
