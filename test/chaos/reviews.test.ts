import { describe, expect, it } from 'vitest';
import { checkReviews } from '../../chaos/checkers/reviews.ts';
import type { Operation } from '../../chaos/history.ts';
import { detailsOf } from './recorded-day.ts';
import { SmallBoard } from './small-board.ts';
import { type Held, LANE, type Recording } from './small-board-words.ts';

function present<T>(value: T | null | undefined): T {
  if (value === null || value === undefined) throw new Error('the board has it');
  return value;
}

/** Work that one does and hands over, and that another one is given to review, who does with it what the test wants. */
function recordReview(
  decide: (board: SmallBoard, review: Held) => void,
  reviewer: string | null = LANE,
): Recording {
  const board = new SmallBoard();
  board.handOver(present(board.claimNew('worker-1.1', 'work')), reviewer);
  if (reviewer !== null) decide(board, present(board.claim('worker-2.1')));
  return board.finish();
}

const approved = (): Recording => recordReview((board, review) => board.end(review, 'complete'));
const crashed = (): Recording => recordReview((board, review) => board.reap(review));
const sentBack = (): Recording => recordReview((board, review) => board.end(review, 'request_changes'));
/** By a worker that fails, and by the next one after the pause. */
const pausedFor = (): Recording =>
  recordReview((board, review) => {
    board.end(review, 'fail');
    board.pass(60_000);
    board.wakeDue();
    board.end(present(board.claim('worker-3.1')), 'complete');
  });
const forPeople = (): Recording => recordReview(() => undefined, null);

type LogEvent = Recording['final']['events'][number];

const lastOf = ({ final }: Recording, kind: string): LogEvent =>
  present(final.events.filter((event) => event.kind === kind).at(-1));

const check = ({ entries, final }: Recording): string[] => {
  const operations = entries.filter((entry) => entry.entry === 'operation') as Operation[];
  return detailsOf(checkReviews(operations, final));
};

const FORGERIES: readonly (readonly [
  what: string,
  detail: string,
  Recording,
  (recording: Recording) => void,
])[] = [
  [
    'a worker that was given his own work, by what he says himself',
    'a worker was given his own work to review',
    approved(),
    ({ entries }) => {
      for (const entry of entries)
        if (entry.entry === 'operation' && entry.kind === 'claim') entry.worker = 'worker-1.1';
    },
  ],
  [
    'a worker that was given his own work, by the log',
    'a worker was given his own work to review',
    approved(),
    (recording) => {
      recording.entries = [];
      lastOf(recording, 'task.claimed').worker = 'worker-1.1';
    },
  ],
  [
    'a lane that was not asked to review',
    'a review was claimed by a lane that was not asked',
    approved(),
    (recording) => {
      lastOf(recording, 'task.claimed').lane = 'other';
    },
  ],
  [
    'a review of work that waits for people',
    'a review was claimed by a lane that was not asked',
    approved(),
    (recording) => {
      lastOf(recording, 'task.review_requested').data['reviewer'] = null;
    },
  ],
  [
    'a crashed reviewer whose task became ready for its old lane',
    'a review without a verdict did not go back to review',
    crashed(),
    (recording) => {
      lastOf(recording, 'task.crashed').data['status_after'] = 'ready';
    },
  ],
  [
    'a crashed reviewer whose task waits as if the work had failed',
    'a review without a verdict did not go back to review',
    crashed(),
    (recording) => {
      lastOf(recording, 'task.crashed').data['status_after'] = 'scheduled';
    },
  ],
  [
    'a reviewer that failed and whose review could be claimed again at once',
    'a review without a verdict did not go back to review',
    pausedFor(),
    (recording) => {
      lastOf(recording, 'task.failed').data['status_after'] = 'review';
    },
  ],
  [
    'changes that were requested by who did the work',
    'changes were requested by somebody who did not review',
    sentBack(),
    (recording) => {
      lastOf(recording, 'task.claimed').data['status_before'] = 'ready';
    },
  ],
  [
    'work that was handed over and done again without a verdict',
    'work that was handed over was given to be done again',
    approved(),
    (recording) => {
      lastOf(recording, 'task.claimed').data['status_before'] = 'ready';
    },
  ],
  [
    'a task in review that nobody handed over',
    'a review was claimed of what was not handed over',
    approved(),
    (recording) => {
      const { events } = recording.final;
      events.splice(events.indexOf(lastOf(recording, 'task.review_requested')), 1);
    },
  ],
  [
    'a row that names another reviewer',
    'a review is not what the log says',
    forPeople(),
    ({ final }) => {
      for (const task of final.tasks) task.reviewer = 'other';
    },
  ],
  [
    'a row that names another lane as the one that did the work',
    'a review is not what the log says',
    crashed(),
    ({ final }) => {
      for (const task of final.tasks) task.implementerLane = 'other';
    },
  ],
  [
    'a row that names nobody who did the work',
    'a review is not what the log says',
    crashed(),
    ({ final }) => {
      for (const task of final.tasks) task.implementerWorker = null;
    },
  ],
];

describe('nobody reviews his own work', () => {
  it.each([approved, crashed, sentBack, pausedFor, forPeople])(
    'finds nothing in a review that keeps the rules: %o',
    (record) => {
      expect(check(record())).toEqual([]);
    },
  );

  it.each(FORGERIES)('finds %s', (_, detail, recording, change) => {
    change(recording);
    expect(check(recording)).toContain(detail);
  });

  it('takes the same name on another lane for another worker', () => {
    const recording = approved();
    recording.entries = [];
    Object.assign(lastOf(recording, 'task.claimed'), { worker: 'worker-1.1', lane: 'other' });
    lastOf(recording, 'task.review_requested').data['reviewer'] = 'other';
    expect(check(recording)).toEqual([]);
  });

  it('lets a worker review once who had no part in it, and be claimed for again after a crash', () => {
    const recording = recordReview((board, review) => {
      board.reap(review);
      board.end(present(board.claim('worker-3.1')), 'complete');
    });
    expect(check(recording)).toEqual([]);
  });
});
