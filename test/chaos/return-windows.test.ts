import { expect, test } from 'vitest';
import type { HistoryEntry, LeaseOperation, Operation } from '../../chaos/history.ts';
import { countReturnWindows } from '../../chaos/return-windows.ts';
import { operationsOn, present, type Returns, recordReturns, rowOf } from './recorded-returns.ts';

const NONE = {
  gatewaysKilledWhileHolding: 0,
  childrenEndingAtOnce: 0,
  refusedForCapacity: 1,
  decidedByDeadline: 0,
  cancelledAsTheyEnded: 0,
  lapsedDeliveries: 1,
  repliesThatFailed: 0,
};

const count = ({ operations, final }: Returns, others: readonly HistoryEntry[] = []) =>
  countReturnWindows([...operations, ...others] as HistoryEntry[], final);

const completion = (taskId: string, invokedAt: number): Operation => ({
  entry: 'operation',
  kind: 'complete',
  process: 'worker-1.1',
  taskId,
  runId: `run of ${taskId}`,
  attempt: 1,
  invokedAt,
  endedAt: invokedAt + 20,
  ending: 'ok',
});

function complete({ final }: Returns, taskId: string): void {
  const at = final.readAt;
  final.runs.push({
    id: `run of ${taskId}`,
    taskId,
    attempt: 1,
    outcome: 'completed',
    startedAt: at,
    endedAt: at,
  });
}

test('a day on which nothing met counts what was refused and what was given out twice, and no more', () => {
  expect(count(recordReturns())).toEqual(NONE);
});

test('a gateway that is killed counts for what it had been given and had said nothing of', () => {
  const returns = recordReturns();
  const kill = { entry: 'fault', fault: 'kill gateway', target: 'somebody-1.1', until: 0 } as const;
  // The first lease of v1 was never answered; that of v2 was.
  const kills = [
    { ...kill, at: 20_100 },
    { ...kill, at: 26_100 },
    { ...kill, at: 25_100, target: 'somebody-else' },
  ];
  expect(count(returns, kills).gatewaysKilledWhileHolding).toBe(1);
  // It holds what it was given until the lease lapses, however long it takes to say so.
  const { endedAt = 0, leaseSeconds } = present(
    returns.operations.find((operation) => operation.kind === 'lease'),
  ) as LeaseOperation;
  const lapse = endedAt + leaseSeconds * 1000;
  const killedAt = (at: number) => count(returns, [{ ...kill, at }]).gatewaysKilledWhileHolding;
  expect([killedAt(lapse - 10), killedAt(lapse + 10)]).toEqual([1, 0]);
});

test('children of one delegation that end at once count once, and those of two do not', () => {
  const returns = recordReturns();
  for (const id of ['t1', 't2', 't3']) complete(returns, id);
  const together = [completion('t1', 8000), completion('t2', 8010)];
  expect(count(returns, together).childrenEndingAtOnce).toBe(1);
  expect(count(returns, [completion('t1', 8000), completion('t3', 8010)]).childrenEndingAtOnce).toBe(0);
});

test('a cancel counts that was under way when a child ended and the delegation was decided', () => {
  const returns = recordReturns();
  complete(returns, 't3');
  const cancel = present(operationsOn(returns, 'cancel_delegation')[0]);
  Object.assign(cancel, { invokedAt: 15_995, endedAt: 16_010 });
  expect(count(returns, [completion('t3', 16_005)]).cancelledAsTheyEnded).toBe(1);
  expect(count(returns, [completion('t3', 17_000)]).cancelledAsTheyEnded).toBe(0);
});

test('deadlines and replies that failed are counted from what the database says', () => {
  const returns = recordReturns();
  present(returns.final.events.find(({ kind }) => kind === 'delegation.completed')).data['reason'] =
    'deadline';
  Object.assign(rowOf(returns, 'deliveries', 'v1'), {
    isFallback: true,
    hasReply: true,
  });
  expect(count(returns)).toEqual({ ...NONE, decidedByDeadline: 1, repliesThatFailed: 1 });
});
