import { describe, expect, it } from 'vitest';
import { checkDelegations } from '../../chaos/checkers/delegations.ts';
import type { Event } from '../../src/contract/events.ts';
import { detailsOf } from './recorded-day.ts';
import {
  dropEvent,
  type ForgedReturn,
  forgeReturns,
  operationsOn,
  present,
  type Returns,
  recordReturns,
  rowOf,
} from './recorded-returns.ts';

const FORGERIES: readonly ForgedReturn[] = [
  [
    'a delegation that came back twice',
    'a delegation came back more than once',
    ({ final }) => {
      const event = present(final.events.find(({ kind }) => kind === 'delegation.completed'));
      final.events.push({ ...event, seq: 20 });
    },
  ],
  [
    'a decided one that never came back',
    'a decided delegation never came back',
    (returns) =>
      dropEvent(returns, (event) => event.kind === 'delegation.completed' && event.delegation_id === 'd1'),
  ],
  [
    'one that came back and runs on',
    'a delegation came back and runs on',
    (returns) => {
      rowOf(returns, 'delegations', 'd1').status = 'running';
    },
  ],
  [
    'a row that says something else than its completion',
    'a delegation is not what its completion says',
    (returns) => {
      rowOf(returns, 'delegations', 'd1').status = 'partial';
    },
  ],
  [
    'a verdict that the results do not give',
    'a delegation is not what its results make it',
    (returns) => {
      rowOf(returns, 'delegations', 'd1').status = 'partial';
      const event = present(returns.final.events.find(({ kind }) => kind === 'delegation.completed'));
      event.data['status'] = 'partial';
    },
  ],
  [
    'one that waited for its deadline in vain',
    'a delegation waited for its deadline though it was decided',
    ({ final }) => {
      present(final.events.find(({ kind }) => kind === 'delegation.completed')).data['reason'] = 'deadline';
    },
  ],
  [
    'results that name a child twice',
    'a completion does not name each child once, in order',
    ({ final }) => {
      const event = present(final.events.find(({ kind }) => kind === 'delegation.completed'));
      event.data['results'] = [
        { task_id: 't1', status: 'done' },
        { task_id: 't1', status: 'done' },
      ];
    },
  ],
  [
    'stored results that leave a child out',
    'the results do not name each child once, in order',
    (returns) => {
      rowOf(returns, 'delegations', 'd1').results?.pop();
    },
  ],
  [
    'a child that is told as done before it was',
    'a result has a status that its child did not',
    (returns) => dropEvent(returns, (event) => event.kind === 'task.completed' && event.task_id === 't2'),
  ],
  [
    'more that run than may',
    'a delegation was made without room for it',
    ({ final }) => {
      final.delegationCapacity = 1;
    },
  ],
  [
    'a deadline that nobody kept',
    'a deadline passed and nothing was decided',
    (returns) => {
      rowOf(returns, 'delegations', 'd3').deadlineAt = '2026-01-01T00:00:30.000Z';
    },
  ],
  [
    'one that runs on after its last child',
    'a delegation runs on whose children have ended',
    ({ final }) => {
      present(final.tasks.find(({ id }) => id === 't4')).status = 'done';
    },
  ],
  [
    'a child that was left behind',
    'a child was left behind',
    (returns) => {
      leaveBehind(returns, 'ready');
    },
  ],
  [
    'a child that its holder handed over for review, and that was left there',
    'a child was left behind',
    (returns) => {
      leaveBehind(returns, 'review', 'task.review_requested');
    },
  ],
  [
    'an acknowledged one that is gone',
    'an acknowledged delegation is not there',
    (returns) => {
      rowOf(returns, 'delegations', 'd3').goal = 'another';
    },
  ],
  [
    'one key that made two',
    'one key made several delegations',
    (returns) => {
      rowOf(returns, 'delegations', 'd2').goal = 'k1';
    },
  ],
  [
    'a refusal that had an effect',
    'a refused delegation was made',
    (returns) => {
      for (const operation of operationsOn(returns, 'delegate')) operation.ending = 'fail';
    },
  ],
  [
    'one that was collected as something else',
    'a decided delegation became another',
    (returns) => {
      present(operationsOn(returns, 'collect')[1]).status = 'failed';
    },
  ],
  [
    'one that outlived the stop of its session',
    'a delegation outlived the stop of its session',
    (returns) => {
      present(operationsOn(returns, 'cancel_session')[0]).sessionId = 'a';
    },
  ],
  [
    'one that nobody made',
    'a delegation was not made by exactly one event',
    (returns) => dropEvent(returns, (event) => event.kind === 'delegation.created'),
  ],
];

/** Its delegation is decided while the child is ready or running; what it becomes after that is `status`. */
function leaveBehind(returns: Returns, status: 'ready' | 'review', kind?: Event['kind']): void {
  dropEvent(returns, (event) => event.kind === 'task.blocked' && event.task_id === 't3');
  const { final } = returns;
  const event = present(final.events.find((one) => one.kind === 'task.cancelled' && one.task_id === 't3'));
  event.data['status_after'] = kind === undefined ? status : 'running';
  if (kind !== undefined) final.events.push({ ...event, kind, seq: 20, data: { status_after: status } });
  present(final.tasks.find(({ id }) => id === 't3')).status = status;
}

describe('each delegation comes back once', () => {
  it('holds on a good day', () => {
    const { operations, final } = recordReturns();
    expect(checkDelegations(operations, final)).toEqual([]);
  });

  it('holds for a child that somebody began again after it had ended', () => {
    const { operations, final } = forgeReturns((returns) => {
      leaveBehind(returns, 'ready', 'task.released');
      const event = present(returns.final.events.at(-1));
      returns.final.events.push({ ...event, seq: 21, data: { status_after: 'cancelled' } });
      returns.final.events.push({ ...event, kind: 'task.reopened', seq: 22 });
    });
    expect(detailsOf(checkDelegations(operations, final))).not.toContain('a child was left behind');
  });

  it('holds for one that is cancelled because the deadline of the one above it is over', () => {
    const { operations, final } = forgeReturns((returns) => {
      const ends = returns.final.events.filter((event) => event.delegation_id === 'd2');
      for (const { kind, data } of ends) if (kind !== 'delegation.created') data['reason'] = 'deadline';
    });
    expect(final.events.filter(({ data }) => data['reason'] === 'deadline')).toHaveLength(2);
    expect(checkDelegations(operations, final)).toEqual([]);
  });

  it.each(FORGERIES)('finds %s', (_, detail, change) => {
    const { operations, final } = forgeReturns(change);
    expect(detailsOf(checkDelegations(operations, final))).toContain(detail);
  });
});
