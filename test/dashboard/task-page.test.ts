/** The pure parts of the task's page. */
import { describe, expect, test } from 'vitest';
import type { Event, Task } from '../../src/client/index.ts';
import { artifactsOf } from '../../src/dashboard/task/artifacts.ts';
import {
  DRAWN_LINKS_MAX,
  DRAWN_TASKS_MAX,
  familyOf,
  nearestOf,
  type TaskGraph,
} from '../../src/dashboard/task/family.ts';
import { gather } from '../../src/dashboard/task/gathered.ts';
import { drawingOf, NODE_WIDTH_PX } from '../../src/dashboard/task/graph-layout.ts';
import { type HolderSigns, heardAtMs, NO_SIGNS, signsAfter } from '../../src/dashboard/task/holder-signs.ts';
import { entriesOf, isEmptyJson, previewOf, shapeOf } from '../../src/dashboard/task/json-tree.ts';
import { finalRunOf, runDuration } from '../../src/dashboard/task/run-words.ts';
import {
  conflictsOf,
  type Draft,
  DraftError,
  draftOf,
  patchOf,
  rebase,
} from '../../src/dashboard/task/task-edit.ts';

describe('editing', () => {
  const task = {
    title: 'a title',
    body: null,
    priority: 5,
    labels: { team: 'a', note: 'b: c' },
    max_failures: 2,
    max_runtime_seconds: null,
    no_progress_seconds: 60,
  } as unknown as Task;
  const base = draftOf(task);
  const changed = (changes: Partial<Draft>): Draft => ({ ...base, ...changes });

  test('sends nothing of a draft that was not touched', () => {
    expect(patchOf(base, base)).toEqual({});
  });

  test('sends what was changed and only that, and null for what was emptied', () => {
    const draft = changed({ title: ' new ', body: 'text', labels: 'team: b\n\nx:', no_progress_seconds: '' });
    expect(patchOf(base, draft)).toEqual({
      title: 'new',
      body: 'text',
      labels: { team: 'b', x: '' },
      no_progress_seconds: null,
    });
    expect(patchOf(base, changed({ priority: '-7', max_runtime_seconds: '90' }))).toEqual({
      priority: -7,
      max_runtime_seconds: 90,
    });
  });

  test('a label named like a part of every object stays a label', () => {
    const { labels } = patchOf(base, changed({ labels: '__proto__: x' }));
    expect(Object.keys(labels ?? {})).toEqual(['__proto__']);
  });

  const refused = [
    ['title', ' '],
    ['priority', '1.5'],
    ['priority', ''],
    ['max_runtime_seconds', 'soon'],
    ['labels', 'no value'],
  ] as const;
  for (const [field, text] of refused)
    test(`says that "${text}" is no ${field}, at its field`, () => {
      const error = catchOf(() => patchOf(base, changed({ [field]: text })));
      expect(error).toBeInstanceOf(DraftError);
      expect(error).toMatchObject({ field });
    });

  test('after somebody else was faster: theirs where only they changed it, both where both did', () => {
    const mine = changed({ title: 'mine', priority: '9' });
    const theirs = changed({ title: 'theirs', body: 'theirs', priority: '9' });
    expect(conflictsOf(base, mine, theirs)).toEqual(['title']);
    const draft = rebase(base, mine, theirs);
    expect(draft).toMatchObject({ title: 'mine', body: 'theirs', priority: '9' });
    expect(patchOf(theirs, draft)).toEqual({ title: 'mine' });
  });
});

describe('signs of the holder', () => {
  const event = (kind: Event['kind'], second: number, data: Event['data'] = {}, run = 'run_1'): Event => ({
    cursor: '',
    seq: second,
    board: 'default',
    kind,
    at: at(second),
    run_id: run,
    actor: { type: 'claim', id: run },
    data,
  });
  const signsOf = (...events: readonly Event[]): HolderSigns =>
    events.reduce((signs, each) => signsAfter(signs, each, 'run_1'), NO_SIGNS);

  test('progress and note stay until they are said anew, and those of another run are not taken', () => {
    const signs = signsOf(
      event('task.claimed', 0, { lease_expires_at: at(60) }),
      event('task.progress', 5, { lease_expires_at: at(65), progress: 0.2, note: 'one' }),
      event('task.heartbeat', 10, { lease_expires_at: at(70) }),
      event('task.progress', 11, { progress: 0.9, note: 'other' }, 'run_2'),
    );
    expect(signs).toEqual({ heardAtMs: ms(10), leaseMs: 60_000, progress: 0.2, note: 'one', cancel: null });
  });

  test('a heartbeat that is not in the log is told by the end of the lease', () => {
    const signs = signsOf(event('task.claimed', 0, { lease_expires_at: at(60) }));
    expect(heardAtMs(signs, ms(60))).toBe(ms(0));
    expect(heardAtMs(signs, ms(85))).toBe(ms(25));
    expect(heardAtMs(NO_SIGNS, ms(85))).toBeNull();
  });

  test('a request to stop has its reason and its deadline, and is no sign of life', () => {
    const signs = signsOf(event('task.cancel_requested', 3, { reason: 'enough', deadline_at: at(33) }));
    expect(signs).toEqual({ ...NO_SIGNS, cancel: { reason: 'enough', deadlineMs: ms(33) } });
  });
});

describe('JSON', () => {
  test('is shown in portions, in its own order', () => {
    expect(entriesOf({ b: 1, a: 2, c: 3 }, 2)).toEqual([
      { name: 'b', value: 1 },
      { name: 'a', value: 2 },
    ]);
    expect(entriesOf(['x', 'y'], 1)).toEqual([{ name: '0', value: 'x' }]);
  });

  test('says how much is behind what is closed', () => {
    const previews = [{ a: 1 }, [1, 2]].map((value) => {
      const shape = shapeOf(value);
      return shape.type === 'tree' ? previewOf(shape) : null;
    });
    expect(previews).toEqual(['{1}', '[2]']);
  });

  test('knows a text from a number and a word', () => {
    expect(['12', 12, null, true].map((value) => shapeOf(value))).toEqual([
      { type: 'leaf', text: '12', kind: 'text' },
      { type: 'leaf', text: '12', kind: 'number' },
      { type: 'leaf', text: 'null', kind: 'word' },
      { type: 'leaf', text: 'true', kind: 'word' },
    ]);
  });

  test('null, {} and [] are nothing; false, 0 and "" are something', () => {
    expect([null, undefined, {}, []].every(isEmptyJson)).toBe(true);
    expect([false, 0, ''].some(isEmptyJson)).toBe(false);
  });
});

describe('artifacts', () => {
  test('are links only to the web: a link may not run anything', () => {
    const artifacts = artifactsOf({
      artifacts: [
        { name: 'a', url: 'https://example.com/a' },
        { name: 'b', url: 'javascript:alert(1)' },
        { name: 'c', url: 'data:text/html,x', text: 'words' },
        'http://example.com/d',
        'e.txt',
      ],
    });
    expect(artifacts.map(({ name, url }) => [name, url])).toEqual([
      ['a', 'https://example.com/a'],
      ['b', null],
      ['c', null],
      ['http://example.com/d', 'http://example.com/d'],
      ['e.txt', null],
    ]);
    expect(artifacts[2]?.text).toBe('words');
  });

  test('that a worker has misnamed are left out', () => {
    expect(artifactsOf({ artifacts: [null, 7, { url: 'https://example.com' }, []] })).toEqual([]);
    expect(artifactsOf({ artifacts: 'x' })).toEqual([]);
  });
});

describe('family', () => {
  const node = (id: string): TaskGraph['nodes'][number] => ({ id, title: id, status: 'ready', lane: null });
  const edge = (parent: string, child: string, met = false): TaskGraph['edges'][number] => ({
    parent,
    child,
    met,
  });

  test('parents and children are those with a link, not theirs', () => {
    const graph = {
      nodes: ['a', 'b', 'c', 'd'].map(node),
      edges: [edge('a', 'b', true), edge('b', 'c'), edge('c', 'd')],
      truncated: false,
    };
    const { parents, children } = familyOf(graph, 'b');
    expect(parents.map(({ id, isMet }) => [id, isMet])).toEqual([['a', true]]);
    expect(children.map(({ id, isMet }) => [id, isMet])).toEqual([['c', false]]);
  });

  test('of a large one the nearest are drawn, and it is said', () => {
    const ids = Array.from({ length: 400 }, (_, index) => `t${index}`);
    const edges = ids.slice(1).map((id, index) => edge(`t${index}`, id));
    const near = nearestOf({ nodes: ids.map(node), edges, truncated: false }, 't300');
    expect(near.nodes).toHaveLength(DRAWN_TASKS_MAX);
    expect(near.truncated).toBe(true);
    const drawn = new Set(near.nodes.map(({ id }) => id));
    expect(['t299', 't300', 't301', 't201', 't399'].every((id) => drawn.has(id))).toBe(true);
    expect(drawn.has('t0')).toBe(false);
    expect(near.edges.every(({ parent, child }) => drawn.has(parent) && drawn.has(child))).toBe(true);
  });

  test('of a dense one no more tasks are drawn than all their links allow', () => {
    const ids = Array.from({ length: 40 }, (_, index) => `t${index}`);
    const edges = ids.flatMap((child, index) => ids.slice(0, index).map((parent) => edge(parent, child)));
    const near = nearestOf({ nodes: ids.map(node), edges, truncated: false }, 't5');
    expect(near.edges.length).toBeLessThanOrEqual(DRAWN_LINKS_MAX);
    expect(near.edges).toHaveLength((near.nodes.length * (near.nodes.length - 1)) / 2);
    expect(near.nodes.map(({ id }) => id)).toContain('t5');
    expect(near.truncated).toBe(true);
  });

  test('a small one is drawn whole: parents left of their children, no box on another', () => {
    const graph = {
      nodes: ['a', 'b', 'c'].map(node),
      edges: [edge('a', 'b'), edge('a', 'c')],
      truncated: false,
    };
    expect(nearestOf(graph, 'a')).toEqual(graph);
    const { tasks, links, width, height } = drawingOf(graph);
    const [a, b, c] = tasks.map(({ x, y }) => ({ x, y }));
    if (a === undefined || b === undefined || c === undefined) throw new Error('three were drawn');
    expect(b.x).toBeGreaterThanOrEqual(a.x + NODE_WIDTH_PX);
    expect(c.x).toBe(b.x);
    expect(Math.abs(b.y - c.y)).toBeGreaterThan(0);
    expect(links.map(({ points }) => points.length > 1)).toEqual([true, true]);
    expect(tasks.every(({ x, y }) => x >= 0 && y >= 0 && x < width && y < height)).toBe(true);
  });
});

describe('runs', () => {
  test('take as long as they took, or have taken so far', () => {
    const run = { started_at: at(0), ended_at: at(3) };
    expect(runDuration(run, ms(999))).toBe('3.0 s');
    expect(runDuration({ ...run, ended_at: null }, ms(75))).toBe('1 min 15 s');
    expect(runDuration({ ...run, ended_at: at(2 * 3600 + 5 * 60) }, 0)).toBe('2 h 5 min');
  });

  test('the last one that has ended says how the task came out', () => {
    const runs = [{ outcome: null }, { outcome: 'failed' }, { outcome: 'completed' }] as const;
    expect(finalRunOf(runs)?.outcome).toBe('failed');
    expect(finalRunOf([])).toBeUndefined();
  });
});

test('a list is read up to its bound and no further', async () => {
  let given = 0;
  async function* endless(): AsyncGenerator<number> {
    for (;;) {
      given += 1;
      yield given;
    }
  }
  expect(await gather(endless(), 3)).toEqual({ rows: [1, 2, 3], isMore: true });
  expect(given).toBe(4);
});

function ms(second: number): number {
  return Date.UTC(2030, 0, 1) + second * 1000;
}

function at(second: number): string {
  return new Date(ms(second)).toISOString();
}

function catchOf(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  return undefined;
}
