/** What the results of a delegation give up to fit. */
import { expect, test } from 'vitest';
import type { DelegationResult } from '../../../../src/contract/delegations.ts';
import { fitResults } from '../../../../src/server/features/tasks/join/results.ts';
import { formatId } from '../../../../src/server/kernel/ids.ts';

/** Half a character is no text that Postgres can store. At an odd place, so that a cut at any even one meets the middle. */
const FACES = `a${'😀'.repeat(20_000)}`;

const RESULT: DelegationResult = {
  task_id: formatId('task', '00000000-0000-7000-8000-000000000001'),
  index: 0,
  title: 'a task',
  goal: FACES,
  context: FACES,
  lane: 'work',
  toolsets: null,
  model: null,
  status: 'done',
  outcome: 'completed',
  summary: FACES,
  result: null,
  metadata: {},
  error: FACES,
  output_preview: FACES,
  dispatched_at: null,
  completed_at: null,
  duration_seconds: null,
  truncated: [],
};

test.each([400_000, 40_000, 20_000, 4000, 1000])(
  'a text is cut between characters to fit %d bytes',
  (bytesMax) => {
    const [fitted] = fitResults([RESULT], bytesMax);
    const texts = Object.values(fitted ?? {}).filter((value) => typeof value === 'string');
    expect(texts.filter((text) => !text.isWellFormed())).toEqual([]);
    expect(fitted?.truncated.length).toBeGreaterThan(bytesMax === 400_000 ? -1 : 0);
  },
);
