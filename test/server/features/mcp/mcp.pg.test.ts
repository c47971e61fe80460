/** The MCP endpoint over raw JSON-RPC: how a task is worked, what rides along, and what stays when clients go away. */
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { eventually } from '../../../fixtures/bench.ts';
import { holdGate, untilStanding } from '../../../fixtures/held-lock.ts';
import { type Era, rpc, toolNames } from './json-rpc.ts';
import { useMcpSite } from './mcp-site.ts';

const { bench, makeLane, use, steer, hold } = useMcpSite();
const ERAS: readonly Era[] = ['2025', '2026'];

describe.each(ERAS)('a client of %s', (era) => {
  test('is told how to work, and works a task from claim to complete', async () => {
    const { server } = bench;
    const { lane, key } = await makeLane();
    const client = { capabilities: {}, clientInfo: { name: 'raw', version: '0' } };
    const hello =
      era === '2025'
        ? await rpc(server, key, 'initialize', { protocolVersion: '2025-06-18', ...client }, { era })
        : await rpc(server, key, 'server/discover', {}, { era });
    expect(hello.body.result.instructions).toContain('claim_task');
    expect(await toolNames(server, key, { era })).toContain('claim_task');
    const task = await bench.makeTask('default', { lane, title: 'build', body: 'Do it.' });
    const claim = await use(key, 'claim_task', {}, { era });
    expect(claim.said).toMatchObject({
      claimed: true,
      task_id: task.id,
      messages: [],
      cancel_requested: false,
    });
    expect(claim.said.text).toContain('> Do it.');
    expect(claim.structured).toEqual(claim.said);
    expect(claim.text).not.toContain('eyJ');
    const { run_id } = claim.said;
    const end = { run_id, summary: 'built', result: { n: 1 } };
    const done = await use(key, 'complete_task', end, { era });
    expect(done.said).toMatchObject({ outcome: 'completed', task_status: 'done', task_id: task.id });
    const { body } = await bench.api.get(`/v1/boards/default/tasks/${task.id}`);
    expect(body.task).toMatchObject({ status: 'done', summary: 'built', result: { n: 1 } });
  });

  test('that asks to be told of progress is told while it waits', async () => {
    const { lane, key } = await makeLane();
    vi.useFakeTimers({ toFake: ['setInterval'] });
    onTestFinished(() => void vi.useRealTimers());
    const options = { era, progressToken: 'p' };
    const waiting = useToolStream(key, { wait_seconds: 45 }, options);
    await waitersAre(1);
    vi.advanceTimersByTime(10_000);
    const task = await bench.makeTask('default', { lane });
    const { messages } = await waiting;
    const [told] = messages;
    expect(told).toMatchObject({ method: 'notifications/progress', params: { progressToken: 'p' } });
    expect(messages.at(-1).result.structuredContent).toMatchObject({ claimed: true, task_id: task.id });
  });
});

const useToolStream = (
  key: string,
  input: Record<string, unknown>,
  options: { era: Era; progressToken: string },
) => rpc(bench.server, key, 'tools/call', { name: 'claim_task', arguments: input }, options);

/** What was lost is there again: given back, or answered again. */
async function eventuallyClaimed(key: string, input: Record<string, unknown>) {
  let answer = await use(key, 'claim_task', input);
  await eventually('there is a claim', async () => {
    if (!answer.said.claimed) answer = await use(key, 'claim_task', input);
    return answer.said.claimed;
  });
  return answer;
}

function waitersAre(count: number): Promise<void> {
  return eventually(`${count} wait for work`, async () => {
    const { body } = await bench.server.call('GET', '/metrics');
    return new RegExp(`^lanekeeper_claim_waiters ${count}$`, 'm').test(body);
  });
}

describe('what a worker is to hear', () => {
  const DEEDS: Readonly<Record<string, Record<string, unknown>>> = {
    show_task: {},
    heartbeat: { note: 'at it' },
    progress: { progress: 1 },
    comment: { body: 'a word' },
    output: { lines: ['a line'] },
    inbox: {},
  };

  test('rides on every answer until it is acknowledged, and a cancel as well', async () => {
    const { lane, key } = await makeLane();
    const { task_id: task, run_id } = await hold(key, lane);
    await steer(task, 'use the other branch');
    for (const [name, input] of Object.entries(DEEDS)) {
      const { said } = await use(key, name, { run_id, ...input });
      expect(said.messages, name).toMatchObject([{ text: 'use the other branch' }]);
      expect(said.cancel_requested, name).toBe(false);
    }
    const { body } = await bench.api.get(`/v1/boards/default/tasks/${task}/messages`);
    expect(body.messages[0].state).toBe('delivered');
    const ids = [body.messages[0].id];
    expect((await use(key, 'inbox', { run_id, acknowledge: ids })).said.messages).toEqual([]);
    await bench.api.post(`/v1/boards/default/tasks/${task}/cancel`, {});
    for (const [name, input] of Object.entries(DEEDS))
      expect((await use(key, name, { run_id, ...input })).said.cancel_requested, name).toBe(true);
    expect((await use(key, 'release_task', { run_id })).said).toMatchObject({
      outcome: 'cancelled',
      task_status: 'cancelled',
      cancel_requested: true,
    });
  });

  test('rides on every answer to the token of a claim, each is a heartbeat, and a wait ends with it', async () => {
    const { lane, key } = await makeLane();
    await bench.makeTask('default', { lane });
    const { token, task, run_id } = await bench.claim('default', lane);
    const other = await makeLane();
    const { said: made } = await use(token, 'create_tasks', { tasks: [{ title: 'help', lane: other.lane }] });
    const { said: handed } = await use(token, 'delegate', { goal: 'help', lane: other.lane });
    const delegation_id = handed.delegation.id;
    const ids = [made.tasks[0].id];
    const deeds: typeof DEEDS = {
      ...DEEDS,
      create_tasks: { tasks: [{ title: 'more', lane: other.lane }] },
      delegate: { goal: 'more', lane: other.lane, on_capacity: 'inline' },
      check: { delegation_id },
      collect: { delegation_id, wait_seconds: 45 },
      wait_tasks: { ids, wait_seconds: 45 },
      steer: { delegation_id, message: 'soon' },
      cancel: { delegation_id },
    };
    const ends = ['complete_task', 'block_task', 'fail_task', 'release_task', 'request_changes'];
    expect([...Object.keys(deeds), ...ends].toSorted()).toEqual(
      (await toolNames(bench.server, token)).toSorted(),
    );
    const beats = async () => {
      const [row] = await bench.database.sql`SELECT last_heartbeat_at AS at FROM claims WHERE lane = ${lane}`;
      return Number(row?.['at']);
    };
    for (const name of ['collect', 'wait_tasks'] as const) {
      const before = await beats();
      const waiting = use(token, name, deeds[name]);
      await eventually('it waits', async () => (await beats()) > before);
      await steer(task.id, name);
      const [message] = (await waiting).said.messages;
      expect(message).toMatchObject({ text: name });
      await use(token, 'inbox', { acknowledge: [message.id] });
    }
    await steer(task.id, 'use the other branch');
    for (const [name, input] of Object.entries(deeds)) {
      const before = await beats();
      const { said, structured, text } = await use(token, name, input);
      expect(said, name).toMatchObject({ run_id, task_id: task.id, cancel_requested: false });
      expect(said.messages, name).toMatchObject([{ text: 'use the other branch' }]);
      expect(structured, name).toEqual(said);
      expect(Buffer.byteLength(text), name).toBeLessThanOrEqual(20_000);
      expect(await beats(), name).toBeGreaterThan(before);
    }
    await bench.api.post(`/v1/boards/default/tasks/${task.id}/cancel`, {});
    for (const [name, input] of Object.entries(deeds))
      expect((await use(token, name, input)).said, name).toMatchObject({ cancel_requested: true });
    expect((await use(token, 'release_task')).said.outcome).toBe('cancelled');
    expect((await use(key, 'claim_task')).said.claimed).toBe(false);
  });

  test('wakes an inbox that waits', async () => {
    const { lane, key } = await makeLane();
    const { task_id: task, run_id } = await hold(key, lane);
    const startedAt = performance.now();
    const waiting = use(key, 'inbox', { run_id, wait_seconds: 45 });
    await steer(task, 'now');
    expect((await waiting).said.messages).toMatchObject([{ text: 'now' }]);
    expect(performance.now() - startedAt).toBeLessThan(20_000);
  });

  test('is waited for without losing the claim: it is heard of all the while', async () => {
    const { lane, key } = await makeLane({ lease_seconds: 6 });
    const { task_id: task, run_id } = await hold(key, lane);
    const expiries = new Set<string>();
    const waiting = use(key, 'inbox', { run_id, wait_seconds: 45 });
    await eventually('its lease is extended while it waits', async () => {
      const { body } = await bench.api.get(`/v1/boards/default/tasks/${task}`);
      expiries.add(body.task.claim.lease_expires_at);
      // As claimed, at the beginning of the wait, and during it.
      return expiries.size >= 4;
    });
    await steer(task, 'enough');
    expect((await waiting).said).toMatchObject({ run_id, messages: [{ text: 'enough' }] });
  });

  test('and came too late for it is named by the end', async () => {
    const { lane, key } = await makeLane();
    const { task_id: task, run_id } = await hold(key, lane);
    await steer(task, 'one more thing');
    const { said } = await use(key, 'complete_task', { run_id, summary: 'done' });
    expect(said.messages).toMatchObject([{ text: 'one more thing' }]);
  });

  test('waits behind more that is to be heard first, when that is too much for one answer', async () => {
    const { lane, key } = await makeLane();
    const { task_id: task, run_id } = await hold(key, lane);
    for (const sign of ['a', 'b', 'c', 'd', 'e']) await steer(task, sign.repeat(4000));
    const { said, text } = await use(key, 'inbox', { run_id });
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(20_000);
    expect(said.messages.length + said.more_messages).toBe(5);
    const ids = said.messages.map(({ id }: { id: string }) => id);
    expect((await use(key, 'inbox', { run_id, acknowledge: ids })).said.messages[0].text).toContain('b');
  });
});

describe('a claim', () => {
  test('is answered again to the same request id, and to no other', async () => {
    const { lane, key } = await makeLane();
    await bench.makeTask('default', { lane });
    await bench.makeTask('default', { lane });
    const first = await use(key, 'claim_task', { request_id: 'r1' });
    const again = await use(key, 'claim_task', { request_id: 'r1', wait_seconds: 1 });
    expect(again.said).toMatchObject({ claimed: true, run_id: first.said.run_id });
    expect((await use(key, 'claim_task', { request_id: 'r2' })).said.run_id).not.toBe(first.said.run_id);
    await use(key, 'complete_task', { summary: 'done', run_id: first.said.run_id });
    expect((await use(key, 'claim_task', { request_id: 'r1' })).said).toMatchObject({
      claimed: false,
      reason: 'claim_over',
      next: expect.stringContaining('new request_id'),
    });
  });

  test('that finds nothing says why and when to ask again, within the wait', async () => {
    const { lane, key } = await makeLane();
    expect((await use(key, 'claim_task', { wait_seconds: 1 })).said).toEqual({
      claimed: false,
      reason: 'none_ready',
      retry_after: 1,
    });
    await bench.api.post(`/v1/boards/default/lanes/${lane}/pause`);
    expect((await use(key, 'claim_task')).said).toMatchObject({ claimed: false, reason: 'lane_paused' });
    const { isError, said } = await use(key, 'claim_task', { wait_seconds: 46 });
    expect({ isError, code: said.code, pointer: said.errors[0].pointer }).toEqual({
      isError: true,
      code: 'invalid_request',
      pointer: '/wait_seconds',
    });
  });

  test('is not made for a client that has gone', async () => {
    const { lane, key } = await makeLane();
    const gone = new AbortController();
    const waiting = use(key, 'claim_task', { wait_seconds: 45 }, { signal: gone.signal });
    await waitersAre(1);
    gone.abort();
    await expect(waiting).rejects.toThrow();
    await waitersAre(0);
    const task = await bench.makeTask('default', { lane });
    expect((await use(key, 'claim_task')).said).toMatchObject({ task_id: task.id, attempt: 1 });
  });

  test('that cannot be told to its client any more is given back at once, unless it has a request id to be asked for again', async () => {
    const { database } = bench;
    const { lane, key } = await makeLane();
    const manners: { request_id?: string }[] = [{}, { request_id: 'lost' }];
    for (const input of manners) {
      const task = await bench.makeTask('default', { lane });
      const gone = new AbortController();
      const gate = await holdGate(database.sql);
      const claiming = use(key, 'claim_task', input, { signal: gone.signal });
      await untilStanding(database.sql, 'claims.claim', 'gate');
      gone.abort();
      await expect(claiming).rejects.toThrow();
      await gate.release();
      const { said } = await eventuallyClaimed(key, input);
      expect(said.task_id).toBe(task.id);
      expect(said.attempt).toBe(input.request_id === undefined ? 2 : 1);
      // Who has asked again has been heard of: it is not given back behind its back.
      const [row] =
        await database.sql`SELECT last_heartbeat_at IS NOT NULL AS is_heard FROM claims WHERE lane = ${lane}`;
      expect(row?.['is_heard']).toBe(input.request_id !== undefined);
      await use(key, 'complete_task', { run_id: said.run_id, summary: 'done' });
    }
  });

  test('is not made for a key that is revoked while it waits', async () => {
    const { lane } = await makeLane();
    const key = await bench.makeKey({ role: 'lane', board: 'default', lane });
    const waiting = rpc(bench.server, key.secret, 'tools/call', {
      name: 'claim_task',
      arguments: { wait_seconds: 45 },
    });
    await waitersAre(1);
    await bench.api.delete(`/v1/keys/${key.id}`);
    expect((await waiting).status).toBe(401);
    await waitersAre(0);
  });
});
