/**
 * Work under review may be given to a lane that has never reviewed: the lane is marked, so that claims look for reviews there. Before any
 * task is locked, because lanes come first; so the tasks are looked at twice, and one that was handed over in between is a race.
 */
import type { Tx } from '../../db/client.ts';
import type { Uuid } from '../../kernel/ids.ts';
import { markReviewers } from '../lanes/service.ts';
import { isAnyUnderReview } from './store/read.ts';

export interface ReviewerMark {
  /** Work of one of the tasks is under review, so claims look for reviews in the lane. */
  readonly isMarked: boolean;
  /** They did not before: whoever marked it raises the version of the configuration. */
  readonly isNew: boolean;
}

/** For what is taken back anyway. */
export const MARKED: ReviewerMark = { isMarked: true, isNew: false };
const UNMARKED: ReviewerMark = { isMarked: false, isNew: false };

/** @param lane null: people. */
export async function markReviewerOf(
  tx: Tx,
  boardId: number,
  taskIds: readonly Uuid[],
  lane: string | null,
): Promise<ReviewerMark> {
  if (lane === null || !(await isAnyUnderReview(tx, boardId, taskIds))) return UNMARKED;
  return { isMarked: true, isNew: await markReviewers(tx, boardId, [lane]) };
}
