/** What helps against each reason for which a task is not running. Data; the panel draws it. */
import type { ReplyOf } from '../../client/index.ts';
import type { TaskActionName } from './actions.ts';

export type WhyReason = ReplyOf<'getWhy'>['reasons'][number];
export type WhyCode = WhyReason['code'];

interface WhyHelp {
  readonly label: string;
  /** Where to go. `queue`: the board with what is waiting for the same lane. */
  readonly goTo?: 'lane' | 'queue' | 'parents';
  /** What to do here; only what its status allows is offered. */
  readonly actions?: readonly TaskActionName[];
  readonly isBoardResumed?: true;
}

export const WHY_HELP: Readonly<Record<WhyCode, WhyHelp>> = {
  board_paused: { label: 'The board is paused', isBoardResumed: true },
  lane_unknown: { label: 'Its lane is not registered', goTo: 'lane', actions: ['assign'] },
  lane_offline: { label: 'Nobody works on its lane', goTo: 'lane', actions: ['assign'] },
  lane_paused: { label: 'Its lane is paused', goTo: 'lane' },
  lane_draining: { label: 'Its lane is draining', goTo: 'lane', actions: ['assign'] },
  lane_at_capacity: { label: 'Its lane is full', goTo: 'lane', actions: ['assign'] },
  lane_mutations_none: { label: 'Its lane may not claim', goTo: 'lane', actions: ['assign'] },
  lane_human: { label: 'People do it', actions: ['complete'] },
  unassigned: { label: 'It has no lane', actions: ['assign'] },
  waiting_for_parents: { label: 'It waits for other tasks', goTo: 'parents' },
  parent_cancelled: { label: 'What it waits for will not be done', goTo: 'parents' },
  scheduled: { label: 'It is scheduled', actions: ['promote', 'schedule'] },
  cooling_down: { label: 'It cools down after a failure', actions: ['promote'] },
  blocked: { label: 'It is blocked', actions: ['unblock'] },
  in_triage: { label: 'It is in triage', actions: ['promote'] },
  in_review: { label: 'Its work waits for review', actions: ['accept', 'request-changes'] },
  behind: { label: 'Others come first', goTo: 'queue' },
  claimable: { label: 'It can be claimed at any moment', goTo: 'lane' },
  finished: { label: 'It is finished', actions: ['reopen'] },
};
