import { beforeAll, describe, expect, test } from 'vitest';
import { uniqueName, useBench } from '../../../fixtures/bench.ts';
import { useTestServer } from '../../../fixtures/server.ts';

const bench = useBench();

interface Listed {
  readonly id: string;
  readonly title: string;
}

async function listAll(
  path: string,
  whileListing: () => Promise<unknown> = async () => undefined,
): Promise<Listed[]> {
  const found: Listed[] = [];
  let token: string | null = null;
  do {
    const answer = await bench.api.get(token === null ? path : `${path}&page_token=${token}`);
    found.push(...answer.body.tasks);
    token = answer.body.next_page_token;
    await whileListing();
  } while (token !== null && found.length < 1000);
  return found;
}

const titlesOf = (tasks: readonly Listed[]): string[] => tasks.map(({ title }) => title);

describe('pages of tasks', () => {
  test.each(['created', '-created', 'priority'])(
    'in order %s hold every task once, while more are created',
    async (order) => {
      const board = uniqueName('paged');
      await bench.api.put(`/v1/boards/${board}`);
      const path = `/v1/boards/${board}/tasks`;
      const tasks = Array.from({ length: 60 }, (_, n) => ({ title: `old-${n}`, priority: n % 3 }));
      const made: Listed[] = (await bench.api.post(`${path}/batch`, { tasks })).body.tasks;
      const seen = await listAll(`${path}?limit=7&order=${order}`, () =>
        bench.api.post(path, { title: 'new', priority: 1 }),
      );
      const ids = seen.map(({ id }) => id);
      expect(new Set(ids).size).toBe(ids.length);
      const old = seen.filter(({ title }) => title !== 'new');
      const byId = (left: Listed, right: Listed): number => (left.id < right.id ? -1 : 1);
      const expected = {
        created: made.toSorted(byId),
        '-created': made.toSorted(byId).toReversed(),
        priority: made.toSorted(
          (left, right) =>
            (Number(right.title.slice(4)) % 3) - (Number(left.title.slice(4)) % 3) || byId(left, right),
        ),
      }[order];
      expect(titlesOf(old)).toEqual(titlesOf(expected ?? []));
    },
  );
});

describe('filters of the list', () => {
  const board = uniqueName('filtered');
  const path = `/v1/boards/${board}/tasks`;
  beforeAll(async () => {
    await bench.api.put(`/v1/boards/${board}`);
    for (const task of [
      { title: 'Alpha one', lane: 'a', labels: { kind: 'x', team: 'red' }, tenant: 't1' },
      { title: 'beta TWO', lane: 'b', labels: { kind: 'x' }, tenant: 't2' },
      { title: '100% gamma_', labels: { kind: 'y:z' } },
      { title: 'delta', lane: 'a', status: 'triage' },
    ])
      await bench.makeTask(board, task);
    const hidden = await bench.makeTask(board, { title: 'omega', lane: 'a' });
    await bench.api.post(`${path}/${hidden.id}/archive`);
  });

  test.each([
    ['', ['Alpha one', 'beta TWO', '100% gamma_', 'delta']],
    ['status=ready', ['Alpha one', 'beta TWO', '100% gamma_']],
    ['status=triage,archived', ['delta', 'omega']],
    ['status=archived', ['omega']],
    ['lane=a', ['Alpha one', 'delta']],
    ['lane=-', ['100% gamma_']],
    ['lane=b,-', ['beta TWO', '100% gamma_']],
    ['label=kind:x', ['Alpha one', 'beta TWO']],
    ['label=kind:x,team:red', ['Alpha one']],
    ['label=kind:y%3Az', ['100% gamma_']],
    ['label=kind:', []],
    ['tenant=t1,t2', ['Alpha one', 'beta TWO']],
    ['tenant=t3', []],
    ['q=ALPHA', ['Alpha one']],
    ['q=two', ['beta TWO']],
    ['q=%25', ['100% gamma_']],
    ['q=_', ['100% gamma_']],
    ['lane=a&status=ready&q=one', ['Alpha one']],
  ])('%s', async (query, titles) => {
    expect(titlesOf(await listAll(`${path}?order=created&${query}`))).toEqual(titles);
  });

  test('the cursor of a list is the position it was read at', async () => {
    const { cursor } = (await bench.api.get(`${path}?limit=1`)).body;
    const { id } = await bench.makeTask(board, { title: 'later', status: 'triage' });
    const { events } = (await bench.api.get(`/v1/boards/${board}/events?after=${cursor}`)).body;
    expect(events.map((event: { kind: string; task_id: string }) => [event.kind, event.task_id])).toEqual([
      ['task.created', id],
    ]);
  });
});

describe('reading a task with Prefer: wait', () => {
  test('returns as soon as it has finished, also when another server finished it', async () => {
    const { id } = await bench.makeTask('default');
    const second = await useTestServer(bench.database.url);
    const startedAt = performance.now();
    const waiting = bench.api.get(`/v1/boards/default/tasks/${id}`, { headers: { Prefer: 'wait=30' } });
    await second.call('POST', `/v1/boards/default/tasks/${id}/complete`, {
      body: { summary: 'done by hand' },
    });
    const answer = await waiting;
    expect(answer.body.task).toMatchObject({ status: 'done', summary: 'done by hand' });
    expect(answer.headers.get('Preference-Applied')).toBe('wait=30');
    // Half of its wait: it was told.
    expect(performance.now() - startedAt).toBeLessThan(15_000);
  });

  test('returns the task as it is at the end of the wait', async () => {
    const { id } = await bench.makeTask('default');
    const answer = await bench.api.get(`/v1/boards/default/tasks/${id}`, { headers: { Prefer: 'wait=1' } });
    expect([answer.status, answer.body.task.status]).toEqual([200, 'ready']);
    expect(answer.headers.get('Preference-Applied')).toBe('wait=1');
  });

  test('clamps the wait, ignores what is none, and does not wait for what is not there', async () => {
    const { id } = await bench.makeTask('default');
    await bench.api.post(`/v1/boards/default/tasks/${id}/cancel`);
    const read = (Prefer: string, task = id) =>
      bench.api.get(`/v1/boards/default/tasks/${task}`, { headers: { Prefer } });
    expect((await read('wait=9999')).headers.get('Preference-Applied')).toBe('wait=60');
    expect((await read('respond-async, wait=10')).headers.get('Preference-Applied')).toBe('wait=10');
    for (const odd of ['wait=soon', 'return=minimal', 'wait=-1', ''])
      expect((await read(odd)).headers.get('Preference-Applied')).toBeNull();
    expect((await read('wait=30', 'missing')).code).toBe('not_found');
  });
});

describe('the list by parent', () => {
  const board = uniqueName('children');
  const path = `/v1/boards/${board}/tasks`;
  const titles = async (query: string): Promise<string[]> => titlesOf(await listAll(`${path}?${query}`));

  test('has what waits, or waited, for that task and nothing else, in any order, with other filters and page by page', async () => {
    await bench.api.put(`/v1/boards/${board}`);
    const parent = await bench.makeTask(board, { external_ref: 'top' });
    const other = await bench.makeTask(board);
    const tasks = Array.from({ length: 5 }, (_, index) => ({
      title: `child ${index}`,
      lane: index < 3 ? 'work' : 'review',
      priority: index,
      parents: index % 2 === 0 ? [parent.id] : [parent.id, other.id],
    }));
    const made: Listed[] = (await bench.api.post(`${path}/batch`, { tasks })).body.tasks;
    const [first] = made;
    await bench.makeTask(board, { title: 'grandchild', parents: [first?.id] });
    const all = titlesOf(made);
    expect(await titles(`parent=${parent.id}`)).toEqual(all.toReversed());
    expect(await titles('parent=top&order=created&limit=2')).toEqual(all);
    expect(await titles(`parent=${other.id}&order=priority&limit=1`)).toEqual(['child 3', 'child 1']);
    expect(await titles('parent=top&lane=review&status=todo')).toEqual(['child 4', 'child 3']);
    expect(await titles(`parent=${made[4]?.id}`)).toEqual([]);
    await bench.api.post(`${path}/${parent.id}/complete`);
    expect(await titles('parent=top&status=ready')).toEqual(['child 4', 'child 2', 'child 0']);
  });

  test('takes no parent that is not there, and no page of another one', async () => {
    const api = bench.server;
    const parent = await bench.makeTask(board, { external_ref: 'two' });
    for (const title of ['a', 'b']) await bench.makeTask(board, { title, parents: [parent.id] });
    const page = await bench.api.get(`${path}?parent=two&limit=1`);
    const more = `&limit=1&page_token=${page.body.next_page_token}`;
    expect((await api.call('GET', `${path}?parent=nobody`)).code).toBe('not_found');
    expect((await api.call('GET', `${path}?parent=top${more}`)).code).toBe('invalid_cursor');
    expect((await api.call('GET', `${path}?parent=two${more}`)).status).toBe(200);
  });
});
