/**
 * What a person can do about an entry of the inbox, in the order that the server gives. Pure. The server names verbs; here they become what
 * this page can do: an action of the task, a verb of its lane or of the board, a box for a message, a command to be typed elsewhere.
 */
import type { Rights } from '../session/session.ts';
import { TASK_ACTIONS, type TaskAction } from '../task/actions.ts';
import type { AttentionEntry } from './attention-words.ts';

export type Remedy =
  | { readonly type: 'task'; readonly action: TaskAction }
  | { readonly type: 'steer' }
  | { readonly type: 'resume_lane'; readonly lane: string }
  | { readonly type: 'register_lane'; readonly lane: string }
  | { readonly type: 'resume_board' }
  /** Its tasks, on the board, to be given to another lane. */
  | { readonly type: 'tasks_of_lane'; readonly lane: string }
  | { readonly type: 'command'; readonly command: string };

export interface Surroundings {
  readonly may: Rights;
  readonly isBoardPaused: boolean;
  /** Of the lane that it is about, as far as it is known. */
  readonly isLaneHalted: boolean | undefined;
}

type Action = AttentionEntry['actions'][number];

export function remediesOf(entry: AttentionEntry, around: Surroundings): readonly Remedy[] {
  if (!around.may.operate) return [];
  return entry.actions.flatMap((action) => remedyOf(action, entry, around));
}

function remedyOf(name: Action, entry: AttentionEntry, around: Surroundings): readonly Remedy[] {
  const { task } = entry;
  const lane = entry.lane ?? task?.lane ?? null;
  switch (name) {
    case 'steer':
      return task === undefined ? [] : [{ type: 'steer' }];
    case 'register':
      return lane === null ? [] : [{ type: 'register_lane', lane }];
    case 'resume':
      return resumesOf(lane, around);
    case 'work':
      return lane === null ? [] : [{ type: 'command', command: `lanekeeper work ${lane} -- ./your-command` }];
    case 'dispatch':
      return lane === null ? [] : [{ type: 'command', command: `lanekeeper dispatch --lane ${lane}` }];
    default:
      break;
  }
  if (task === undefined) return name === 'assign' && lane !== null ? [{ type: 'tasks_of_lane', lane }] : [];
  const action = TASK_ACTIONS.find((each) => each.name === name);
  const isPossible = action?.from.includes(task.status) === true && around.may[action.right];
  return action !== undefined && isPossible ? [{ type: 'task', action }] : [];
}

/** The server says that something is paused or draining, and its detail says which; both may be. */
function resumesOf(
  lane: string | null,
  { may, isBoardPaused, isLaneHalted }: Surroundings,
): readonly Remedy[] {
  const isLane = lane !== null && isLaneHalted !== false && !(isBoardPaused && isLaneHalted === undefined);
  return [
    ...(isBoardPaused && may.administer ? [{ type: 'resume_board' } as const] : []),
    ...(isLane ? [{ type: 'resume_lane', lane } as const] : []),
  ];
}
