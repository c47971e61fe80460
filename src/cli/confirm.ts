/**
 * Asks before what cannot be undone. Where nobody can be asked it refuses, so that a script says --yes and means it. Never asks for
 * what can be undone: questions that are always answered with yes are not read.
 */
import { createInterface } from 'node:readline';
import type { Context } from './context.ts';
import { EXIT, ExitError, UsageError } from './exit-codes.ts';
import { printable } from './output.ts';

/** Returns when it may be done. `deed` names it whole: "Delete board x with everything on it". */
export async function confirm(context: Context, deed: string): Promise<void> {
  const { flags, system } = context;
  if (flags.yes) return;
  const question = printable(deed);
  const stdin = system.stdin();
  if (!stdin.isTTY || !system.stderr.isTTY)
    throw new UsageError(`${question}? That cannot be undone: say --yes if you mean it`);
  const answer = await ask(`${question}? This cannot be undone. [y/N] `, stdin, system.stderr);
  if (!/^y(es)?$/i.test(answer.trim())) throw new ExitError(EXIT.error, 'Nothing was done.');
}

function ask(
  question: string,
  stdin: NodeJS.ReadStream,
  stderr: Context['system']['stderr'],
): Promise<string> {
  const reader = createInterface({ input: stdin, output: stderr });
  return new Promise((resolve, reject) => {
    reader.once('SIGINT', () => {
      stderr.write('\n');
      reader.close();
      reject(new ExitError(EXIT.interrupted));
    });
    // The end of the input is no answer.
    reader.once('close', () => resolve(''));
    reader.question(question, (answer) => {
      resolve(answer);
      reader.close();
    });
  });
}
