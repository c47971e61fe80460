/** How much of its past a task may be handed over with, by how many come in one answer. */
import { describe, expect, test } from 'vitest';
import { LIMITS } from '../../../../src/contract/constants.ts';
import { handoffCapsOf, handoffOf } from '../../../../src/server/features/claims/view.ts';
import type { Uuid } from '../../../../src/server/kernel/ids.ts';

const bytesOf = (tasks: number): number => {
  const { parents, attempts, comments } = handoffCapsOf(tasks);
  return parents.bytes + attempts.bytes + comments.bytes;
};

const messages = (count: number) =>
  Array.from({ length: count }, (_, index) => ({
    task_id: '01900000-0000-7000-8000-000000000000' as Uuid,
    id: `01900000-0000-7000-8000-${String(index).padStart(12, '0')}` as Uuid,
    text: 'hurry',
    at: '2026-01-02T03:04:05.678Z',
  }));

describe('a handoff', () => {
  test('is the same for up to sixteen tasks, and then shares what one answer may hold', () => {
    expect([1, 16].map(bytesOf)).toEqual([512 * 1024, 512 * 1024]);
    for (let tasks = 1; tasks <= LIMITS.claimsMax; tasks += 1) {
      expect(tasks * bytesOf(tasks)).toBeLessThanOrEqual(LIMITS.batchBodyBytesMax);
      expect(tasks * handoffCapsOf(tasks).messages).toBeLessThanOrEqual(2000);
    }
    const rowsOf = (tasks: number): number[] => {
      const { parents, attempts, comments } = handoffCapsOf(tasks);
      return [parents.rows, attempts.rows, comments.rows];
    };
    expect([1, 16, 20, LIMITS.claimsMax].map(rowsOf)).toEqual([
      [50, 10, 30],
      [50, 10, 30],
      [40, 8, 30],
      [8, 3, 30],
    ]);
    expect(handoffCapsOf(20).messages).toBe(LIMITS.messagesMax);
    expect(handoffCapsOf(LIMITS.claimsMax).messages).toBe(20);
  });

  test('says that there may be more messages where it has only its share of them', () => {
    const truncatedOf = (told: number, tasks: number): string[] =>
      handoffOf(
        { parents: [], attempts: [], comments: [], messages: messages(told), briefing: null },
        handoffCapsOf(tasks),
      ).truncated;
    expect(truncatedOf(LIMITS.messagesMax, 1)).toEqual([]);
    expect(truncatedOf(20, LIMITS.claimsMax)).toEqual(['messages']);
    expect(truncatedOf(19, LIMITS.claimsMax)).toEqual([]);
  });
});
