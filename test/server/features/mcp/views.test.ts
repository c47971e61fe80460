/** Lists of tasks lose words before they lose tasks, and keep what the tools declare of them. */
import { expect, test } from 'vitest';
import { z } from 'zod';
import type { Task } from '../../../../src/contract/tasks.ts';
import { jsonBytes } from '../../../../src/server/features/mcp/results.ts';
import { TaskLine, TaskMark, taskLinesOf, taskMarksOf } from '../../../../src/server/features/mcp/views.ts';

/** The longest of everything that a line says. */
const taskOf = (index: number): Task =>
  ({
    id: `task_${String(index).padStart(26, '0')}`,
    title: '語'.repeat(500),
    status: 'scheduled',
    lane: 'l'.repeat(64),
    priority: -1000,
    attempt: 1000,
    updated_at: '2026-01-01T00:00:00.000Z',
    claim: { run_id: `run_${'0'.repeat(26)}`, worker: 'w'.repeat(255) },
    blocked: { kind: 'needs_input', reason: '語'.repeat(4000) },
    unmet_parents: 100,
    summary: '\u0001'.repeat(4000),
    delegation_id: `deleg_${'0'.repeat(26)}`,
  }) as Task;

const tasksOf = (count: number) => Array.from({ length: count }, (_, index) => taskOf(index));

test.each([
  [20_000, 3],
  [20_000, 50],
  [20_000, 100],
  [11_500, 100],
])('in %d bytes all of %d tasks have a line', (bytesMax, count) => {
  const tasks = tasksOf(count);
  for (const document of [taskLinesOf(tasks, bytesMax), taskMarksOf(tasks, bytesMax)]) {
    expect(jsonBytes(document)).toBeLessThanOrEqual(bytesMax);
    const lines = z.array(TaskMark).parse(document['tasks']);
    expect(lines.map(({ id }) => id)).toEqual(tasks.map(({ id }) => id));
  }
});

test('a few have all of it, and it is said where words were left out', () => {
  const few = taskLinesOf(tasksOf(3), 20_000);
  expect(z.array(TaskLine).safeParse(few['tasks']).success).toBe(true);
  expect(few['truncated']).toBeUndefined();
  expect(taskLinesOf(tasksOf(100), 20_000)['truncated']).toBe(true);
});
