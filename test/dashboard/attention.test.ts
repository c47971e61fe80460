/** What the inbox offers for what waits, and where its keys go, without a page. */
import { describe, expect, test } from 'vitest';
import { type AttentionEntry, groupsOf, keyAfter } from '../../src/dashboard/attention/attention-words.ts';
import { remediesOf, type Surroundings } from '../../src/dashboard/attention/remedies.ts';
import { rightsOf } from '../../src/dashboard/session/session.ts';

const TASK = {
  id: 'task_1',
  title: 'Paint',
  status: 'blocked',
  lane: 'factory',
  priority: 0,
  version: 3,
} as const;

function entry(change: Partial<AttentionEntry>): AttentionEntry {
  return { code: 'blocked', since: '2026-11-21T12:00:00Z', detail: '', actions: [], ...change };
}

const around = (change: Partial<Surroundings> = {}): Surroundings => ({
  may: rightsOf('admin'),
  isBoardPaused: false,
  isLaneHalted: false,
  ...change,
});

/** In words, in order. */
function offered(shown: AttentionEntry, surroundings: Surroundings): readonly string[] {
  return remediesOf(shown, surroundings).map((remedy) => {
    if (remedy.type === 'task') return remedy.action.name;
    return 'lane' in remedy ? `${remedy.type} ${remedy.lane}` : remedy.type;
  });
}

describe('what is offered', () => {
  test('the actions of the task, in the order that the server gives', () => {
    const actions: AttentionEntry['actions'] = ['unblock', 'assign', 'complete', 'cancel'];
    expect(offered(entry({ task: TASK, actions }), around())).toEqual(actions);
  });

  test('nothing to those who only look', () => {
    const shown = entry({ task: TASK, actions: ['unblock', 'resume', 'work', 'steer', 'register'] });
    expect(offered(shown, around({ may: rightsOf('observer') }))).toEqual([]);
  });

  test('no action that the status of the task does not allow', () => {
    const task = { ...TASK, status: 'running' } as const;
    const shown = entry({ task, actions: ['unblock', 'reclaim', 'steer', 'cancel'] });
    expect(offered(shown, around())).toEqual(['reclaim', 'steer', 'cancel']);
  });

  test('resume means what is paused: the lane, the board, or both', () => {
    const shown = entry({ task: { ...TASK, status: 'ready' }, code: 'stranded', actions: ['resume'] });
    expect(offered(shown, around({ isLaneHalted: true }))).toEqual(['resume_lane factory']);
    expect(offered(shown, around({ isBoardPaused: true }))).toEqual(['resume_board']);
    expect(offered(shown, around({ isBoardPaused: true, isLaneHalted: true }))).toEqual([
      'resume_board',
      'resume_lane factory',
    ]);
    // Only admins may change a board.
    const orchestrator = around({ may: rightsOf('orchestrator'), isBoardPaused: true });
    expect(offered(shown, orchestrator)).toEqual([]);
  });

  test('of a lane: the command that serves it, and its tasks to be given to another one', () => {
    const shown = entry({ lane: 'quiet', code: 'lane_offline', actions: ['work', 'assign'] });
    expect(offered(shown, around())).toEqual(['command', 'tasks_of_lane quiet']);
    expect(remediesOf(shown, around())[0]).toMatchObject({
      command: 'lanekeeper work quiet -- ./your-command',
    });
    const spawn = entry({ lane: 'agent', code: 'lane_offline', actions: ['dispatch'] });
    expect(remediesOf(spawn, around())).toEqual([
      { type: 'command', command: 'lanekeeper dispatch --lane agent' },
    ]);
  });
});

test('groups stand in one order whatever their counts, and the chosen one stays when it is empty', () => {
  const entries = [entry({ code: 'in_triage' }), entry({ code: 'in_triage' }), entry({ code: 'blocked' })];
  expect(groupsOf(entries, '')).toEqual([
    { code: 'blocked', count: 1 },
    { code: 'in_triage', count: 2 },
  ]);
  expect(groupsOf([], 'stranded')).toEqual([{ code: 'stranded', count: 0 }]);
  expect(groupsOf([], 'no such code')).toEqual([]);
});

test('the keyboard goes from nowhere to the first, and not beyond the ends', () => {
  const keys = ['a', 'b'];
  expect(keyAfter(keys, null, 1)).toBe('a');
  expect(keyAfter(keys, 'gone', -1)).toBe('a');
  expect(keyAfter(keys, 'a', 1)).toBe('b');
  expect(keyAfter(keys, 'b', 1)).toBe('b');
  expect(keyAfter(keys, 'a', -1)).toBe('a');
  expect(keyAfter([], null, 1)).toBeNull();
});
