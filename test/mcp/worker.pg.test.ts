/** An agent as the worker of a lane, by the official client, in both eras of the protocol: claims, hears, ends. */
import { describe, expect, test } from 'vitest';
import { useBench } from '../fixtures/bench.ts';
import { eventually } from '../fixtures/eventually.ts';
import { type Agent, connectHttp, type Era, type HttpOptions } from './agent.ts';
import { makePlace } from './place.ts';

const bench = useBench();

/** Where agents are connected with the key of the lane. */
async function openPlace() {
  const { board, key } = await makePlace(bench);
  const path = (rest: string) => `/v1/boards/${board}${rest}`;
  const connect = (options: HttpOptions = {}): Promise<Agent> => connectHttp(bench.server.url, key, options);
  const task = (more: Record<string, unknown> = {}) => bench.makeTask(board, { lane: 'factory', ...more });
  return { board, key, path, connect, task };
}

describe.each<Era>(['legacy', 'auto'])('an agent whose client begins as %s', (era) => {
  test('works a task from claim to complete, and is told how', async () => {
    const { path, connect, task } = await openPlace();
    const made = await task({ title: 'paint the shed', body: 'All of it, in green.', payload: { coats: 2 } });
    const agent = await connect({ era });
    expect(agent.client.getInstructions()).toContain('claim_task');
    const claim = await agent.call('claim_task', { request_id: 'c1' });
    expect(claim).toMatchObject({
      claimed: true,
      task_id: made.id,
      attempt: 1,
      cancel_requested: false,
      messages: [],
    });
    expect(claim.text).toContain('paint the shed');
    expect(claim.text).toContain('All of it, in green.');
    expect(await agent.call('show_task')).toMatchObject({ task: { id: made.id, status: 'running' } });
    const { run_id } = claim;
    expect(await agent.call('heartbeat', { run_id, note: 'first coat' })).toMatchObject({ run_id });
    await agent.call('progress', { run_id, progress: 1, checkpoint: { coats: 1 } });
    await agent.call('output', { run_id, lines: ['one coat', 'two coats'] });
    await agent.call('comment', { run_id, body: 'It rained.' });
    const done = { run_id, summary: 'The shed is green.', result: { coats: 2 } };
    const end = await agent.call('complete_task', done);
    expect(end).toMatchObject({ outcome: 'completed', task_status: 'done' });
    const { body } = await bench.api.get(path(`/tasks/${made.id}`));
    expect(body.task).toMatchObject({ status: 'done', summary: 'The shed is green.', result: { coats: 2 } });
    const { lines } = (await bench.api.get(path(`/tasks/${made.id}/output`))).body;
    expect(lines.map(({ text }: { text: string }) => text)).toEqual(['one coat', 'two coats']);
  });
});

/** Well below the wait that is given up: a server that went on with it would be late. */
const GIVEN_UP_WITHIN_MS = 20_000;

describe('a claim', () => {
  test('waits for a task, and is given it when it comes', async () => {
    const { connect, task } = await openPlace();
    const agent = await connect();
    const claiming = agent.call('claim_task', { wait_seconds: 45 });
    const made = await task();
    expect(await claiming).toMatchObject({ claimed: true, task_id: made.id });
  });

  test('of which the answer was lost is given again by its request_id, and takes no second task', async () => {
    const { path, connect, task } = await openPlace();
    await Promise.all([task(), task()]);
    let lost = 0;
    const losing: typeof fetch = async (input, init) => {
      const answer = await fetch(input, init);
      if (lost === 0 && String(init?.body).includes('claim_task')) {
        lost += 1;
        await answer.text();
        throw new TypeError('the answer was lost');
      }
      return answer;
    };
    const agent = await connect({ fetch: losing });
    await expect(agent.call('claim_task', { request_id: 'r1' })).rejects.toThrow('the answer was lost');
    const running = async () => (await bench.api.get(path('/tasks?status=running'))).body.tasks;
    const [held] = await eventually('the task is claimed', async () => {
      const tasks = await running();
      return tasks.length > 0 && tasks;
    });
    const again = await agent.call('claim_task', { request_id: 'r1' });
    expect(again).toMatchObject({ claimed: true, task_id: held.id, run_id: held.claim.run_id });
    expect(await agent.call('claim_task', { request_id: 'r1' })).toMatchObject({ run_id: again.run_id });
    expect(await running()).toHaveLength(1);
    await agent.call('release_task', { run_id: again.run_id });
  });

  test.each<Era>(['legacy', 'auto'])(
    'that is waited for by a client that begins as %s and gives up is no claim',
    async (era) => {
      const { path, connect, task } = await openPlace();
      let over: Promise<unknown> = Promise.resolve();
      const watched: typeof fetch = (input, init) => {
        const answer = fetch(input, init);
        if (String(init?.body).includes('claim_task'))
          over = answer.then((response) => response.clone().text()).catch(() => undefined);
        return answer;
      };
      const agent = await connect({ era, fetch: watched });
      const leave = new AbortController();
      const claiming = agent.call('claim_task', { wait_seconds: 45 }, leave.signal);
      const waits = async () => (await bench.api.get(path('/lanes/factory'))).body.lane.presence.online;
      await eventually('the lane is seen to wait', waits);
      leave.abort();
      await expect(claiming).rejects.toThrow();
      // The earlier revisions say it by a message, and the connection stays.
      await over;
      const made = await task();
      const other = await connect();
      // Whoever asks next is given it: nobody holds it.
      expect(await other.call('claim_task', { wait_seconds: 45 })).toMatchObject({ task_id: made.id });
      const { body } = await bench.api.get(path(`/tasks/${made.id}`));
      expect(body.task.consecutive_failures).toBe(0);
    },
    GIVEN_UP_WITHIN_MS,
  );
});

describe('while it works, an agent', () => {
  test('is steered and cancelled with the answers to whatever it says', async () => {
    const { path, connect, task } = await openPlace();
    const made = await task();
    const agent = await connect();
    const { run_id } = await agent.call('claim_task');
    await bench.api.post(path(`/tasks/${made.id}/steer`), { message: 'use the blue paint' });
    const heard = await agent.call('output', { run_id, lines: ['still green'] });
    expect(heard).toMatchObject({ accepted: 1, messages: [{ text: 'use the blue paint' }] });
    const inbox = await agent.call('inbox', { run_id, acknowledge: [heard.messages[0].id] });
    expect(inbox.messages).toEqual([]);
    const waiting = agent.call('inbox', { run_id, wait_seconds: 45 });
    await bench.api.post(path(`/tasks/${made.id}/steer`), { message: 'hurry' });
    expect(await waiting).toMatchObject({ messages: [{ text: 'hurry' }], cancel_requested: false });
    await bench.api.post(path(`/tasks/${made.id}/cancel`), { reason: 'sold' });
    expect(await agent.call('comment', { run_id, body: 'what now?' })).toMatchObject({
      cancel_requested: true,
    });
    expect(await agent.call('release_task', { run_id })).toMatchObject({
      outcome: 'cancelled',
      task_status: 'cancelled',
    });
    const refused = await agent.refusal('heartbeat', { run_id });
    expect(refused).toMatchObject({ code: 'claim_lost', next: expect.any(String) });
  });

  test('blocks with a question, and reads the answer in its next attempt', async () => {
    const { path, connect, task } = await openPlace();
    const made = await task();
    const agent = await connect();
    const { run_id } = await agent.call('claim_task');
    const end = await agent.call('block_task', { run_id, kind: 'needs_input', reason: 'Which colour?' });
    expect(end).toMatchObject({ outcome: 'blocked', task_status: 'blocked' });
    await bench.api.post(path(`/tasks/${made.id}/unblock`), { answer: 'Blue, please.' });
    const claim = await agent.call('claim_task');
    expect(claim).toMatchObject({ task_id: made.id, attempt: 2 });
    expect(claim.text).toContain('Blue, please.');
    expect(
      await agent.call('fail_task', { run_id: claim.run_id, error: 'no blue paint', retryable: false }),
    ).toMatchObject({
      outcome: 'failed',
    });
  });

  test('ends its task once, however often it says so in the same words', async () => {
    const { connect, task } = await openPlace();
    await task();
    const agent = await connect();
    const { run_id: run } = await agent.call('claim_task');
    const end = { run_id: run, summary: 'done' };
    const first = await agent.call('complete_task', end);
    expect(await agent.call('complete_task', end)).toEqual(first);
    expect(await agent.refusal('fail_task', { run_id: run, error: 'after all' })).toMatchObject({
      code: 'claim_lost',
    });
  });

  test('that lost its claim is told so, and what to do', async () => {
    const { path, connect, task } = await openPlace();
    const made = await task();
    const agent = await connect();
    const { run_id: run } = await agent.call('claim_task');
    await bench.api.post(path(`/tasks/${made.id}/reclaim`), {});
    const refused = await agent.refusal('complete_task', { run_id: run, summary: 'done' });
    expect(refused).toMatchObject({ code: 'claim_lost', next: expect.stringContaining('Stop') });
  });

  test('with several claims must say which, and several workers of one key do not meet', async () => {
    const { connect, task } = await openPlace();
    await Promise.all([task(), task(), task()]);
    const agent = await connect();
    const first = await agent.call('claim_task');
    const second = await agent.call('claim_task');
    const mine = await agent.call('claim_task', { worker: 'other' });
    expect((await agent.refusal('heartbeat')).detail).toContain(first.run_id);
    expect(await agent.call('heartbeat', { run_id: second.run_id })).toMatchObject({
      task_id: second.task_id,
    });
    expect(await agent.refusal('heartbeat', { run_id: mine.run_id })).toMatchObject({
      code: 'not_your_claim',
    });
    expect(await agent.call('show_task', { worker: 'other' })).toMatchObject({ run_id: mine.run_id });
    const { run_id } = mine;
    expect(await agent.call('heartbeat', { run_id, worker: 'other' })).toMatchObject({ run_id });
  });
});

describe('what is long', () => {
  test('is answered in parts below 20 KB, which together are the whole', async () => {
    const { connect, task } = await openPlace();
    const body = Array.from({ length: 6000 }, (_, index) => `line ${index} ä`)
      .join('\n')
      .slice(0, 60_000);
    const made = await task({ body });
    const agent = await connect();
    let part = await agent.call('claim_task');
    let text: string = part.text;
    let parts = 1;
    while (part.next_cursor !== undefined) {
      expect(Buffer.byteLength(JSON.stringify(part))).toBeLessThanOrEqual(20_000);
      part = await agent.call('show_task', { cursor: part.next_cursor });
      text += part.text;
      parts += 1;
    }
    expect(parts).toBeGreaterThan(2);
    // What others wrote is quoted, line by line.
    expect(text.replaceAll('\n> ', '\n').includes(body)).toBe(true);
    expect(part.task.id).toBe(made.id);
  });
});
