/** An example that runs beside a server, as its first lines say how to start it. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from '../fixtures/server-process.ts';

const EXAMPLES = join(ROOT, 'examples');

export interface ExampleProcess {
  readonly output: () => string;
  /** Resolves to its exit code, or to the signal that has ended it. */
  end(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals | null>;
}

/** `argv`: a program, and a file of examples/ with its arguments. */
export function startExample(
  [program, file, ...args]: readonly [string, string, ...string[]],
  env: Readonly<Record<string, string>>,
): ExampleProcess {
  const child = spawn(program, [join(EXAMPLES, file), ...args], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  // A machine without the program: what waits for its work fails, and this says why.
  child.once('error', (error) => {
    output += String(error);
  });
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += String(chunk);
    });
  const exited = new Promise<number | NodeJS.Signals | null>((resolve) => {
    child.once('error', () => resolve(null));
    child.once('exit', (code, name) => {
      output += `[ended with ${code ?? name}]\n`;
      resolve(code ?? name);
    });
  });
  return {
    output: () => output,
    end: (signal = 'SIGTERM') => {
      child.kill(signal);
      return exited;
    },
  };
}
