import { describe, expect, test } from 'vitest';
import { claimTasks } from '../../src/contract/claims.ts';
import { LIMITS } from '../../src/contract/constants.ts';
import { putLane } from '../../src/contract/lanes.ts';
import { batchRuns, completeRun, heartbeatRun } from '../../src/contract/runs.ts';
import { createTask, createTasks, listTasks } from '../../src/contract/task-routes.ts';

const text = (length: number): string => 'x'.repeat(length);
/** A JSON string of exactly that many bytes, quotes included. */
const jsonOfBytes = (bytes: number): string => text(bytes - 2);
const task = (fields: object): object => ({ title: 'A task', ...fields });
const tasks = (count: number): object => ({ tasks: Array.from({ length: count }, () => task({})) });
const operations = (count: number): object => ({
  operations: Array.from({ length: count }, () => ({ op: 'heartbeat', token: 'token' })),
});

// The numbers of the wire contract are written out here, so that a changed constant is seen as a changed contract.
describe('limits of the wire contract', () => {
  test.each([
    ['title, shortest', createTask.body, task({ title: 'x' }), task({ title: '' })],
    ['title, longest', createTask.body, task({ title: text(500) }), task({ title: text(501) })],
    ['task body of 64 KiB', createTask.body, task({ body: text(65_536) }), task({ body: text(65_537) })],
    [
      'task body in bytes',
      createTask.body,
      task({ body: 'é'.repeat(32_768) }),
      task({ body: 'é'.repeat(32_769) }),
    ],
    [
      'payload of 256 KiB',
      createTask.body,
      task({ payload: jsonOfBytes(262_144) }),
      task({ payload: jsonOfBytes(262_145) }),
    ],
    [
      'result of 256 KiB',
      completeRun.body,
      { result: jsonOfBytes(262_144) },
      { result: jsonOfBytes(262_145) },
    ],
    [
      'metadata of 256 KiB',
      completeRun.body,
      { metadata: { a: text(262_136) } },
      { metadata: { a: text(262_137) } },
    ],
    ['priority, highest', createTask.body, task({ priority: 1_000_000 }), task({ priority: 1_000_001 })],
    ['priority, lowest', createTask.body, task({ priority: -1_000_000 }), task({ priority: -1_000_001 })],
    ['tasks of a batch', createTasks.body, tasks(1000), tasks(1001)],
    ['operations of a batch', batchRuns.body, operations(500), operations(501)],
    ['claims at once', claimTasks.body, { max: 100 }, { max: 101 }],
    ['claims, at least one', claimTasks.body, { max: 1 }, { max: 0 }],
    ['lease of a lane', putLane.body, { lease_seconds: 86_400 }, { lease_seconds: 86_401 }],
    ['lease of a heartbeat', heartbeatRun.body, { lease_seconds: 1 }, { lease_seconds: 0 }],
    ['page, largest', listTasks.query, { limit: '200' }, { limit: '201' }],
    ['page, smallest', listTasks.query, { limit: '1' }, { limit: '0' }],
  ])('%s', (_, schema, within, beyond) => {
    expect(schema.safeParse(within).error).toBeUndefined();
    expect(schema.safeParse(beyond).success).toBe(false);
  });

  test('bodies are 1 MiB, those of batches 8 MiB', () => {
    expect([LIMITS.bodyBytesMax, LIMITS.batchBodyBytesMax]).toEqual([1_048_576, 8_388_608]);
    expect([createTasks.bodyBytesMax, batchRuns.bodyBytesMax]).toEqual([8_388_608, 8_388_608]);
  });

  test('a wait is at most 60 seconds, a snapshot at most 10,000 tasks, a page 50 rows unless asked', () => {
    expect([LIMITS.waitSecondsMax, LIMITS.snapshotTasksMax, LIMITS.pageRowsDefault]).toEqual([
      60, 10_000, 50,
    ]);
  });
});
