/** Entry of the command line: connects the program with this process, its streams and its signals. */
import type { Context } from './context.ts';
import { readEnvironment } from './environment.ts';
import { EXIT } from './exit-codes.ts';
import { runProgram } from './program.ts';

let context: Context | undefined;

function endOnBrokenPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
  // The reader has seen enough (| head): not a failure.
  if (context?.endsWithStdout ?? true) process.exit(EXIT.ok);
}

process.stdout.on('error', endOnBrokenPipe);
process.stderr.on('error', endOnBrokenPipe);

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (context?.onSignal === undefined) process.exit(EXIT.interrupted);
    context.onSignal(signal);
  });
}

process.exitCode = await runProgram(
  process.argv.slice(2),
  {
    // Opened only when a command reads it.
    stdin: () => process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: readEnvironment(),
    workingDirectory: process.cwd(),
  },
  {
    onContext: (made) => {
      context = made;
    },
  },
);
