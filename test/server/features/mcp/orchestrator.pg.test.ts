/** What orchestrators do over MCP, under our names and under those that agents of Hermes know. */
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { BoardFeeds } from '../../../../src/server/features/watch/service.ts';
import { eventually } from '../../../fixtures/bench.ts';
import { toolNames } from './json-rpc.ts';
import { useMcpSite } from './mcp-site.ts';

const { bench, makeLane, use, orchestrate } = useMcpSite();

/** Claims what comes next and ends it. */
async function endNext(key: string, name: string, input: Record<string, unknown>) {
  const { said } = await use(key, 'claim_task', { wait_seconds: 5 });
  return use(key, name, { run_id: said.run_id, ...input });
}

describe('an orchestrator', () => {
  test('creates tasks that wait for each other, and waits for them', async () => {
    const { lane, key } = await makeLane();
    const input = {
      tasks: [
        { title: 'first', lane },
        { title: 'then', lane, parents: ['#0'] },
      ],
      request_id: lane,
    };
    const { said } = await orchestrate('create_tasks', input);
    expect(said.tasks).toMatchObject([{ status: 'ready' }, { status: 'todo', waits_for: 1 }]);
    expect((await orchestrate('create_tasks', input)).said).toEqual(said);
    const ids = said.tasks.map(({ id }: { id: string }) => id);
    expect((await orchestrate('wait_tasks', { ids, for: 'any' })).said.met).toBe(false);
    const any = orchestrate('wait_tasks', { ids, for: 'any', wait_seconds: 45 });
    const all = orchestrate('wait_tasks', { ids, for: 'done', wait_seconds: 45 });
    await endNext(key, 'complete_task', { summary: 'first is done' });
    expect((await any).said).toMatchObject({ met: true, tasks: [{ status: 'done' }, {}] });
    await endNext(key, 'block_task', { reason: 'which one?', kind: 'needs_input' });
    // It cannot be met by waiting any more.
    expect((await all).said).toMatchObject({
      met: false,
      tasks: [{ status: 'done' }, { status: 'blocked' }],
    });
    await orchestrate('unblock', { task_id: ids[1], answer: 'that one' });
    const { run_id, text } = (await use(key, 'claim_task', { wait_seconds: 5 })).said;
    expect(text).toContain('> that one');
    await orchestrate('steer', { task_id: ids[1], message: 'quickly' });
    const { said: heard } = await use(key, 'heartbeat', { run_id });
    expect(heard.messages).toMatchObject([{ text: 'quickly' }]);
    await orchestrate('cancel', { task_id: ids[1] });
    expect((await use(key, 'heartbeat', { run_id })).said.cancel_requested).toBe(true);
    const get = await orchestrate('get_task', {
      task_id: ids[1],
      include: ['runs', 'messages', 'why'],
    });
    expect(get.said).toMatchObject({ task: { id: ids[1] }, messages: [{ text: 'quickly' }] });
    expect((await orchestrate('list_lanes')).said.lanes).toContainEqual(
      expect.objectContaining({ name: lane, online: true, running: 1 }),
    );
  });

  test('delegates, for the origin that its gateway names, and collects one result', async () => {
    const { lane, key } = await makeLane();
    const origin = { platform: 'telegram', chat_id: lane, session_id: lane };
    const headers = { 'Lanekeeper-Origin': Buffer.from(JSON.stringify(origin)).toString('base64url') };
    const handed = await orchestrate(
      'delegate',
      { tasks: [{ goal: 'one' }, { goal: 'two' }], lane, join: 'all' },
      { headers },
    );
    const delegation_id = handed.said.delegation.id;
    const { body } = await bench.api.get(`/v1/boards/default/delegations/${delegation_id}`);
    expect(body.delegation.origin).toMatchObject(origin);
    const collecting = orchestrate('collect', { delegation_id, wait_seconds: 45 });
    for (const word of ['eins', 'zwei']) {
      await endNext(key, 'complete_task', { summary: word });
    }
    const { said } = await collecting;
    expect(said.status).toBe('completed');
    expect(said.text).toMatch(/eins[\s\S]*zwei/);
  });

  test('is refused beyond the capacity, told to do it alone, or waits for room, as it asks for', async () => {
    const { lane } = await makeLane();
    const input = { goal: 'more', lane, capacity_key: lane };
    const running: string[] = [];
    for (let count = 0; count < 3; count += 1)
      running.push((await orchestrate('delegate', input)).said.delegation.id);
    const more = (on_capacity: string) =>
      orchestrate('delegate', { ...input, on_capacity, wait_seconds: 30 });
    expect(await more('fail')).toMatchObject({ isError: true, said: { code: 'delegation_capacity' } });
    expect(await more('inline')).toMatchObject({ isError: false, said: { delegated: false } });
    const waiting = more('wait');
    await orchestrate('cancel', { delegation_id: running[0] });
    expect((await waiting).said).toMatchObject({ delegated: true });
  });

  test('reads what is long in answers of at most 20 KB, to its end', async () => {
    const { lane } = await makeLane();
    const text = 'Zeile\n'.repeat(10_000);
    const { id } = await bench.makeTask('default', { lane, body: text });
    let json = '';
    let cursor: string | undefined;
    do {
      const part = await orchestrate('get_task', { task_id: id, ...(cursor ? { cursor } : {}) });
      expect(Buffer.byteLength(part.text)).toBeLessThanOrEqual(20_000);
      json += part.said.json_part;
      cursor = part.said.next_cursor;
    } while (cursor !== undefined);
    expect(JSON.parse(json).task.body).toBe(text);
    const titles = Array.from({ length: 60 }, (_, index) => ({
      title: `${index} ${'語'.repeat(400)}`,
      lane,
    }));
    await bench.api.post('/v1/boards/default/tasks/batch', { tasks: titles });
    const seen: string[] = [];
    let next: string | null = null;
    do {
      const input: Record<string, unknown> = { lane, limit: 200, ...(next ? { cursor: next } : {}) };
      const page = await orchestrate('list_tasks', input);
      expect(Buffer.byteLength(page.text)).toBeLessThanOrEqual(20_000);
      seen.push(...page.said.tasks.map((task: { id: string }) => task.id));
      next = page.said.next_cursor;
    } while (next !== null);
    expect([seen.length, new Set(seen).size]).toEqual([61, 61]);
  });

  test('is answered for every task that it names or makes, however long their texts are', async () => {
    const { lane, key } = await makeLane();
    const tasks = Array.from({ length: 100 }, (_, index) => ({ title: `${index} ${'x'.repeat(80)}`, lane }));
    const made = await orchestrate('create_tasks', { tasks });
    const ids: string[] = made.said.tasks.map(({ id }: { id: string }) => id);
    expect([ids.length, new Set(ids).size]).toEqual([100, 100]);
    expect(made.said.tasks[99]).toMatchObject({ status: 'ready', title: expect.stringMatching(/^99 x+…$/) });
    await bench.makeTask('default', { lane: (await makeLane()).lane });
    const idsOf = (said: { tasks: { id: string; status: string }[] }) => said.tasks.map(({ id }) => id);
    const delegated = Array.from({ length: 100 }, (_, index) => ({ goal: `${index} ${'y'.repeat(300)}` }));
    const handed = await orchestrate('delegate', { tasks: delegated, lane, capacity_key: lane });
    const { id: delegation_id, tasks: children } = handed.said.delegation;
    const { said: checked } = await orchestrate('check', { delegation_id });
    expect([idsOf(checked), checked.truncated]).toEqual([children, true]);
    // Twice the same is one task.
    const some = ids.slice(0, 25);
    const { said: waited } = await orchestrate('wait_tasks', { ids: [...some, ...some] });
    expect(idsOf(waited)).toEqual(some);
    expect(await use(key, 'claim_task')).toMatchObject({ said: { claimed: true } });
  });

  test('waits for fifty tasks with one look at the log, and for no more than so many at once', async () => {
    const { lane, key } = await makeLane();
    const tasks = Array.from({ length: 50 }, (_, index) => ({ title: `${index}`, lane }));
    const made = await orchestrate('create_tasks', { tasks });
    const ids: string[] = made.said.tasks.map(({ id }: { id: string }) => id);
    const follow = vi.spyOn(BoardFeeds.prototype, 'follow');
    onTestFinished(() => follow.mockRestore());
    const waiting = orchestrate('wait_tasks', { ids, for: 'any', wait_seconds: 45 });
    await eventually('it waits', async () => follow.mock.calls.length > 0);
    await endNext(key, 'complete_task', { summary: 'first' });
    expect((await waiting).said).toMatchObject({ met: true });
    expect(follow.mock.calls.length).toBeLessThan(5);
  });

  test('reads a long task to its end while it is worked on', async () => {
    const { lane, key } = await makeLane();
    const body = 'Zeile\n'.repeat(5000);
    const { id } = await bench.makeTask('default', { lane, body });
    const { run_id } = (await use(key, 'claim_task')).said;
    let json = '';
    let cursor: string | undefined;
    do {
      const { said } = await orchestrate('get_task', { task_id: id, ...(cursor ? { cursor } : {}) });
      json += said.json_part;
      cursor = said.next_cursor;
      await use(key, 'heartbeat', { run_id });
    } while (cursor !== undefined);
    expect(JSON.parse(json).task).toMatchObject({ body, claim: { run_id } });
  });

  test('reads all lanes, however long what is said of each is', async () => {
    const board = 'many-lanes';
    await bench.api.put(`/v1/boards/${board}`);
    const names = Array.from({ length: 45 }, (_, index) => `lane-${index}`.padEnd(60, 'x'));
    for (const name of names) await bench.makeLane(board, name, { description: '語'.repeat(300) });
    const { secret } = await bench.makeKey({ role: 'observer', boards: [board] });
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const { said, text }: Awaited<ReturnType<typeof use>> = await use(secret, 'list_lanes', { cursor });
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(20_000);
      expect(said.truncated).toBeUndefined();
      seen.push(...said.lanes.map(({ name }: { name: string }) => name));
      cursor = said.next_cursor;
    } while (cursor !== null);
    expect(seen.toSorted()).toEqual(names.toSorted());
  });

  test('is told to name a lane for what nobody could claim without', async () => {
    for (const [input, pointer] of [
      [{ goal: 'x' }, '/lane'],
      [{ tasks: [{ goal: 'x', lane: 'a' }, { goal: 'y' }] }, '/tasks/1/lane'],
    ] as const)
      expect(await orchestrate('delegate', input)).toMatchObject({
        isError: true,
        said: { code: 'invalid_request', errors: [{ pointer }], next: expect.stringContaining('lane') },
      });
  });

  test('finds its board, or is told to name it', async () => {
    const two = await bench.makeKey({ role: 'observer', boards: ['default', 'other'] });
    expect((await use(two.secret, 'list_tasks', { limit: 1 })).isError).toBe(false);
    const { secret } = await bench.makeKey({ role: 'observer', boards: ['other', 'another'] });
    expect((await use(secret, 'list_tasks')).said).toMatchObject({
      code: 'invalid_request',
      errors: [{ pointer: '/board' }],
    });
    expect((await use(secret, 'list_tasks', { board: 'default' })).said).toMatchObject({ code: 'not_found' });
  });
});

describe('the names that agents of Hermes know', () => {
  test('work for keys that were made with them', async () => {
    const { lane, key: plain } = await makeLane();
    const key = (await bench.makeKey({ role: 'lane', board: 'default', lane, mcp_aliases: true })).secret;
    const chief = (await bench.makeKey({ role: 'orchestrator', boards: ['default'], mcp_aliases: true }))
      .secret;
    expect(await toolNames(bench.server, plain)).not.toContain('kanban_show');
    const create = {
      title: 'a card',
      assignee: lane,
      triage: false,
      skills: ['git'],
      workspace_kind: 'scratch',
    };
    const { said } = await use(chief, 'kanban_create', create);
    const [{ id: task_id }] = said.tasks;
    await bench.api.patch(`/v1/boards/default/tasks/${task_id}`, { external_ref: 't_0abc1' });
    expect((await use(chief, 'kanban_list', { assignee: lane, status: 'ready' })).said.tasks).toMatchObject([
      { id: task_id },
    ]);
    await use(key, 'claim_task');
    expect((await use(key, 'kanban_show', { task_id })).said.text).toContain('"skills":["git"]');
    expect((await use(key, 'kanban_heartbeat', { note: 'on it', task_id: 't_0abc1' })).said.task_id).toBe(
      task_id,
    );
    expect((await use(key, 'kanban_comment', { task_id, body: 'hm' })).said.comment_id).toMatch(/^cmt_/);
    const done = { summary: 'did it', created_cards: ['x'], artifacts: ['out.txt'], metadata: { a: 1 } };
    expect(
      await use(key, 'kanban_complete', { ...done, task_id: 'task_01jcqk0v3te8sr3x6y9m2b4n5p' }),
    ).toMatchObject({
      isError: true,
      said: { code: 'not_your_claim' },
    });
    expect((await use(key, 'kanban_complete', { ...done, task_id })).said.task_status).toBe('done');
    const { body } = await bench.api.get(`/v1/boards/default/tasks/${task_id}`);
    expect(body.task.metadata).toEqual({ a: 1, created_cards: ['x'], artifacts: ['out.txt'] });
    for (const [name, input, outcome] of [
      ['kanban_block', { reason: 'why?' }, 'blocked'],
      ['kanban_request_review', { summary: 'look' }, 'review'],
    ] as const) {
      const made = await use(chief, 'kanban_create', { title: name, assignee: lane });
      await use(key, 'claim_task');
      const own = { task_id: made.said.tasks[0].id };
      expect((await use(key, name, input)).said).toMatchObject({ errors: [{ pointer: '/run_id' }] });
      expect((await use(key, name, { ...own, ...input })).said.task_status).toBe(outcome);
      if (outcome === 'blocked') await use(chief, 'kanban_unblock', own);
      if (outcome === 'blocked') await use(key, 'claim_task');
      if (outcome === 'blocked') await use(key, 'kanban_complete', { ...own, result: 'because' });
    }
    const [parent, child] = [
      await use(chief, 'kanban_create', create),
      await use(chief, 'kanban_create', create),
    ];
    const link = { parent_id: parent.said.tasks[0].id, child_id: child.said.tasks[0].id };
    expect((await use(chief, 'kanban_link', link)).said).toMatchObject({ status: 'todo', waits_for: 1 });
    const handed = await use(chief, 'delegate_task_async', { goal: 'help', lane });
    const { id } = handed.said.delegation;
    expect((await use(chief, 'check_task', { task_id: id })).said.delegation.status).toBe('running');
    expect((await use(chief, 'steer_task', { task_id: id, message: 'soon' })).said.queued).toBe(1);
    expect((await use(chief, 'cancel_task', { task_id: id })).said.delegation.status).toBe('cancelled');
    expect((await use(chief, 'collect_task', { task_id: id, timeout: 5 })).said.status).toBe('cancelled');
  });

  test('take all that Hermes gives them, and find the run by its task', async () => {
    const board = 'hermes';
    await bench.api.put(`/v1/boards/${board}`);
    await bench.makeLane(board, 'only');
    const key = (await bench.makeKey({ role: 'lane', board, lane: 'only', mcp_aliases: true })).secret;
    const chief = (await bench.makeKey({ role: 'orchestrator', boards: [board], mcp_aliases: true })).secret;
    const output_schema = { type: 'object' };
    const more = { role: 'leaf', background: true, action: 'delegate' };
    const whole = { goal: 'help', context: 'all', group: 'g', images: ['a.png'], output_schema, ...more };
    const alone = await use(chief, 'delegate_task_async', whole);
    expect(alone).toMatchObject({ isError: false, said: { delegated: true } });
    const tasks = [{ goal: 'one', context: 'all', output_schema, images: ['b.png'], group: 'g' }];
    const batch = await use(chief, 'delegate_task_async', { tasks, ...more });
    expect(batch).toMatchObject({ isError: false, said: { delegated: true } });
    const claimed = [(await use(key, 'claim_task')).said, (await use(key, 'claim_task')).said];
    for (const { text } of claimed) expect(text).toContain('"output_schema":{"type":"object"}');
    const { id } = alone.said.delegation;
    const steered = { action: 'steer', subagent_id: id, message: 'soon' };
    expect((await use(chief, 'delegate_task_async', steered)).said.queued).toBe(1);
    expect((await use(chief, 'delegate_task_async', { action: 'list' })).said.tasks).toHaveLength(2);
    // Holding two, the task says which run is meant; an astral character at the end of an excerpt is not halved.
    const result = `${'x'.repeat(399)}😀`;
    for (const { task_id } of claimed) {
      expect((await use(key, 'kanban_heartbeat', { task_id })).said).toMatchObject({ task_id });
      const { said } = await use(key, 'kanban_complete', { task_id, result });
      expect(said).toMatchObject({ task_id, task_status: 'done' });
      expect((await use(key, 'kanban_complete', { task_id, result })).said.code).toBe('not_your_claim');
    }
    expect((await use(chief, 'collect_task', { task_id: id, timeout: 300 })).said.status).toBe('completed');
    const stopped = { action: 'stop', subagent_id: batch.said.delegation.id };
    expect((await use(chief, 'delegate_task_async', stopped)).said).toHaveProperty('delegation');
    await bench.makeLane(board, 'second');
    expect((await use(chief, 'delegate_task_async', { goal: 'x' })).said.errors).toMatchObject([
      { pointer: '/lane' },
    ]);
  });
});
