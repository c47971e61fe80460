import { describe, expect, test } from 'vitest';
import { ROUTES } from '../../../../src/contract/routes.ts';
import { authorise, PERMISSIONS } from '../../../../src/server/features/auth/permissions.ts';
import { ORCHESTRATOR } from '../../../fixtures/principals.ts';

describe('the permission table', () => {
  test('has a line for every route, the watch and MCP, and for nothing else', () => {
    const operations = [...ROUTES.map(({ operationId }) => operationId), 'watch', 'mcpMessages'];
    expect(Object.keys(PERMISSIONS).toSorted()).toEqual(operations.toSorted());
  });

  test('lets nobody do what it does not name', () => {
    const admin = { ...ORCHESTRATOR, role: 'admin' } as const;
    expect(() => authorise(admin, 'dropEverything', {})).toThrow('not in the permission table');
  });
});
