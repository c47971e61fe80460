import { expect, test } from 'vitest';
import type { ProblemCode } from '../../../src/contract/problems.ts';
import { ProblemError } from '../../../src/server/kernel/problem-error.ts';
import { logProblem } from '../../../src/server/observability/logger.ts';

test.each<[ProblemCode, string]>([
  ['internal', 'error'],
  ['database_unavailable', 'error'],
  ['draining', 'debug'],
  ['not_found', 'debug'],
])('a request that is answered %s is a line at level %s', (code, level) => {
  const lines: [string, unknown, unknown][] = [];
  const logger = {
    debug: (line: unknown, text: unknown) => lines.push(['debug', line, text]),
    error: (line: unknown, text: unknown) => lines.push(['error', line, text]),
  };
  const problem = new ProblemError(code, 'Not for the log alone.', { cause: new Error('the reason') });
  logProblem(logger as never, problem, { requestId: 'r1', route: 'getTask' });
  const line = { requestId: 'r1', route: 'getTask', code };
  expect(lines).toEqual([
    level === 'error'
      ? ['error', { ...line, error: expect.objectContaining({ message: 'the reason' }) }, 'request failed']
      : ['debug', line, 'request refused'],
  ]);
});
