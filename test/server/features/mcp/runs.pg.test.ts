/** Whose run it is that a tool speaks of, how its calls are counted and how it waits for its helpers; and what is refused at the door of MCP. */
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { BodyRoom } from '../../../../src/server/http/body-room.ts';
import { type RequestPlace, RequestTurns } from '../../../../src/server/http/request-turns.ts';
import { eventually } from '../../../fixtures/bench.ts';
import { rpc } from './json-rpc.ts';
import { useMcpSite } from './mcp-site.ts';

const { bench, makeLane, use, steer, hold, orchestratorKey, orchestrate } = useMcpSite();

describe('whose run it is', () => {
  const ENDS: readonly [string, Record<string, unknown>][] = [
    ['complete_task', { summary: 'x' }],
    ['block_task', { reason: 'x' }],
    ['fail_task', { error: 'x' }],
    ['release_task', {}],
    ['request_changes', { reason: 'x' }],
  ];
  const REFUSED = { isError: true, said: { code: 'not_your_claim' } };

  test('decides the row: neither another lane nor another worker of the lane may speak for it', async () => {
    const { lane, key } = await makeLane();
    const { key: stranger } = await makeLane();
    const { run_id, task_id: task } = await hold(key, lane, { worker: 'anna' });
    for (const [token, worker] of [
      [stranger, 'anna'],
      [key, 'bert'],
      [key, null],
    ] as const)
      for (const [name, input] of [
        ['complete_task', { summary: 'mine' }],
        ['heartbeat', {}],
        ['release_task', {}],
        ['comment', { body: 'x' }],
        ['output', { lines: ['x'] }],
        ['show_task', {}],
        ['inbox', { wait_seconds: 45 }],
      ] as const)
        expect(
          await use(token, name, { run_id, ...(worker ? { worker } : {}), ...input }),
          name,
        ).toMatchObject(REFUSED);
    const { body } = await bench.api.get(`/v1/boards/default/tasks/${task}`);
    expect(body.task).toMatchObject({ status: 'running', comment_count: 0 });
    expect((await use(key, 'complete_task', { summary: 'mine', run_id, worker: 'anna' })).said.outcome).toBe(
      'completed',
    );
    // The same end again is the same answer; another one is told what has happened.
    expect((await use(key, 'complete_task', { summary: 'mine', run_id, worker: 'anna' })).said.outcome).toBe(
      'completed',
    );
    expect(await use(key, 'fail_task', { error: 'no', run_id, worker: 'anna' })).toMatchObject({
      isError: true,
      said: { code: 'claim_lost', next: expect.stringContaining('Stop') },
    });
  });

  test('must be named by whoever says something with the key of a lane, and may be left out to look', async () => {
    const { lane, key } = await makeLane();
    expect(await use(key, 'heartbeat')).toMatchObject({ isError: true, said: { code: 'not_found' } });
    const first = await hold(key, lane);
    expect((await use(key, 'show_task')).said.run_id).toBe(first.run_id);
    for (const [name, input] of ENDS) {
      const { isError, said } = await use(key, name, input);
      expect([name, isError, said.code, said.errors[0].pointer]).toEqual([
        name,
        true,
        'invalid_request',
        '/run_id',
      ]);
      expect(said.detail).toContain(first.run_id);
    }
    const second = await hold(key, lane);
    const { said } = await use(key, 'show_task');
    expect(said).toMatchObject({ code: 'invalid_request', errors: [{ pointer: '/run_id' }] });
    for (const { run_id: run } of [first, second]) expect(said.detail).toContain(run);
    // Its own task by its name is its own: whoever reads it is heard of, and hears.
    expect((await use(key, 'show_task', { task_id: second.task_id })).said).toMatchObject({
      run_id: second.run_id,
      messages: [],
    });
    const shown = async (token: string) => {
      const { body } = await rpc(bench.server, token, 'tools/list');
      return body.result.tools.find((tool: { name: string }) => tool.name === 'complete_task');
    };
    const { inputSchema, annotations } = await shown(key);
    expect(inputSchema.required).toContain('run_id');
    // Because it names its run, the bridge may repeat it when its answer was lost.
    expect(annotations).toMatchObject({ readOnlyHint: false, idempotentHint: true });
    await bench.makeTask('default', { lane });
    const { token } = await bench.claim('default', lane);
    expect((await shown(token)).inputSchema.required).not.toContain('run_id');
  });

  test('guards the task that was claimed since: late words for one that was taken away do not end it', async () => {
    const { lane, key } = await makeLane();
    const first = await hold(key, lane, { worker: 'anna' });
    await bench.api.post(`/v1/boards/default/tasks/${first.task_id}/reclaim`, {});
    await bench.api.post(`/v1/boards/default/tasks/${first.task_id}/cancel`, {});
    const second = await hold(key, lane, { worker: 'anna' });
    for (const [name, input] of ENDS) {
      const said = { worker: 'anna', ...input };
      expect((await use(key, name, said)).isError, name).toBe(true);
      expect((await use(key, name, { ...said, run_id: first.run_id })).isError, name).toBe(true);
    }
    const { body } = await bench.api.get(`/v1/boards/default/tasks/${second.task_id}`);
    expect(body.task.claim.run_id).toBe(second.run_id);
  });

  test('is the token’s under a claim token', async () => {
    const { lane, key } = await makeLane();
    await bench.makeTask('default', { lane });
    const { token, task, run_id } = await bench.claim('default', lane);
    const { run_id: other, task_id: otherTask } = await hold(key, lane);
    expect((await use(token, 'show_task')).said).toMatchObject({ run_id, task: { id: task.id } });
    expect(await use(token, 'heartbeat', { run_id: other })).toMatchObject(REFUSED);
    expect(await use(token, 'show_task', { task_id: otherTask })).toMatchObject({
      isError: true,
      said: { code: 'not_found' },
    });
    const made = await use(token, 'create_tasks', { tasks: [{ title: 'help', lane }] });
    const [child] = made.said.tasks;
    expect((await use(token, 'show_task', { task_id: child.id })).said.task.id).toBe(child.id);
    const handed = await use(token, 'delegate', { goal: 'help more', lane });
    const delegation_id = handed.said.delegation.id;
    expect((await use(token, 'check', { delegation_id })).said.tasks).toMatchObject([{ status: 'ready' }]);
    expect((await use(token, 'cancel', { delegation_id })).said.delegation.status).toBe('cancelled');
    expect((await use(token, 'complete_task', { summary: 'done' })).said.task_status).toBe('done');
  });
});

describe('a worker that waits for its helpers', () => {
  test('hands its task back with their ids, and has it again with their results when they are done', async () => {
    const { lane, key } = await makeLane();
    const helpers = await makeLane();
    await bench.makeTask('default', { lane, title: 'the whole' });
    const { token, task } = await bench.claim('default', lane);
    const parts = [1, 2].map((number) => ({ title: `part ${number}`, lane: helpers.lane }));
    const { said: made } = await use(token, 'create_tasks', { tasks: parts });
    const waits_for = made.tasks.map(({ id }: { id: string }) => id);
    expect(await use(token, 'block_task', { reason: 'x', kind: 'transient', waits_for })).toMatchObject({
      isError: true,
      said: { errors: [{ pointer: '/kind' }] },
    });
    const parked = await use(token, 'block_task', { reason: 'for the parts', waits_for });
    expect(parked.said).toMatchObject({ outcome: 'blocked', task_status: 'todo' });
    for (const word of ['eins', 'zwei']) {
      const { said } = await use(helpers.key, 'claim_task');
      await use(helpers.key, 'complete_task', { run_id: said.run_id, summary: word });
    }
    const { said: again } = await use(key, 'claim_task', { wait_seconds: 45 });
    expect(again).toMatchObject({ claimed: true, task_id: task.id });
    expect(again.text).toMatch(/eins[\s\S]*zwei/);
    // The same under the key of the lane, and repeated: what is done already keeps nobody waiting.
    const end = { run_id: again.run_id, reason: 'once more', waits_for };
    const { said } = await use(key, 'block_task', end);
    expect(said).toMatchObject({ outcome: 'blocked', task_status: 'ready' });
    expect((await use(key, 'block_task', end)).said).toEqual(said);
  });
});

test('a streamed call counts for its claim, with all that it holds, until its stream ends', async () => {
  const { lane } = await makeLane();
  await bench.makeTask('default', { lane });
  const { token, task } = await bench.claim('default', lane);
  const entered = vi.spyOn(RequestTurns.prototype, 'enter');
  const take = vi.spyOn(BodyRoom.prototype, 'take');
  onTestFinished(() => {
    entered.mockRestore();
    take.mockRestore();
  });
  const heldBytes = () => take.mock.calls.reduce((sum, [bytes]) => sum + bytes, 0);
  const params = { name: 'inbox', arguments: { wait_seconds: 45 }, padding: 'x'.repeat(200_000) };
  const waiting = rpc(bench.server, token, 'tools/call', params, { era: '2025', progressToken: 'p' });
  await eventually('it has come', async () => entered.mock.calls.length > 0);
  const leave = vi.spyOn(entered.mock.results[0]?.value as RequestPlace, 'leave');
  await eventually('it waits', async () => {
    const { sql } = bench.database;
    const [row] =
      await sql`SELECT last_heartbeat_at IS NOT NULL AS is_heard FROM claims WHERE lane = ${lane}`;
    return row?.['is_heard'] === true;
  });
  expect(leave).not.toHaveBeenCalled();
  expect(heldBytes()).toBeGreaterThan(200_000);
  await steer(task.id, 'enough');
  const { headers, body } = await waiting;
  expect(headers.get('Content-Type')).toContain('event-stream');
  expect(body.result.structuredContent.messages).toMatchObject([{ text: 'enough' }]);
  await eventually('all of it is let go', async () => leave.mock.calls.length === 1 && heldBytes() === 0);
});

describe('what is refused', () => {
  test('a hidden tool as one that there is not', async () => {
    const call = async (name: string) => {
      const { status, body } = await rpc(bench.server, orchestratorKey(), 'tools/call', {
        name,
        arguments: {},
      });
      return JSON.parse(JSON.stringify({ status, error: body.error }).replaceAll(name, 'X'));
    };
    const unknown = await call('no_such_tool');
    expect(unknown.error.code).toBe(-32602);
    expect(await call('claim_task')).toEqual(unknown);
    expect(await call('kanban_show')).toEqual(unknown);
  });

  test('an unknown field by its name, where outcomes go among them', async () => {
    for (const field of ['origin', 'subscribe', 'silent', 'whatever']) {
      const { isError, said } = await orchestrate('create_tasks', {
        tasks: [{ title: 'x', [field]: {} }],
      });
      expect({ isError, code: said.code, pointer: said.errors[0].pointer }).toEqual({
        isError: true,
        code: 'invalid_request',
        pointer: `/tasks/0/${field}`,
      });
      expect(said.detail).toContain(field);
    }
  });

  test('who is nobody, a foreign page, a batch, another method, and a stream of news', async () => {
    const { server } = bench;
    const token = orchestratorKey();
    const nobody = await rpc(server, null, 'tools/list');
    expect([nobody.status, nobody.headers.get('WWW-Authenticate')]).toEqual([
      401,
      'Bearer realm="lanekeeper"',
    ]);
    const page = await rpc(server, token, 'tools/list', {}, { headers: { Origin: 'https://evil.example' } });
    expect([page.status, page.body.code]).toEqual([403, 'origin_not_allowed']);
    const batch = await server.call('POST', '/mcp', { token, body: [{ jsonrpc: '2.0' }] });
    expect([batch.status, batch.code]).toEqual([400, 'invalid_request']);
    const get = await server.call('GET', '/mcp', { token });
    expect([get.status, get.headers.get('Allow')]).toEqual([405, 'POST']);
    const told = await server.call('POST', '/mcp', {
      token,
      body: { jsonrpc: '2.0', method: 'notifications/initialized' },
    });
    expect([told.status, told.body]).toEqual([202, '']);
    const listen = await rpc(server, token, 'subscriptions/listen', { notifications: {} });
    expect([listen.status, listen.body.error.code]).toEqual([404, -32601]);
  });
});
