/**
 * Runs a database program that changes files to its end, under supervision: it is stopped when the start is cancelled,
 * when it takes too long, and when this process dies.
 */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';

import type { RunAs } from './account.ts';
import { describeError } from './embedded-postgres-error.ts';
import type { CommandResult } from './run-command.ts';
import { runSupervised } from './supervised-process.ts';

export interface CompletionOptions {
  readonly file: string;
  readonly arguments: readonly string[];
  readonly input?: string;
  readonly runAs: RunAs;
  readonly signal: AbortSignal | undefined;
}

/** initdb takes 1 s on two cores; a small board with a slow card was guessed to need a minute. */
const COMPLETION_TIMEOUT_MILLIS = 120_000;
/** The output is in our pipe already; this bounds the wait for a grandchild that would keep it open. */
const OUTPUT_WAIT_MILLIS = 1_000;
/** The end of the output is where the error is. */
const OUTPUT_CHARACTERS_MAX = 4_096;

export async function runToCompletion(options: CompletionOptions): Promise<CommandResult> {
  const supervised = runSupervised({
    file: options.file,
    arguments: options.arguments,
    runAs: options.runAs,
    output: 'pipe',
  });
  const { stdin, stdout, stderr } = supervised.child;
  let output = '';
  const collect = (chunk: Buffer): void => {
    output = (output + chunk.toString('utf8')).slice(-OUTPUT_CHARACTERS_MAX);
  };
  stdout?.on('data', collect);
  stderr?.on('data', collect);
  // A program that ends before it read its input says why in its output.
  stdin?.on('error', () => undefined);
  stdin?.end(options.input ?? '');
  const stop = (): void => supervised.stop();
  // The program's exit may be reported before the last of its output.
  const closed = once(supervised.child, 'close').catch(() => undefined);
  const timer = setTimeout(stop, COMPLETION_TIMEOUT_MILLIS);
  options.signal?.addEventListener('abort', stop, { once: true });
  try {
    const exit = await supervised.exited;
    supervised.stop();
    await Promise.race([closed, delay(OUTPUT_WAIT_MILLIS, undefined, { ref: false })]);
    return exit.code === 0
      ? { kind: 'succeeded', output }
      : { kind: 'failed', reason: `${output.trim()} (exit ${exit.code ?? exit.signal})` };
  } catch (error) {
    return { kind: 'failed', reason: describeError(error) };
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', stop);
  }
}
