/** Who sees and may do what over MCP, by the official client: never more than over REST. */
import { describe, expect, test } from 'vitest';
import { uniqueName, useBench } from '../fixtures/bench.ts';
import { ADMIN_KEY } from '../fixtures/server.ts';
import { type Agent, connectHttp, type HttpOptions } from './agent.ts';

const bench = useBench();
const connect = (token: string, options: HttpOptions = {}): Promise<Agent> =>
  connectHttp(bench.server.url, token, options);

async function makeBoard(): Promise<string> {
  const board = uniqueName('mcp');
  await bench.api.put(`/v1/boards/${board}`);
  await bench.makeLane(board, 'factory');
  return board;
}

async function keyOf(role: string, board: string, more: Record<string, unknown> = {}): Promise<string> {
  const place = role === 'lane' ? { board, lane: 'factory' } : { boards: [board] };
  return (await bench.makeKey({ role, ...place, ...more })).secret;
}

const LOOKING = ['check', 'collect', 'get_task', 'list_lanes', 'list_tasks', 'wait_tasks'];
const OPERATING = ['cancel', 'create_tasks', 'delegate', 'steer', 'unblock'];
const WORKING = [
  'block_task',
  'comment',
  'complete_task',
  'fail_task',
  'heartbeat',
  'inbox',
  'output',
  'progress',
  'release_task',
  'request_changes',
  'show_task',
];
const ALIASES = {
  operator: [
    'cancel_task',
    'check_task',
    'collect_task',
    'delegate_task_async',
    'kanban_comment',
    'kanban_create',
    'kanban_link',
    'kanban_list',
    'kanban_show',
    'kanban_unblock',
    'steer_task',
  ],
  observer: ['kanban_list', 'kanban_show'],
  lane: [
    'kanban_block',
    'kanban_comment',
    'kanban_complete',
    'kanban_heartbeat',
    'kanban_request_review',
    'kanban_show',
  ],
};

describe('the tools that are listed', () => {
  test('are those of the principal, each with a schema and a description', async () => {
    const board = await makeBoard();
    await bench.makeTask(board, { lane: 'factory' });
    const { token } = await bench.claim(board, 'factory');
    const lists = {
      admin: ADMIN_KEY,
      orchestrator: await keyOf('orchestrator', board),
      observer: await keyOf('observer', board),
      lane: await keyOf('lane', board),
      claim: token,
    };
    const names = async (credential: string) => (await (await connect(credential)).toolNames()).sort();
    expect(await names(lists.admin)).toEqual([...LOOKING, ...OPERATING].sort());
    expect(await names(lists.orchestrator)).toEqual([...LOOKING, ...OPERATING].sort());
    expect(await names(lists.observer)).toEqual([...LOOKING].sort());
    expect(await names(lists.lane)).toEqual(['claim_task', ...WORKING].sort());
    // Its own task, and what a worker may make of it.
    const handsOn = ['cancel', 'check', 'collect', 'create_tasks', 'delegate', 'steer', 'wait_tasks'];
    expect(await names(lists.claim)).toEqual([...WORKING, ...handsOn].sort());
    const { tools } = await (await connect(lists.orchestrator)).client.listTools();
    for (const tool of tools) {
      expect(tool.description?.length, tool.name).toBeGreaterThan(20);
      expect(tool.inputSchema, tool.name).toMatchObject({ type: 'object', additionalProperties: false });
    }
  });

  test('have their alias names with the keys that asked for that, and do the same under both', async () => {
    const board = await makeBoard();
    for (const role of ['orchestrator', 'observer', 'lane'] as const) {
      const [plain, aliased] = [await keyOf(role, board), await keyOf(role, board, { mcp_aliases: true })];
      const usual = await (await connect(plain)).toolNames();
      const all = await (await connect(aliased)).toolNames();
      const aliases = ALIASES[role === 'orchestrator' ? 'operator' : role];
      expect(all.filter((name) => !usual.includes(name)).sort(), role).toEqual(aliases);
      expect(
        usual.every((name) => all.includes(name)),
        role,
      ).toBe(true);
    }
    const task = await bench.makeTask(board, { lane: 'factory', title: 'by its other name' });
    const worker = await connect(await keyOf('lane', board, { mcp_aliases: true }));
    await worker.call('claim_task');
    expect(await worker.call('kanban_show')).toMatchObject({ task: { id: task.id } });
    await worker.call('kanban_heartbeat');
    const done = { task_id: task.id, summary: 'done' };
    expect(await worker.call('kanban_complete', done)).toMatchObject({ task_status: 'done' });
  });
});

describe('a claim token', () => {
  test('is good for its own task and run, whatever is named', async () => {
    const board = await makeBoard();
    await Promise.all([
      bench.makeTask(board, { lane: 'factory' }),
      bench.makeTask(board, { lane: 'factory' }),
    ]);
    const [mine, others] = [await bench.claim(board, 'factory'), await bench.claim(board, 'factory')];
    const agent = await connect(mine.token);
    expect(await agent.call('show_task')).toMatchObject({ task: { id: mine.task.id } });
    expect(await agent.refusal('heartbeat', { run_id: others.run_id })).toMatchObject({
      code: 'not_your_claim',
    });
    expect(await agent.refusal('complete_task', { run_id: others.run_id, summary: 'x' })).toMatchObject({
      code: 'not_your_claim',
    });
    expect((await agent.refusal('comment', { task_id: others.task.id, body: 'x' })).code).toMatch(
      /^(forbidden|not_your_claim|not_found)$/,
    );
    expect((await agent.refusal('show_task', { task_id: others.task.id })).code).toMatch(
      /^(forbidden|not_found)$/,
    );
    expect((await agent.refusal('steer', { task_id: others.task.id, message: 'x' })).code).toBe('forbidden');
    expect((await agent.refusal('cancel', { task_id: others.task.id })).code).toBe('forbidden');
    await expect(agent.call('claim_task')).rejects.toThrow('claim_task');
    expect(await agent.call('complete_task', { summary: 'mine' })).toMatchObject({ task_id: mine.task.id });
    const { body } = await bench.api.get(`/v1/boards/${board}/tasks/${others.task.id}`);
    expect(body.task.status).toBe('running');
  });

  test('hands on work, waits for it, and says neither where an outcome goes nor that it be silent', async () => {
    const board = await makeBoard();
    await bench.makeTask(board, { lane: 'factory' });
    const { token } = await bench.claim(board, 'factory');
    const agent = await connect(token);
    const { tasks } = await agent.call('create_tasks', { tasks: [{ title: 'a part', lane: 'factory' }] });
    expect(await agent.call('wait_tasks', { ids: [tasks[0].id] })).toMatchObject({ met: false });
    for (const input of [
      { tasks: [{ title: 'x', origin: { platform: 'telegram', chat_id: '1' } }] },
      { tasks: [{ title: 'x', subscribe: { platform: 'telegram', chat_id: '1', mode: 'silent' } }] },
    ])
      expect(await agent.refusal('create_tasks', input)).toMatchObject({ code: 'invalid_request' });
    const origin = Buffer.from('{"platform":"telegram","chat_id":"1"}').toString('base64url');
    const spoofed = await connect(token, { headers: { 'Lanekeeper-Origin': origin } });
    expect((await spoofed.refusal('create_tasks', { tasks: [{ title: 'x' }] })).code).toBe('forbidden');
    expect((await bench.api.get(`/v1/boards/${board}/subscriptions`)).body.subscriptions).toEqual([]);
  });
});

describe('an orchestrator', () => {
  test('creates, delegates and collects, with the origin of the gateway and no other', async () => {
    const board = await makeBoard();
    const origin = { platform: 'telegram', chat_id: '7', session_id: 's7' };
    const agent = await connect(await keyOf('orchestrator', board), {
      headers: { 'Lanekeeper-Origin': Buffer.from(JSON.stringify(origin)).toString('base64url') },
    });
    const { delegation } = await agent.call('delegate', { goal: 'paint', lane: 'factory', request_id: 'd1' });
    const again = await agent.call('delegate', { goal: 'paint', lane: 'factory', request_id: 'd1' });
    expect(again.delegation.id).toBe(delegation.id);
    const read = await bench.api.get(`/v1/boards/${board}/delegations/${delegation.id}`);
    expect(read.body.delegation.origin).toMatchObject(origin);
    for (const extra of [
      { origin },
      { subscribe: { platform: 'telegram', mode: 'silent' } },
      { silent: true },
    ])
      expect(await agent.refusal('delegate', { goal: 'x', ...extra })).toMatchObject({
        code: 'invalid_request',
      });
    expect(await agent.call('check', { delegation_id: delegation.id })).toMatchObject({
      delegation: { status: 'running' },
    });
    const claim = await bench.claim(board, 'factory');
    expect(await agent.call('steer', { task_id: claim.task.id, message: 'green' })).toMatchObject({
      queued: 1,
    });
    const collecting = agent.call('collect', { delegation_id: delegation.id, wait_seconds: 45 });
    await bench.as(claim.token).post(`/v1/runs/${claim.run_id}/complete`, { summary: 'painted' });
    const collected = await collecting;
    expect(collected).toMatchObject({ status: 'completed' });
    expect(collected.text).toContain('painted');
    expect(await agent.call('list_lanes')).toMatchObject({ lanes: [{ name: 'factory' }] });
  });

  test('is answered with a page that fits, and reads on with its cursor to the last task', async () => {
    const board = await makeBoard();
    const tasks = Array.from({ length: 180 }, (_, index) => ({
      title: `${index} ${'x'.repeat(180)}`,
      lane: 'factory',
    }));
    await bench.api.post(`/v1/boards/${board}/tasks/batch`, { tasks });
    const agent = await connect(await keyOf('orchestrator', board));
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const page: { tasks: { id: string }[]; next_cursor: string | null } = await agent.call('list_tasks', {
        limit: 200,
        cursor,
      });
      expect(Buffer.byteLength(JSON.stringify(page))).toBeLessThanOrEqual(20_000);
      seen.push(...page.tasks.map(({ id }) => id));
      cursor = page.next_cursor;
    } while (cursor !== null);
    expect([seen.length, new Set(seen).size]).toEqual([180, 180]);
  });
});

describe('a foreign board', () => {
  test('is as one that does not exist, for every tool that names one', async () => {
    const [own, foreign] = [await makeBoard(), await makeBoard()];
    const task = await bench.makeTask(foreign, { lane: 'factory' });
    const agent = await connect(await keyOf('orchestrator', own));
    const calls: [string, Record<string, unknown>][] = [
      ['list_tasks', {}],
      ['list_lanes', {}],
      ['get_task', { task_id: task.id }],
      ['wait_tasks', { ids: [task.id] }],
      ['create_tasks', { tasks: [{ title: 'x' }] }],
      ['delegate', { goal: 'x', lane: 'factory' }],
      ['cancel', { task_id: task.id }],
      ['steer', { task_id: task.id, message: 'x' }],
      ['unblock', { task_id: task.id }],
    ];
    for (const [name, input] of calls) {
      const refused = await agent.refusal(name, { ...input, board: foreign });
      const missing = await agent.refusal(name, { ...input, board: 'nowhere' });
      expect([refused.code, missing.code], name).toEqual(['not_found', 'not_found']);
      expect(JSON.stringify(refused).replaceAll(foreign, 'nowhere'), name).toBe(JSON.stringify(missing));
    }
    // The key of a lane names no board at all; a run of another lane is not its own.
    const lane = await connect(await keyOf('lane', own));
    const { run_id: run } = await bench.claim(foreign, 'factory');
    expect((await lane.refusal('heartbeat', { run_id: run })).code).toMatch(/^not_(found|your_claim)$/);
    expect((await lane.refusal('complete_task', { run_id: run, summary: 'x' })).code).toMatch(
      /^not_(found|your_claim)$/,
    );
    expect((await lane.refusal('show_task', { task_id: task.id })).code).toBe('not_found');
  });
});
