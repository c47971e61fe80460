/** A delegation as it is typed, and as it is asked for. Pure. */
import type { BodyOf } from '../../client/index.ts';

type Body = BodyOf<'createDelegation'>;

export interface DelegateDraft {
  readonly goal: string;
  readonly context: string;
  /** "lane: title", each on a line of its own. */
  readonly tasks: string;
  /** "all" or "any". */
  readonly join: string;
}

/** As the names of lanes are; a colon later in the line belongs to the title. */
const LANE_AND_TITLE = /^([a-z0-9][a-z0-9._-]*)\s*:\s*(\S.*)$/;

/** Throws what is wrong in words for whoever typed it. */
export function delegationOf({ goal, context, tasks, join }: DelegateDraft): Body {
  const lines = tasks
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  if (lines.length === 0) throw new TypeError('Name at least one task, as “lane: title”.');
  return {
    tasks: lines.map((line) => {
      const [, lane, title] = LANE_AND_TITLE.exec(line) ?? [];
      if (lane === undefined || title === undefined)
        throw new TypeError(`“${line}” names no lane: write “lane: title”.`);
      return { lane, title };
    }),
    join: join === 'any' ? 'any' : 'all',
    ...(goal.trim() === '' ? {} : { goal: goal.trim() }),
    ...(context.trim() === '' ? {} : { context }),
  };
}
