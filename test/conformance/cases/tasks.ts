/** Tasks by those who make and operate them, and what they wait for. */
import { expect, test } from 'vitest';
import { only } from '../../fixtures/eventually.ts';
import { as, codeOf, refusalOf, type World } from '../speaker.ts';

export function taskCases(world: World): void {
  test('a task is made once per key, changed against its version, found, commented on and read as text', async () => {
    await world.lane('shelf');
    const body = { title: 'one of a kind', lane: 'shelf', idempotency_key: 'k1', external_ref: 'EXT-1' };
    const { task } = await world.call('createTask', { params: world.here, body });
    expect((await world.call('createTask', { params: world.here, body })).task.id).toBe(task.id);
    const taken = world.task('shelf', { external_ref: 'EXT-1' });
    expect(await codeOf(taken)).toBe('already_exists');
    const params = world.on({ task: 'EXT-1' });
    const patch = { priority: 5, labels: { area: 'db' }, body: 'Do it well.' };
    const patched = await world.call('patchTask', { params, body: patch }, { ifVersion: task.version });
    expect(patched.task).toMatchObject({ id: task.id, priority: 5, body: 'Do it well.' });
    const late = world.call('patchTask', { params, body: patch }, { ifVersion: task.version });
    expect(await codeOf(late)).toBe('version_mismatch');
    await world.call('addComment', { params, body: { body: 'mind the index' } });
    const { comments } = await world.call('listComments', { params });
    expect(comments.map((comment) => comment.body)).toEqual(['mind the index']);
    const found = await world.call('listTasks', {
      params: world.here,
      query: { label: 'area:db', q: 'KIND' },
    });
    expect(found.tasks.map(({ id }) => id)).toEqual([task.id]);
    const text = JSON.stringify(await world.call('getContext', { params }));
    expect(text).toContain('Do it well.');
    expect(text).toContain('mind the index');
    const { events } = await world.call('listTaskEvents', { params });
    expect(events.map(({ kind }) => kind)).toEqual(['task.created', 'task.updated', 'task.commented']);
  });

  test('lists come in pages that overlap nowhere, newest first', async () => {
    await world.lane('paged');
    const tasks = Array.from({ length: 5 }, (_, index) => ({ title: `page ${index}`, lane: 'paged' }));
    const made = await world.call('createTasks', { params: world.here, body: { tasks } });
    const titles: string[] = [];
    let pages = 0;
    for (let token: string | undefined; pages < 5; pages += 1) {
      const query = { lane: 'paged', limit: 2, page_token: token };
      const page = await world.call('listTasks', { params: world.here, query });
      titles.push(...page.tasks.map(({ title }) => title));
      if (page.next_page_token === null) break;
      token = page.next_page_token;
    }
    expect([titles, pages]).toEqual([made.tasks.map(({ title }) => title).reverse(), 2]);
  });

  test('a batch is made whole or not at all, and what is wrong with it is pointed at', async () => {
    const bad = [{ title: 'good', lane: 'paged' }, { title: '' }];
    const refusal = await refusalOf(world.call('createTasks', { params: world.here, body: { tasks: bad } }));
    expect([refusal.code, refusal.problem.errors?.[0]?.pointer]).toEqual([
      'invalid_request',
      '/tasks/1/title',
    ]);
    const { tasks } = await world.call('listTasks', { params: world.here, query: { q: 'good' } });
    expect(tasks).toEqual([]);
  });

  test('an operator schedules, promotes, assigns, completes, reopens, cancels, archives and deletes', async () => {
    await world.lane('desk');
    await world.lane('desk-2');
    const { id } = await world.task('desk');
    const params = world.on({ task: id });
    const later = { run_at: '2099-01-01T00:00:00.000Z' };
    expect((await world.call('scheduleTask', { params, body: later })).task.status).toBe('scheduled');
    expect((await world.call('promoteTask', { params })).task.status).toBe('ready');
    expect(await codeOf(world.call('promoteTask', { params }))).toBe('illegal_transition');
    const assigned = await world.call('assignTask', { params, body: { lane: 'desk-2', reason: 'free' } });
    expect(assigned.task).toMatchObject({ lane: 'desk-2', status: 'ready' });
    const done = await world.call('completeTask', { params, body: { summary: 'by hand' } });
    expect(done.task).toMatchObject({ status: 'done', summary: 'by hand' });
    expect((await world.call('reopenTask', { params })).task.status).toBe('ready');
    const gone = await world.call('cancelTask', { params, body: { reason: 'not needed' } });
    expect(gone.task.status).toBe('cancelled');
    expect((await world.call('archiveTask', { params })).task.status).toBe('archived');
    await world.call('deleteTask', { params });
    expect(await codeOf(world.call('getTask', { params }))).toBe('not_found');
  });

  test('a wait for a task is answered when it finishes', async () => {
    await world.lane('awaited');
    const { id } = await world.task('awaited');
    const params = world.on({ task: id });
    const waiting = world.call('getTask', { params }, { waitSeconds: 20 });
    await world.call('completeTask', { params, body: {} });
    expect((await waiting).task.status).toBe('done');
  });

  test('children wait for their parents, read what they left, and never wait for each other', async () => {
    await world.lane('chain');
    const parent = await world.task('chain', { title: 'parent' });
    const child = await world.task('chain', { title: 'child', parents: [parent.id] });
    const other = await world.task('chain', { title: 'other' });
    expect([child.status, child.unmet_parents]).toEqual(['todo', 1]);
    const link = world.on({ task: child.id, parent: other.id });
    expect((await world.call('linkParent', { params: link })).task.unmet_parents).toBe(2);
    const turned = world.on({ task: parent.id, parent: child.id });
    expect(await codeOf(world.call('linkParent', { params: turned }))).toBe('dependency_cycle');
    const graph = await world.call('getGraph', { params: world.on({ task: child.id }) });
    expect([graph.nodes.length, graph.edges.length]).toEqual([3, 2]);
    const { reasons } = await world.call('getWhy', { params: world.on({ task: child.id }) });
    expect(reasons[0]).toMatchObject({ code: 'waiting_for_parents' });
    expect((await world.call('unlinkParent', { params: link })).task.unmet_parents).toBe(1);
    const { params, token } = as(await world.claim('chain', { task_id: parent.id }));
    await world.call('completeRun', { params, body: { summary: 'laid', result: { bricks: 3 } } }, token);
    const claim = await world.claim('chain', { task_id: child.id });
    expect(claim.handoff.parents).toMatchObject([
      { task_id: parent.id, summary: 'laid', result: { bricks: 3 } },
    ]);
    expect((await world.call('getWhy', { params: world.on({ task: child.id }) })).reasons).toEqual([]);
  });

  test('one action is done to many tasks, and what could not be done is named', async () => {
    await world.lane('bulk');
    const tasks = Array.from({ length: 3 }, (_, index) => ({ title: `bulk ${index}`, lane: 'bulk' }));
    const made = (await world.call('createTasks', { params: world.here, body: { tasks } })).tasks;
    const ids = [...made.map(({ id }) => id), 'EXT-nobody'];
    const begun = await world.call('bulkTasks', { params: world.here, body: { action: 'cancel', ids } });
    const params = world.on({ operation: begun.operation.id });
    const { operation } = await world.call('getOperation', { params }, { waitSeconds: 20 });
    expect(operation).toMatchObject({ status: 'done', total: 4, succeeded: 3, failed_count: 1 });
    expect(operation.failed).toEqual([{ id: 'EXT-nobody', code: 'not_found' }]);
    expect((await world.read(made[0]?.id ?? '')).status).toBe('cancelled');
    expect((await world.call('cancelOperation', { params })).operation.status).toBe('done');
  });

  test('what waits for a person is listed with what that person can do', async () => {
    await world.lane('stuck');
    const { id } = await world.task('stuck');
    const { params, token } = as(await world.claim('stuck'));
    await world.call('blockRun', { params, body: { reason: 'which colour?', kind: 'needs_input' } }, token);
    const { attention } = await world.call('getAttention', { params: world.here });
    const entry = only(attention.filter(({ task }) => task?.id === id));
    expect(entry).toMatchObject({ code: 'blocked', detail: expect.stringContaining('which colour?') });
    expect(entry.actions[0]).toBe('unblock');
    const { reasons } = await world.call('getWhy', { params: world.on({ task: id }) });
    expect(reasons).toMatchObject([{ code: 'blocked' }]);
    const answered = await world.call('unblockTask', {
      params: world.on({ task: id }),
      body: { answer: 'blue' },
    });
    expect(answered.task.status).toBe('ready');
    const again = await world.claim('stuck');
    expect(JSON.stringify(again.handoff.comments)).toContain('blue');
  });
}
