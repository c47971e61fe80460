import { describe, expect, test } from 'vitest';
import { TASK_STATUSES, type TaskStatus } from '../../../../src/contract/statuses.ts';
import {
  mayMove,
  TRANSITIONS,
  VERBS,
  type Verb,
} from '../../../../src/server/features/tasks/state/transitions.ts';

/** The whole table, written out: a new status or verb does not compile until its cell is decided here. '' is: never. */
const TABLE: Readonly<Record<Verb, Readonly<Record<TaskStatus, string>>>> = {
  claim: { ...never(), ready: 'running', review: 'running' },
  complete: { ...never(), running: 'done review' },
  block: { ...never(), running: 'blocked todo ready triage cancelled' },
  release: { ...never(), running: 'ready todo scheduled review cancelled' },
  fail: { ...never(), running: 'scheduled blocked cancelled' },
  crash: { ...never(), running: 'scheduled blocked review cancelled' },
  time_out: { ...never(), running: 'scheduled blocked cancelled' },
  reclaim: { ...never(), running: 'ready todo review cancelled' },
  cancel: {
    triage: 'cancelled',
    todo: 'cancelled',
    scheduled: 'cancelled',
    ready: 'cancelled',
    running: 'running cancelled',
    blocked: 'cancelled',
    review: 'cancelled',
    done: '',
    cancelled: '',
    archived: '',
  },
  wake: { ...never(), todo: 'ready scheduled', scheduled: 'ready todo review' },
  park: { ...never(), ready: 'todo' },
  promote: { ...never(), triage: 'ready todo review', scheduled: 'ready todo review' },
  schedule: {
    ...never(),
    triage: 'scheduled',
    todo: 'scheduled',
    scheduled: 'scheduled',
    ready: 'scheduled',
    blocked: 'scheduled',
  },
  unblock: { ...never(), blocked: 'ready todo review' },
  assign: {
    triage: 'triage',
    todo: 'todo',
    scheduled: 'scheduled',
    ready: 'ready',
    running: '',
    blocked: 'blocked',
    review: 'review',
    done: '',
    cancelled: '',
    archived: '',
  },
  operator_complete: {
    triage: 'done',
    todo: 'done',
    scheduled: 'done',
    ready: 'done',
    running: '',
    blocked: 'done',
    review: 'done',
    done: '',
    cancelled: '',
    archived: '',
  },
  archive: {
    triage: 'archived',
    todo: 'archived',
    scheduled: 'archived',
    ready: 'archived',
    running: '',
    blocked: 'archived',
    review: 'archived',
    done: 'archived',
    cancelled: 'archived',
    archived: '',
  },
  reopen: { ...never(), done: 'ready todo', cancelled: 'ready todo', archived: 'ready todo' },
  accept: { ...never(), review: 'done' },
  request_changes: { ...never(), running: 'ready todo cancelled', review: 'ready todo' },
};

function never(): Record<TaskStatus, string> {
  return {
    triage: '',
    todo: '',
    scheduled: '',
    ready: '',
    running: '',
    blocked: '',
    review: '',
    done: '',
    cancelled: '',
    archived: '',
  };
}

describe('the table of transitions', () => {
  const cells = VERBS.flatMap((verb) => TASK_STATUSES.map((from) => [verb, from] as const));

  test.each(cells)('%s of a task that is %s leads where the domain says, and nowhere else', (verb, from) => {
    const reached = TASK_STATUSES.filter((to) => mayMove(from, verb, to));
    expect(reached.sort()).toEqual(TABLE[verb][from].split(' ').filter(Boolean).sort());
  });

  test('leaves no status without an exit', () => {
    const stuck = TASK_STATUSES.filter((from) =>
      Object.values(TRANSITIONS[from]).every((targets) => targets?.every((to) => to === from)),
    );
    expect(stuck).toEqual([]);
  });

  test('leads from every status to done, or back to ready and from there to done', () => {
    const reachable = (start: TaskStatus): Set<TaskStatus> => {
      const seen = new Set<TaskStatus>([start]);
      for (const from of seen)
        for (const targets of Object.values(TRANSITIONS[from])) for (const to of targets ?? []) seen.add(to);
      return seen;
    };
    for (const start of TASK_STATUSES) expect(reachable(start), start).toContain('done');
  });

  test('lets only a claim make a task running, and only the running table end it', () => {
    for (const verb of VERBS)
      for (const from of TASK_STATUSES)
        if (mayMove(from, verb, 'running')) expect([verb, from]).toSatisfy(isClaimOrCancelRequest);
  });
});

function isClaimOrCancelRequest([verb, from]: readonly [Verb, TaskStatus]): boolean {
  return verb === 'claim' ? from === 'ready' || from === 'review' : verb === 'cancel' && from === 'running';
}
