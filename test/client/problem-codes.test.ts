import { expect, test } from 'vitest';
import { factsOfCode } from '../../src/client/problem-codes.ts';
import { PROBLEM_CODES, PROBLEMS } from '../../src/contract/problems.ts';

test('the client knows status and retryability of every problem code, and of no other', () => {
  for (const code of PROBLEM_CODES) {
    const { status, retryable } = PROBLEMS[code];
    expect(factsOfCode(code), code).toEqual({ status, retryable });
  }
  expect(factsOfCode('toString')).toBeUndefined();
});
