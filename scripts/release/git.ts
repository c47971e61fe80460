/** What git says in a checkout, but for the blanks around it. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** Throws with what git complains of where it refuses. */
export async function git(checkout: string, ...words: readonly string[]): Promise<string> {
  return (await promisify(execFile)('git', [...words], { cwd: checkout })).stdout.trim();
}
