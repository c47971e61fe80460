import { describe, expect, test } from 'vitest';
import { uniqueName, useBench } from '../../../fixtures/bench.ts';

const bench = useBench();
const TASKS = '/v1/boards/default/tasks';

describe('creating a task', () => {
  test('needs a title only, and has the defaults that are written down', async () => {
    const made = await bench.api.post(TASKS, { title: 'plain' });
    expect([made.status, made.headers.get('ETag')]).toEqual([201, '"1"']);
    expect(made.body.task).toMatchObject({
      board: 'default',
      title: 'plain',
      body: null,
      status: 'ready',
      lane: null,
      priority: 0,
      payload: null,
      result: null,
      labels: {},
      metadata: {},
      tenant: null,
      external_ref: null,
      idempotency_key: null,
      version: 1,
      attempt: 0,
      consecutive_failures: 0,
      max_failures: 2,
      backoff: { base_seconds: 1, factor: 2, cap_seconds: 300 },
      run_at: null,
      blocked: null,
      claim: null,
      comment_count: 0,
      created_by: { type: 'key' },
      finished_at: null,
    });
    expect((await bench.api.get(`${TASKS}/${made.body.task.id}`)).body).toEqual(made.body);
  });

  test('keeps every field it is given, and reads null as absent', async () => {
    const fields = {
      title: 'full',
      body: 'text',
      lane: 'somewhere',
      priority: -5,
      payload: { deep: [{ a: null }] },
      labels: { k: 'v' },
      tenant: 't',
      external_ref: uniqueName('REF'),
      idempotency_key: uniqueName('key'),
      max_failures: 7,
      max_runtime_seconds: 60,
      no_progress_seconds: 30,
      backoff: { base_seconds: 5, factor: 1.5, cap_seconds: 60 },
    };
    expect((await bench.api.post(TASKS, fields)).body.task).toMatchObject(fields);
    const nulls = Object.fromEntries(Object.keys(fields).map((name) => [name, null]));
    const plain = await bench.api.post(TASKS, { ...nulls, title: 'x', run_at: null, status: null });
    expect(plain.body.task).toMatchObject({ priority: 0, labels: {}, max_failures: 2, status: 'ready' });
  });

  test.each([
    ['triage', { status: 'triage' }, { status: 'triage', blocked: null }],
    ['blocked', { status: 'blocked' }, { status: 'blocked', blocked: { kind: 'operator' } }],
    [
      'scheduled',
      { run_at: '2099-01-01T00:00:00Z' },
      { status: 'scheduled', run_at: '2099-01-01T00:00:00.000Z' },
    ],
    ['ready when run_at is past', { run_at: '2001-01-01T00:00:00Z' }, { status: 'ready' }],
  ])('may begin as %s', async (_, body, expected) => {
    expect((await bench.api.post(TASKS, { title: 'x', ...body })).body.task).toMatchObject(expected);
  });

  test('keeps the traceparent of its request for the claim, and tells it in the log', async () => {
    await bench.makeLane('default', 'traced');
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    const { task } = (
      await bench.api.post(TASKS, { title: 'x', lane: 'traced' }, { headers: { traceparent } })
    ).body;
    const { events } = (await bench.api.get(`${TASKS}/${task.id}/events`)).body;
    expect(events).toMatchObject([{ kind: 'task.created', data: { traceparent } }]);
    expect((await bench.claim('default', 'traced')).traceparent).toBe(traceparent);
    await bench.api.post(TASKS, { title: 'x', lane: 'traced' }, { headers: { traceparent: 'nonsense' } });
    expect((await bench.claim('default', 'traced')).traceparent).toBeNull();
  });
});

describe('an idempotency_key in the body', () => {
  test('gives the task that has it, until that is archived', async () => {
    const body = { title: 'once', idempotency_key: uniqueName('once') };
    const first = await bench.api.post(TASKS, body);
    const again = await bench.api.post(TASKS, { ...body, title: 'another title' });
    expect([first.status, again.status]).toEqual([201, 200]);
    expect(again.body.task).toEqual(first.body.task);
    await bench.api.post(`${TASKS}/${first.body.task.id}/archive`);
    const next = await bench.api.post(TASKS, body);
    expect(next.status).toBe(201);
    expect(next.body.task.id).not.toBe(first.body.task.id);
  });

  test('makes one task of fifty requests at once, over several connections and in batches', async () => {
    const key = uniqueName('fifty');
    const body = { title: key, idempotency_key: key };
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, n) =>
        n % 10 === 0 ? bench.api.post(`${TASKS}/batch`, { tasks: [body] }) : bench.api.post(TASKS, body),
      ),
    );
    const ids = new Set(answers.map(({ body: { task, tasks } }) => (task ?? tasks[0]).id));
    expect(ids.size).toBe(1);
    expect((await bench.api.get(`${TASKS}?q=${key}`)).body.tasks).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(44);
  });

  test('belongs to one board', async () => {
    const board = uniqueName('other');
    await bench.api.put(`/v1/boards/${board}`);
    const body = { title: 'x', idempotency_key: uniqueName('per-board') };
    expect((await bench.api.post(TASKS, body)).status).toBe(201);
    expect((await bench.api.post(`/v1/boards/${board}/tasks`, body)).status).toBe(201);
  });
});

describe('an external_ref', () => {
  test('names its task in every path, and no other task of the board', async () => {
    const external_ref = uniqueName('JIRA');
    const { id } = await bench.makeTask('default', { external_ref });
    const path = `${TASKS}/${external_ref}`;
    expect((await bench.api.get(path)).body.task.id).toBe(id);
    expect((await bench.api.post(`${path}/comments`, { body: 'x' })).status).toBe(201);
    expect((await bench.api.get(`${path}/comments`)).body.comments).toHaveLength(1);
    expect((await bench.api.get(`${path}/events`)).body.events[0].task_id).toBe(id);
    expect((await bench.api.post(`${path}/cancel`)).body.task.id).toBe(id);
    const taken = await bench.api.post(TASKS, { title: 'x', external_ref });
    expect([taken.status, taken.code]).toEqual([409, 'already_exists']);
    const other = await bench.makeTask('default');
    expect((await bench.api.patch(`${TASKS}/${other.id}`, { external_ref })).code).toBe('already_exists');
  });
});

describe('a batch', () => {
  test('keeps its order', async () => {
    const titles = Array.from({ length: 200 }, (_, n) => `b${n}`);
    const made = await bench.api.post(`${TASKS}/batch`, { tasks: titles.map((title) => ({ title })) });
    const tasks: { id: string; title: string }[] = made.body.tasks;
    expect(tasks.map(({ title }) => title)).toEqual(titles);
    expect(tasks.map(({ id }) => id)).toEqual(tasks.map(({ id }) => id).toSorted());
  });

  test('is made as a whole or not at all', async () => {
    const external_ref = uniqueName('TAKEN');
    await bench.makeTask('default', { external_ref });
    const good = Array.from({ length: 20 }, () => ({ title: 'x' }));
    for (const [bad, status] of [
      [{ title: 'x', external_ref }, 409],
      [{ title: '' }, 400],
      [{ title: 'x', status: 'triage', run_at: '2099-01-01T00:00:00Z' }, 400],
    ] as const) {
      const before = await bench.footprint();
      const answer = await bench.api.post(`${TASKS}/batch`, { tasks: [...good, bad, ...good] });
      expect(answer.status).toBe(status);
      expect(await bench.footprint()).toEqual(before);
    }
    const twins = [
      { title: 'x', external_ref: 'TWIN' },
      { title: 'y', external_ref: 'TWIN' },
    ];
    expect((await bench.api.post(`${TASKS}/batch`, { tasks: twins })).code).toBe('already_exists');
    expect((await bench.api.get(`${TASKS}/TWIN`)).code).toBe('not_found');
  });

  test('with an idempotency_key that is taken, or given twice, gives the one task for it', async () => {
    const key = uniqueName('batch-key');
    const { id } = await bench.makeTask('default', { idempotency_key: key });
    const made = await bench.api.post(`${TASKS}/batch`, {
      tasks: [{ title: 'a' }, { title: 'b', idempotency_key: key }],
    });
    expect(made.body.tasks[1].id).toBe(id);
    const twice = { title: 'c', idempotency_key: `${key}-2` };
    const twins = await bench.api.post(`${TASKS}/batch`, { tasks: [twice, twice] });
    expect(twins.body.tasks[0].id).toBe(twins.body.tasks[1].id);
  });
});
