/** Which errors a client may simply repeat, and which are a bug of the server. */
import { describe, expect, test } from 'vitest';
import { BoardGoneError, RaceError } from '../../../src/server/db/failures.ts';
import { asProblem } from '../../../src/server/http/on-error.ts';

const withCode = (code: string, more: Record<string, string> = {}): Error =>
  Object.assign(new Error('of the database'), { code, ...more });

describe('asProblem', () => {
  test.each([
    ['a lock that was not to be had', withCode('55P03')],
    ['a deadlock', withCode('40P01')],
    ['a serialization failure', withCode('40001')],
    ['two transactions that met', new RaceError('met')],
    ['a decision that kept getting stale', withCode('23502', { table_name: 'events', column_name: 'seq' })],
  ])('%s was rolled back whole: 503, to be tried again', (_, error) => {
    const problem = asProblem(error);
    expect(problem.code).toBe('database_unavailable');
    expect(problem.status).toBe(503);
    expect(problem.headers['Retry-After']).toBe('1');
    expect(problem.message).not.toContain('of the database');
  });

  test('a database that is away is told apart only by its words', () => {
    expect(asProblem(withCode('ECONNREFUSED')).headers['Retry-After']).toBe('2');
  });

  test('a board that went meanwhile is not found', () => {
    expect(asProblem(new BoardGoneError('gone')).code).toBe('not_found');
  });

  test('any other violation is a bug, and says nothing of itself', () => {
    const problem = asProblem(withCode('23502', { table_name: 'tasks', column_name: 'title' }));
    expect(problem.code).toBe('internal');
    expect(problem.message).not.toContain('of the database');
  });
});
