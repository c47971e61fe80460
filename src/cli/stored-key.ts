/** The key that is about to be stored with a profile: from the flags, from stdin, or typed without being shown. */
import type { Context } from './context.ts';
import { UsageError } from './exit-codes.ts';
import { readHidden } from './read-hidden.ts';
import { tokenReaderOf } from './settings.ts';

export async function readKey(context: Context, url: string): Promise<string> {
  const { flags, system } = context;
  const read = tokenReaderOf(flags, context.settingsContext());
  if (read === undefined && system.stdin().isTTY) {
    const typed = await readHidden(`Key for ${url} (not shown): `, system.stdin(), system.stderr);
    if (typed === '') throw new UsageError('No key was given');
    return typed;
  }
  const fromStdin = tokenReaderOf({ token: '-' }, context.settingsContext());
  const key = await (read ?? fromStdin)?.();
  if (key === undefined) throw new UsageError('No key was given');
  return key;
}
