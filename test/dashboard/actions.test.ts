/** The dashboard offers an action exactly where the server allows its verb, and to whom it allows it. */
import { describe, expect, test } from 'vitest';
import { bulkTasks } from '../../src/contract/bulk.ts';
import { TASK_STATUSES, type TaskStatus } from '../../src/contract/statuses.ts';
import { rightsOf } from '../../src/dashboard/session/session.ts';
import {
  actionOfDrop,
  actionsFor,
  TASK_ACTIONS,
  type TaskActionName,
} from '../../src/dashboard/task/actions.ts';
import { TRANSITIONS, type Verb } from '../../src/server/features/tasks/state/transitions.ts';

const ADMIN = rightsOf('admin');

const VERBS: Readonly<Record<Exclude<TaskActionName, 'delete'>, Verb>> = {
  promote: 'promote',
  unblock: 'unblock',
  accept: 'accept',
  'request-changes': 'request_changes',
  complete: 'operator_complete',
  reclaim: 'reclaim',
  assign: 'assign',
  schedule: 'schedule',
  reopen: 'reopen',
  archive: 'archive',
  cancel: 'cancel',
};

/** Where the verb leads from this status; null: the server refuses the action there. */
function exitsOf(name: TaskActionName, from: TaskStatus): readonly TaskStatus[] | null {
  // No transition: a task that somebody works on is not deleted (deletion.ts), any other is.
  if (name === 'delete') return from === 'running' ? null : [];
  // While it runs, it is the reviewer's own run that requests changes.
  if (name === 'request-changes' && from === 'running') return null;
  return TRANSITIONS[from][VERBS[name]] ?? null;
}

describe('an action is offered exactly where the server allows its verb', () => {
  for (const from of TASK_STATUSES)
    test(from, () => {
      const offered = actionsFor(from, ADMIN).map(({ name }) => name);
      const allowed = TASK_ACTIONS.map(({ name }) => name).filter((name) => exitsOf(name, from) !== null);
      expect(offered).toEqual(allowed);
    });
});

test('every action is there once', () => {
  const names = TASK_ACTIONS.map(({ name }) => name);
  expect(names.toSorted()).toEqual([...Object.keys(VERBS), 'delete'].toSorted());
});

describe('a card that is dropped on a column', () => {
  for (const from of TASK_STATUSES)
    test(`${from}: asks for what may lead there, and is refused elsewhere`, () => {
      for (const to of TASK_STATUSES) {
        const action = actionOfDrop(from, to, ADMIN);
        if (action !== undefined) expect(exitsOf(action.name, from), `${from} to ${to}`).toContain(to);
      }
    });

  test('stays where it is on its own column', () => {
    for (const status of TASK_STATUSES) expect(actionOfDrop(status, status, ADMIN)).toBeUndefined();
  });
});

test('every action of the API for many tasks is offered, each once', () => {
  const offered = TASK_ACTIONS.flatMap(({ bulk }) => (bulk === undefined ? [] : [bulk]));
  expect(offered.toSorted()).toEqual(bulkTasks.body.shape.action.options.toSorted());
});

test('what destroys or cannot be taken back is asked about first', () => {
  const unasked = TASK_ACTIONS.filter(
    ({ isDestructive, question }) => isDestructive && question === undefined,
  );
  expect(unasked).toEqual([]);
});

test('an observer and a lane are offered nothing, an orchestrator all but deleting', () => {
  for (const status of TASK_STATUSES) {
    expect(actionsFor(status, rightsOf('observer'))).toEqual([]);
    expect(actionsFor(status, rightsOf('lane'))).toEqual([]);
    const offered = actionsFor(status, rightsOf('orchestrator')).map(({ name }) => name);
    const all = actionsFor(status, ADMIN).map(({ name }) => name);
    expect(offered).toEqual(all.filter((name) => name !== 'delete'));
  }
});
