import { describe, expect, test } from 'vitest';
import { TASK_STATUSES, type TaskStatus } from '../../../../src/contract/statuses.ts';
import { uniqueName, useBench } from '../../../fixtures/bench.ts';

const bench = useBench();
const TASKS = '/v1/boards/default/tasks';

/** A task in that status; null for statuses that nothing leads to yet. */
async function taskIn(status: TaskStatus): Promise<string | null> {
  const lane = uniqueName('verbs');
  const make = async (body: Record<string, unknown> = {}) =>
    (await bench.makeTask('default', { lane, ...body })).id;
  switch (status) {
    case 'ready':
      return make();
    case 'triage':
    case 'blocked':
      return make({ status });
    case 'scheduled':
      return make({ run_at: '2099-01-01T00:00:00Z' });
    case 'running': {
      const id = await make();
      await bench.makeLane('default', lane);
      await bench.claim('default', lane);
      return id;
    }
    case 'done':
    case 'cancelled':
    case 'archived': {
      const id = await make();
      const verb = { done: 'complete', cancelled: 'cancel', archived: 'archive' }[status];
      await bench.api.post(`${TASKS}/${id}/${verb}`);
      return id;
    }
    default:
      return null;
  }
}

const VERBS: Readonly<Record<string, { body?: unknown; to: Partial<Record<TaskStatus, TaskStatus>> }>> = {
  promote: { to: { triage: 'ready', scheduled: 'ready' } },
  unblock: { to: { blocked: 'ready' } },
  cancel: {
    to: {
      triage: 'cancelled',
      scheduled: 'cancelled',
      ready: 'cancelled',
      blocked: 'cancelled',
      running: 'running',
    },
  },
  complete: { to: { triage: 'done', scheduled: 'done', ready: 'done', blocked: 'done' } },
  assign: {
    body: { lane: 'elsewhere' },
    to: { triage: 'triage', scheduled: 'scheduled', ready: 'ready', blocked: 'blocked' },
  },
  archive: {
    to: {
      triage: 'archived',
      scheduled: 'archived',
      ready: 'archived',
      blocked: 'archived',
      done: 'archived',
      cancelled: 'archived',
    },
  },
  reopen: { to: { done: 'ready', cancelled: 'ready', archived: 'ready' } },
};

describe.each(Object.entries(VERBS))('%s', (verb, { body, to }) => {
  test.each([...TASK_STATUSES])(
    'from %s does what the table says, or is refused with both statuses',
    async (from) => {
      const id = await taskIn(from);
      if (id === null) return;
      const before = await bench.footprint();
      const answer = await bench.api.post(`${TASKS}/${id}/${verb}`, body ?? {});
      const target = to[from];
      if (target !== undefined) {
        expect([answer.status, answer.body.task?.status]).toEqual([200, target]);
        expect(answer.headers.get('ETag')).toBe(`"${answer.body.task.version}"`);
        return;
      }
      expect([answer.status, answer.code]).toEqual([409, 'illegal_transition']);
      expect(answer.body).toMatchObject({ status_before: from, status_after: expect.any(String) });
      expect(answer.body.detail).toContain(answer.body.status_after);
      expect(await bench.footprint()).toEqual(before);
    },
  );
});

describe('an operator', () => {
  test('completes a task that nobody holds with a run of zero length', async () => {
    const id = await taskIn('ready');
    const end = { summary: 'by hand', result: { n: 1 }, metadata: { who: 'me' } };
    const done = await bench.api.post(`${TASKS}/${id}/complete`, end);
    expect(done.body.task).toMatchObject({ status: 'done', attempt: 1, ...end });
    const [run] = (await bench.api.get(`${TASKS}/${id}/runs`)).body.runs;
    expect(run).toMatchObject({
      outcome: 'completed',
      attempt: 1,
      worker: null,
      ended_by: { type: 'key' },
      ...end,
    });
    expect(run.ended_at).toBe(run.started_at);
    expect(done.body.task.finished_at).not.toBeNull();
  });

  test('unblocks with an answer that the next attempt reads', async () => {
    const lane = uniqueName('answers');
    await bench.makeLane('default', lane);
    const { id } = await bench.makeTask('default', { lane });
    const asked = await bench.claim('default', lane);
    await bench
      .as(asked.token)
      .post(`/v1/runs/${asked.run_id}/block`, { reason: 'Which one?', kind: 'needs_input' });
    expect((await bench.api.get(`${TASKS}/${id}`)).body.task.blocked).toEqual({
      kind: 'needs_input',
      reason: 'Which one?',
    });
    const unblocked = await bench.api.post(`${TASKS}/${id}/unblock`, { answer: 'The second.' });
    expect(unblocked.body.task).toMatchObject({ status: 'ready', blocked: null, comment_count: 1 });
    const next = await bench.claim('default', lane);
    expect(next.handoff.comments.map((comment: { body: string }) => comment.body)).toEqual(['The second.']);
    expect(next.handoff.attempts).toMatchObject([{ attempt: 1, outcome: 'blocked' }]);
  });

  test('comments on any task, and reads the comments in pages, oldest first', async () => {
    const id = await taskIn('archived');
    for (const body of ['one', 'two', 'three']) {
      const made = await bench.api.post(`${TASKS}/${id}/comments`, { body });
      expect([made.status, made.body.comment.author.type]).toEqual([201, 'key']);
    }
    const first = await bench.api.get(`${TASKS}/${id}/comments?limit=2`);
    const rest = await bench.api.get(
      `${TASKS}/${id}/comments?limit=2&page_token=${first.body.next_page_token}`,
    );
    const bodies = [...first.body.comments, ...rest.body.comments].map(
      (comment: { body: string }) => comment.body,
    );
    expect(bodies).toEqual(['one', 'two', 'three']);
    expect(rest.body.next_page_token).toBeNull();
    expect((await bench.api.get(`${TASKS}/${id}`)).body.task.comment_count).toBe(3);
  });

  test('assigns to a lane, to none, and with failures forgiven', async () => {
    const id = await taskIn('ready');
    const assigned = await bench.api.post(`${TASKS}/${id}/assign`, {
      lane: 'unregistered',
      reason: 'why not',
    });
    expect(assigned.body.task).toMatchObject({
      lane: 'unregistered',
      status: 'ready',
      consecutive_failures: 0,
    });
    expect((await bench.api.post(`${TASKS}/${id}/assign`, { lane: null })).body.task.lane).toBeNull();
    expect((await bench.api.post(`${TASKS}/${id}/assign`, {})).code).toBe('invalid_request');
    const { events } = (await bench.api.get(`${TASKS}/${id}/events`)).body;
    expect(events.map((event: { kind: string }) => event.kind)).toEqual([
      'task.created',
      'task.assigned',
      'task.assigned',
    ]);
  });

  test('asks the holder to stop when a task runs; its end makes it cancelled', async () => {
    const lane = uniqueName('cancels');
    await bench.makeLane('default', lane);
    const { id } = await bench.makeTask('default', { lane });
    const held = await bench.claim('default', lane);
    const asked = await bench.api.post(`${TASKS}/${id}/cancel`, { reason: 'changed my mind' });
    expect(asked.body.task).toMatchObject({ status: 'running', claim: { cancel_requested: true } });
    const beat = await bench.as(held.token).post(`/v1/runs/${held.run_id}/heartbeat`, {});
    expect(beat.body.cancel_requested).toBe(true);
    const end = await bench.as(held.token).post(`/v1/runs/${held.run_id}/fail`, { error: 'stopped' });
    expect(end.body).toMatchObject({ task: { status: 'cancelled' }, run: { outcome: 'cancelled' } });
  });
});

describe('PATCH of a task', () => {
  test('changes what it names under the version that was read; null clears', async () => {
    const { id } = await bench.makeTask('default', {
      body: 'b',
      labels: { a: 'b' },
      tenant: 't',
      priority: 5,
      max_failures: 9,
      external_ref: uniqueName('PATCHED'),
      payload: { a: 1 },
    });
    const path = `${TASKS}/${id}`;
    const changed = await bench.api.patch(path, { title: 'new' }, { headers: { 'If-Match': '"1"' } });
    expect([changed.body.task.title, changed.body.task.version]).toEqual(['new', 2]);
    const before = await bench.footprint();
    const stale = await bench.api.patch(path, { title: 'newer' }, { headers: { 'If-Match': '"1"' } });
    expect([stale.status, stale.code, stale.body.version]).toEqual([412, 'version_mismatch', 2]);
    expect(await bench.footprint()).toEqual(before);
    const cleared = await bench.api.patch(path, {
      body: null,
      labels: null,
      tenant: null,
      priority: null,
      max_failures: null,
      external_ref: null,
      payload: null,
    });
    expect(cleared.body.task).toMatchObject({
      title: 'new',
      body: null,
      labels: {},
      tenant: null,
      priority: 0,
      max_failures: 2,
      external_ref: null,
      payload: null,
      version: 3,
    });
    const last = await bench.footprint();
    expect((await bench.api.patch(path, {})).body.task.version).toBe(3);
    expect(await bench.footprint()).toEqual(last);
    for (const body of [{ status: 'done' }, { lane: 'x' }, { title: null }, { run_at: null }, { version: 4 }])
      expect((await bench.api.patch(path, body)).code).toBe('invalid_request');
  });

  test('of two with the same version lets one win', async () => {
    const { id } = await bench.makeTask('default');
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, n) =>
        bench.api.patch(`${TASKS}/${id}`, { title: `t${n}` }, { headers: { 'If-Match': '"1"' } }),
      ),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ code }) => code === 'version_mismatch')).toHaveLength(9);
  });
});
