/** Whether colours are wanted: what was said for this command, then for this user, then what the stream is. */
import type { Environment } from './environment.ts';

interface ColourQuestion {
  /** false: --no-color. */
  readonly flag: boolean | undefined;
  readonly env: Environment;
  readonly isTTY: boolean;
}

export function wantsColours({ flag, env, isTTY }: ColourQuestion): boolean {
  if (flag === false) return false;
  const forced = env['FORCE_COLOR'];
  if (forced === '0' || forced === 'false') return false;
  // https://no-color.org: any value but the empty one.
  if (env['NO_COLOR']) return false;
  if (forced) return true;
  return isTTY && env['TERM'] !== 'dumb';
}
