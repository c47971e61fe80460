/** Whether a command is there, before a task is given to it: one that is not would fail task after task. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join, resolve, sep } from 'node:path';

export interface Surroundings {
  readonly path: string | undefined;
  readonly cwd: string;
}

export function isRunnable(command: string, { path, cwd }: Surroundings): boolean {
  // Windows finds commands in ways of its own; there it is tried.
  if (process.platform === 'win32') return true;
  const candidates = command.includes(sep)
    ? [resolve(cwd, command)]
    : (path ?? '').split(delimiter).map((directory) => join(directory, command));
  return candidates.some(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
