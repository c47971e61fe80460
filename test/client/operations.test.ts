import { describe, expect, test } from 'vitest';
import type { Operation } from '../../src/client/operations.ts';
import { OPERATIONS, repetitionOf } from '../../src/client/operations.ts';
import { ROUTES } from '../../src/contract/routes.ts';

describe('the operation table', () => {
  test('has exactly the routes of the contract, with their methods, paths and flags', () => {
    const fromRoutes = ROUTES.map((route) => ({
      id: route.operationId,
      method: route.method,
      path: route.path,
      isIdempotent: route.isIdempotent ?? false,
      isWaitable: route.isWaitable ?? false,
    }));
    const fromTable = Object.entries(OPERATIONS as Record<string, Operation>).map(([id, operation]) => ({
      id,
      method: operation.method,
      path: operation.path,
      isIdempotent: operation.isIdempotent ?? false,
      isWaitable: operation.isWaitable ?? false,
    }));
    const byId = (a: { id: string }, b: { id: string }) => a.id.localeCompare(b.id);
    expect(fromTable.sort(byId)).toEqual(fromRoutes.sort(byId));
  });

  test('repeats freely only what cannot take effect twice', () => {
    const free = Object.entries(OPERATIONS as Record<string, Operation>)
      .filter(([, operation]) => operation.method === 'post' && repetitionOf(operation) === 'free')
      .map(([id]) => id);
    expect(free.sort()).toEqual([
      'ackDelivery',
      'acknowledgeMessages',
      'batchRuns',
      'blockRun',
      'cancelDelegation',
      'cancelDelegations',
      'cancelOperation',
      'completeRun',
      'failRun',
      'heartbeatRun',
      'importTasks',
      'releaseRun',
      'requestRunChanges',
      'retryDelivery',
    ]);
    expect(repetitionOf(OPERATIONS.patchTask)).toBe('never');
    expect(repetitionOf(OPERATIONS.cancelTask)).toBe('never');
    expect(repetitionOf(OPERATIONS.createTask)).toBe('with-key');
  });
});
