/** A Hermes board comes over whole, once, and with nothing that is not so. */
import { afterEach, describe, expect, test } from 'vitest';
import { type ImportReport, importHermes } from '../../../../src/cli/import/hermes-import.ts';
import { connect } from '../../../../src/client/client.ts';
import { HermesBoard, MAY } from '../../../cli/import/hermes-board.ts';
import { auditBoard } from '../../../fixtures/audit.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { holdCounter, untilStanding, untilTestEnds } from '../../../fixtures/held-lock.ts';
import { ADMIN_KEY } from '../../../fixtures/server.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();
const boards: TestBoard[] = [];

/** Whatever an import did, the log says the same as the rows. */
afterEach(async () => {
  for (const board of boards.splice(0)) await auditBoard(servers.database.sql, board.name);
});

async function newBoard(): Promise<[TestBoard, TestBoard]> {
  const pair = await servers.board();
  boards.push(pair[0]);
  return pair;
}

function run(board: TestBoard, path: string, isDryRun = false): Promise<ImportReport> {
  const client = connect({ url: board.server.url, token: ADMIN_KEY, board: board.name });
  return importHermes({ path, client, isDryRun, profiles: new Set(['coder']), onProgress: () => undefined });
}

const findingsOf = ({ findings }: ImportReport) =>
  Object.fromEntries(findings.map(({ code, count }) => [code, count]));

/** Every row of the board, in the tables that an import writes. */
async function rowsOf(board: TestBoard): Promise<unknown> {
  const { sql } = servers.database;
  const tables = [
    'boards',
    'board_seq',
    'lanes',
    'tasks',
    'task_details',
    'runs',
    'comments',
    'links',
    'events',
  ];
  const id = sql`(SELECT id FROM boards WHERE name = ${board.name})`;
  return Promise.all(
    tables.map((table) => {
      const key = table === 'boards' ? sql`id` : sql`board_id`;
      return sql`SELECT to_jsonb(t) AS row FROM ${sql(table)} t WHERE ${key} = ${id} ORDER BY to_jsonb(t)::text`;
    }),
  );
}

const iso = (seconds: number): string => new Date(seconds * 1000).toISOString();

/** Statuses, links and fields of every kind, in the newer schema. */
async function fullBoard(): Promise<HermesBoard> {
  const hermes = await HermesBoard.make('new');
  hermes.task('t_0000000a', 'done', {
    body: 'how',
    assignee: 'coder',
    result: 'built',
    completed_at: MAY + 100,
    priority: 7,
    tenant: 'acme',
    skills: '["git"]',
    fork_colour: 'blue',
  });
  const run = { task_id: 't_0000000a', profile: 'coder' };
  hermes.row('task_runs', {
    ...run,
    status: 'crashed',
    outcome: 'crashed',
    started_at: MAY,
    ended_at: MAY + 5,
    error: 'oom',
  });
  hermes.row('task_runs', {
    ...run,
    status: 'done',
    outcome: 'completed',
    started_at: MAY + 10,
    ended_at: MAY + 100,
    summary: 'it is built',
    metadata: '{"files":3}',
  });
  hermes.event('t_0000000a', 'created', { assignee: 'coder' }).event('t_0000000a', 'completed', '{broken');
  hermes.row('task_comments', {
    task_id: 't_0000000a',
    author: 'alice',
    body: 'mind the gap',
    created_at: MAY + 20,
  });
  hermes.row('task_comments', { task_id: 't_0000000a', author: null, body: null, created_at: null });
  hermes.task('t_0000000b', 'todo', { assignee: 'writer' }).link('t_0000000a', 't_0000000b');
  hermes.task('t_0000000c', 'todo', { assignee: 'writer' }).link('t_0000000b', 't_0000000c');
  hermes.task('t_0000000d', 'triage').task('t_0000000e', 'gone fishing');
  hermes
    .task('t_0000000f', 'scheduled', { scheduled_at: '2031-01-01T00:00:00Z' })
    .task('t_00000010', 'scheduled');
  hermes.event('t_00000010', 'scheduled', { reason: 'after the fair' });
  hermes.task('t_00000011', 'blocked', { block_kind: 'needs_input', block_recurrences: 1 });
  hermes.event('t_00000011', 'blocked', { reason: 'which colour?', kind: 'needs_input' });
  hermes.task('t_00000012', 'blocked', {
    consecutive_failures: 3,
    max_retries: 3,
    last_failure_error: 'no luck',
  });
  hermes.event('t_00000012', 'gave_up', { error: 'three times', failures: 3 });
  hermes.task('t_00000013', 'archived', { idempotency_key: 'k', completed_at: MAY + 9 });
  hermes.task('t_00000014', 'review', { assignee: 'critic' });
  hermes.row('task_runs', {
    task_id: 't_00000014',
    profile: 'coder',
    status: 'review',
    outcome: 'review_requested',
    started_at: MAY,
    ended_at: MAY + 1,
    summary: 'please look',
  });
  hermes.event('t_00000014', 'review_requested', { implementer: 'coder', reviewer: 'critic' });
  hermes.task('t_00000015', 'running', {
    assignee: 'coder',
    claim_lock: 'host:1',
    current_run_id: 4,
    worker_pid: 12,
    max_runtime_seconds: 600,
  });
  hermes.row('task_runs', {
    task_id: 't_00000015',
    profile: 'coder',
    status: 'running',
    claim_lock: 'host:1',
    started_at: MAY + 3,
  });
  hermes.row('task_attachments', {
    task_id: 't_0000000a',
    filename: 'plan.pdf',
    stored_path: '/somewhere/plan.pdf',
    size: 3,
  });
  hermes.row('kanban_notify_subs', { task_id: 't_0000000a', platform: 'telegram', chat_id: '1' });
  return hermes;
}

describe('of a newer board', () => {
  test('every status, run, comment and link comes over', async () => {
    const [board] = await newBoard();
    const report = await run(board, await (await fullBoard()).save());
    expect(report).toMatchObject({
      tasks: { found: 12, created: 12, present: 0, left_out: 0 },
      statuses: { done: 1, ready: 2, todo: 1, triage: 2, scheduled: 1, blocked: 3, archived: 1, review: 1 },
      links: { found: 2, created: 2 },
      lanes: {
        created: [
          { name: 'coder', kind: 'spawn' },
          { name: 'critic', kind: 'persistent' },
          { name: 'writer', kind: 'persistent' },
        ],
      },
      runs: 4,
      comments: 2,
    });
    expect(findingsOf(report)).toEqual({
      unknown_status: 1,
      running: 1,
      todo_without_open_parents: 1,
      scheduled_without_time: 1,
      attachment: 1,
      subscription: 1,
    });
    const done = await board.read('t_0000000a');
    expect(done).toMatchObject({
      title: 'task t_0000000a',
      body: 'how',
      status: 'done',
      lane: 'coder',
      priority: 7,
      tenant: 'acme',
      attempt: 2,
      result: 'built',
      summary: 'it is built',
      metadata: { files: 3 },
      created_at: iso(MAY),
      finished_at: iso(MAY + 100),
      comment_count: 2,
    });
    expect(done.payload).toMatchObject({
      hermes: {
        status: 'done',
        skills: ['git'],
        fork_colour: 'blue',
        attachments: [{ filename: 'plan.pdf' }],
        events: [{ kind: 'created' }, { kind: 'completed', payload: '{broken' }],
      },
    });
    expect(await board.runs('t_0000000a')).toMatchObject([
      {
        attempt: 1,
        outcome: 'crashed',
        error: 'oom',
        started_at: iso(MAY),
        ended_at: iso(MAY + 5),
        lane: 'coder',
      },
      { attempt: 2, outcome: 'completed', ended_by: { type: 'system', id: 'import' } },
    ]);
    expect((await board.call('GET', '/tasks/t_0000000a/comments')).body.comments).toMatchObject([
      { body: 'mind the gap', author: { type: 'system', id: 'import:alice' }, at: iso(MAY + 20) },
      { body: '(empty)', author: { type: 'system', id: 'import:unknown' } },
    ]);
    expect(await board.read('t_0000000e')).toMatchObject({
      status: 'triage',
      payload: { hermes: { status: 'gone fishing' } },
    });
    expect(await board.read('t_0000000f')).toMatchObject({
      status: 'scheduled',
      run_at: '2031-01-01T00:00:00.000Z',
    });
    expect((await board.read('t_00000010')).blocked).toEqual({ kind: 'operator', reason: 'after the fair' });
    expect((await board.read('t_00000011')).blocked).toEqual({
      kind: 'needs_input',
      reason: 'which colour?',
    });
    expect(await board.read('t_00000012')).toMatchObject({
      consecutive_failures: 3,
      max_failures: 3,
      blocked: { kind: 'gave_up', reason: 'three times' },
    });
    expect(await board.read('t_00000014')).toMatchObject({
      status: 'review',
      lane: 'critic',
      reviewer: 'critic',
      summary: 'please look',
    });
    expect(await board.read('t_00000015')).toMatchObject({
      status: 'ready',
      lane: 'coder',
      attempt: 1,
      max_runtime_seconds: 600,
    });
    const [reclaimed] = await board.runs('t_00000015');
    expect(reclaimed).toMatchObject({ outcome: 'reclaimed', error: 'imported', started_at: iso(MAY + 3) });
    const created = (await board.events('&kinds=task.created')).map(({ data }) => [
      data['imported'],
      data['external_ref'],
    ]);
    expect(created).toHaveLength(12);
    expect(created.every(([imported]) => imported === true)).toBe(true);
  });

  test('work goes on from there: by priority and age, review with the reviewer, the third block of a kind to triage', async () => {
    const [board] = await newBoard();
    // Here before the import, and younger than all that comes with it.
    const newer = await board.task('writer');
    await run(board, await (await fullBoard()).save());
    const claim = await board.claim('writer');
    expect(claim.task.external_ref).toBe('t_0000000b');
    expectStatus(await endClaim(board.server, claim, 'complete', { summary: 'written' }), 200);
    expect((await board.read('t_0000000c')).status).toBe('ready');
    expect([(await board.claim('writer')).task.id, (await board.claim('writer')).task.id]).toEqual([
      (await board.read('t_0000000c')).id,
      newer.id,
    ]);
    const review = await board.claim('critic');
    expect(review).toMatchObject({ attempt: 2, task: { external_ref: 't_00000014' } });
    const reason = { reason: 'no' };
    expect(
      expectStatus(await endClaim(board.server, review, 'request-changes', reason), 200).body.task,
    ).toMatchObject({
      status: 'ready',
      lane: 'coder',
    });
    expectStatus(await board.operate('t_00000011', 'unblock'), 200);
    expectStatus(await board.operate('t_00000011', 'assign', { lane: 'writer' }), 200);
    const again = await board.claim('writer', { task_id: (await board.read('t_00000011')).id });
    const blocked = await endClaim(board.server, again, 'block', { reason: 'again', kind: 'needs_input' });
    expect(expectStatus(blocked, 200).body.task.status).toBe('triage');
    // Archived tasks have let go of their keys, and satisfy those that wait for them.
    await board.task('writer', { idempotency_key: 'k' });
    expect((await board.task('writer', { parents: ['t_00000013'] })).status).toBe('ready');
  });

  test('what its rules forbid is imported as far as it makes sense, and told', async () => {
    const [board] = await newBoard();
    const hermes = await HermesBoard.make('new');
    const open = (task: string) =>
      hermes.row('task_runs', { task_id: task, status: 'running', started_at: MAY });
    hermes.task('t_00000001', 'done', { current_run_id: 99 });
    open('t_00000001');
    hermes.task('t_00000002', 'running', { claim_lock: null });
    open('t_00000002');
    open('t_00000002');
    hermes.task('t_00000003', 'ready');
    open('t_00000003');
    hermes.task('t_00000004', 'ready').link('t_00000002', 't_00000004');
    hermes.task('t_00000005', 'blocked').event('t_00000005', 'unblocked');
    hermes.task(null, 'ready').task('no good', 'ready').task('task_x', 'ready');
    hermes.link('t_00000001', 't_00000001').link('t_dead', 't_00000001').link('t_00000004', 't_00000002');
    for (const table of ['task_runs', 'task_comments']) hermes.row(table, { task_id: 't_dead' });
    hermes.event('t_dead', 'created');
    const report = await run(board, await hermes.save());
    expect(report.tasks).toEqual({ found: 8, created: 5, present: 0, left_out: 3 });
    expect(findingsOf(report)).toEqual({
      unusable_id: 3,
      running: 1,
      ready_with_open_parents: 1,
      not_sticky: 1,
      link_dangling: 1,
      link_to_itself: 1,
      link_cycle: 1,
      run_orphaned: 1,
      comment_orphaned: 1,
      event_orphaned: 1,
      current_run_not_open: 1,
      two_open_runs: 1,
      finished_with_open_run: 1,
      idle_with_open_run: 1,
      running_without_lock: 1,
    });
    const runs = await board.runs('t_00000001');
    expect(runs.map(({ outcome }) => outcome)).toEqual(['reclaimed', 'completed']);
  });

  test('what does not fit is cut and told, and what cannot be stored is made to', async () => {
    const [board] = await newBoard();
    const hermes = await HermesBoard.make('new');
    hermes.task('t_00000001', 'done', {
      title: 'x'.repeat(1000),
      body: 'ö'.repeat(60_000),
      result: '"'.repeat(300_000),
      assignee: '_Über Lane!',
      tenant: 'a\0b',
      priority: 1e12,
      created_at: null,
      completed_at: 'never',
      fork_colour: 'c'.repeat(20_000),
      idempotency_key: 'k'.repeat(300),
      skills: new Uint8Array([1, 2]),
    });
    hermes.all(() => {
      for (let index = 0; index < 1100; index += 1) {
        hermes.event('t_00000001', 'heartbeat', { note: `beat ${index}` });
        hermes.row('task_comments', {
          task_id: 't_00000001',
          author: 'a',
          body: `comment ${index}`,
          created_at: MAY,
        });
        hermes.row('task_runs', {
          task_id: 't_00000001',
          status: 'x',
          outcome: 'x',
          started_at: MAY,
          ended_at: MAY,
        });
      }
    });
    const report = await run(board, await hermes.save());
    expect(findingsOf(report)).toEqual({
      created_at_unknown: 1,
      lane_renamed: 1,
      text_cut: 1,
      legacy_cut: 1,
      history_cut: 1,
      idempotency_key_unusable: 1,
      event_left_out: 1050,
    });
    const task = await board.read('t_00000001');
    expect(task).toMatchObject({
      lane: 'ber-lane-',
      tenant: 'a\ufffdb',
      priority: 1_000_000,
      attempt: 1000,
      comment_count: 1000,
    });
    expect([task.title.length, task.body?.length, String(task.result).length]).toEqual([500, 32_768, 32_768]);
    expect(task.payload).toMatchObject({
      hermes: { columns_left_out: ['fork_colour'], events_left_out: 1050, skills: { base64: 'AQI=' } },
    });
  });
});

describe('of an old board', () => {
  test('tasks without runs, with the old names of columns and times of every kind, come over', async () => {
    const [board] = await newBoard();
    const hermes = await HermesBoard.make('old');
    hermes.task('t_0000000000a1', 'done', {
      result: 'fine',
      created_at: '2026-05-01T12:00:00',
      completed_at: MAY + 0.5,
    });
    hermes.task('t_0000000000a2', 'blocked', {
      spawn_failures: 2,
      last_spawn_error: 'no binary',
      created_at: `${MAY}`,
    });
    hermes.task('t_0000000000a3', 'ready', {
      assignee: 'coder',
      created_at: 'long ago',
      started_at: MAY + 5,
      spawn_failures: 1,
    });
    hermes.task('t_0000000000a4', 'ready', { idempotency_key: 'twice', created_at: MAY });
    hermes.task('t_0000000000a5', 'ready', { idempotency_key: 'twice', created_at: MAY + 1 });
    hermes.task('t_0000000000a6', 'archived', { idempotency_key: 'twice', created_at: MAY + 2 });
    hermes
      .task('t_0000000000a7', 'todo')
      .link('t_0000000000a6', 't_0000000000a7')
      .link('t_0000000000a3', 't_0000000000a7');
    const report = await run(board, await hermes.save());
    expect(report.tasks).toMatchObject({ created: 7, left_out: 0 });
    expect(findingsOf(report)).toEqual({ created_at_unknown: 1, idempotency_key_duplicate: 1 });
    expect(await board.read('t_0000000000a1')).toMatchObject({
      result: 'fine',
      attempt: 1,
      created_at: iso(MAY),
      finished_at: iso(MAY + 0.5),
    });
    expect(await board.read('t_0000000000a2')).toMatchObject({
      blocked: { kind: 'gave_up', reason: 'no binary' },
      consecutive_failures: 2,
    });
    expect(await board.read('t_0000000000a3')).toMatchObject({
      created_at: iso(MAY + 5),
      consecutive_failures: 1,
    });
    const keys = ['a4', 'a5', 'a6'].map(
      async (end) => (await board.read(`t_0000000000${end}`)).idempotency_key,
    );
    expect(await Promise.all(keys)).toEqual([null, 'twice', 'twice']);
    expect(await board.read('t_0000000000a7')).toMatchObject({ status: 'todo', unmet_parents: 1 });
  });
});

describe('again', () => {
  test('a second run changes no row and writes no event', async () => {
    const [board, elsewhere] = await newBoard();
    const path = await (await fullBoard()).save();
    await run(board, path);
    const before = await rowsOf(board);
    const report = await run(elsewhere, path);
    expect(report.tasks).toEqual({ found: 12, created: 0, present: 12, left_out: 0 });
    expect([report.links.created, report.runs, report.comments, report.lanes]).toEqual([
      0,
      0,
      0,
      { created: [], present: 3 },
    ]);
    expect(await rowsOf(board)).toEqual(before);
  });

  test('a dry run writes nothing, and reports what the run then does', async () => {
    const [board] = await newBoard();
    const hermes = await fullBoard();
    // More than a batch, so that parents are of an earlier one.
    hermes.all(() => {
      for (let index = 0; index < 600; index += 1)
        hermes.task(`t_b${index}`, 'todo').link('t_0000000c', `t_b${index}`);
      hermes.task('t_last', 'todo').link('t_b0', 't_last').link('t_0000000a', 't_last');
      hermes.task('t_free', 'todo').link('t_0000000a', 't_free');
    });
    const path = await hermes.save();
    const before = await rowsOf(board);
    const promised = await run(board, path, true);
    expect(await rowsOf(board)).toEqual(before);
    const done = await run(board, path);
    expect({ ...promised, dry_run: false }).toEqual(done);
    expect(done.statuses).toMatchObject({ todo: 602, ready: 3 });
    expect(await run(board, path, true)).toEqual({ ...(await run(board, path)), dry_run: true });
  });

  test('what has come since is added, and what was done here stays done', async () => {
    const [board] = await newBoard();
    const hermes = await HermesBoard.make('new');
    hermes.task('t_00000001', 'ready', { assignee: 'writer' });
    await board.lane('writer', { kind: 'human', description: 'ours' });
    await board.task('writer', { idempotency_key: 'mine' });
    const first = await run(board, await hermes.save());
    expect(first.lanes).toEqual({ created: [], present: 1 });
    expectStatus(await board.operate('t_00000001', 'complete'), 200);
    hermes.exec("UPDATE tasks SET title = 'changed there'");
    hermes.task('t_00000002', 'todo', { idempotency_key: 'mine' }).link('t_00000001', 't_00000002');
    const second = await run(board, await hermes.save());
    expect(second.tasks).toMatchObject({ created: 1, present: 1 });
    expect(findingsOf(second)).toEqual({ todo_without_open_parents: 1, idempotency_key_taken: 1 });
    expect(await board.read('t_00000001')).toMatchObject({ status: 'done', title: 'task t_00000001' });
    expect(await board.read('t_00000002')).toMatchObject({ status: 'ready', idempotency_key: null });
    const { lane } = expectStatus(await board.call('GET', '/lanes/writer'), 200).body;
    expect(lane).toMatchObject({ kind: 'human', description: 'ours' });
  });

  test('two imports at once through two servers make every task once, while a parent is completed and others take keys', async () => {
    const [board, elsewhere] = await newBoard();
    const hermes = await HermesBoard.make('new');
    const parent = await board.task('coder', { external_ref: 't_parent' });
    hermes.task('t_parent', 'ready', { assignee: 'coder' });
    hermes.all(() => {
      for (let index = 0; index < 1200; index += 1)
        hermes.task(`t_${index}`, 'todo', { assignee: 'coder', idempotency_key: `key ${index}` });
      for (let index = 0; index < 900; index += 1) hermes.link('t_parent', `t_${index}`);
    });
    const path = await hermes.save();
    const taking = async () => {
      for (let index = 1199; index > 1100; index -= 9)
        await board.call('POST', '/tasks', { body: { title: 'mine', idempotency_key: `key ${index}` } });
    };
    const [one, two] = await Promise.all([
      run(board, path),
      run(elsewhere, path),
      board.operate(parent.id, 'complete'),
      taking(),
    ]);
    expect(one.tasks.created + two.tasks.created).toBe(1200);
    const counts = expectStatus(await board.call('GET', ''), 200).body.board.counts;
    expect([counts.todo, counts.done]).toEqual([0, 1]);
    const { sql } = servers.database;
    const rows = await sql`
      SELECT external_ref FROM task_details WHERE external_ref IS NOT NULL AND board_id = (SELECT id FROM boards WHERE name = ${board.name})`;
    expect(rows).toHaveLength(1201);
  });
});

describe('beside others', () => {
  test('a parent that is just being completed does not leave its new child waiting for ever', async () => {
    const [board, elsewhere] = await newBoard();
    const { sql } = servers.database;
    const parent = await board.task(null, { external_ref: 't_parent' });
    const hermes = await HermesBoard.make('new');
    hermes.task('t_parent', 'ready').task('t_child', 'todo').link('t_parent', 't_child');
    const path = await hermes.save();
    const counter = await untilTestEnds(holdCounter(sql, board.name));
    const completing = board.operate(parent.id, 'complete');
    await untilStanding(sql, 'log.append', 'row');
    const importing = run(elsewhere, path);
    await untilStanding(sql, 'tasks.lock_many', 'row');
    await counter.release();
    expectStatus(await completing, 200);
    expect((await importing).tasks.created).toBe(1);
    expect(await board.read('t_child')).toMatchObject({ status: 'ready', unmet_parents: 0 });
  });

  test('an idempotency_key that somebody is just taking costs the key, and not the task', async () => {
    const [board, elsewhere] = await newBoard();
    const { sql } = servers.database;
    const hermes = await HermesBoard.make('new');
    hermes.task('t_00000001', 'ready', { idempotency_key: 'wanted' });
    const path = await hermes.save();
    const counter = await untilTestEnds(holdCounter(sql, board.name));
    const creating = board.task(null, { idempotency_key: 'wanted' });
    await untilStanding(sql, 'tasks.create', 'row');
    const importing = run(elsewhere, path);
    await untilStanding(sql, 'imports.insert_tasks', 'row');
    await counter.release();
    expect((await creating).idempotency_key).toBe('wanted');
    expect(findingsOf(await importing)).toEqual({ idempotency_key_taken: 1 });
    expect(await board.read('t_00000001')).toMatchObject({ status: 'ready', idempotency_key: null });
  });
});

test('a request that contradicts itself is refused whole', async () => {
  const [board] = await newBoard();
  const task = {
    external_ref: 'a',
    title: 'a',
    status: 'ready',
    created_at: iso(MAY),
    runs: [],
    comments: [],
    parents: [],
  };
  const wrong: [object, string][] = [
    [{ ...task, status: 'scheduled' }, '/tasks/1/run_at'],
    [{ ...task, run_at: iso(MAY) }, '/tasks/1/run_at'],
    [{ ...task, blocked: { reason: 'x' } }, '/tasks/1/blocked'],
    [{ ...task, status: 'review' }, '/tasks/1/runs'],
    [{ ...task, reviewer: 'x' }, '/tasks/1/reviewer'],
    [{ ...task, external_ref: 'first' }, '/tasks/1/external_ref'],
  ];
  for (const [body, pointer] of wrong) {
    const answer = await board.call('POST', '/import', {
      body: { tasks: [{ ...task, external_ref: 'first' }, body] },
    });
    expect([answer.status, answer.body.errors?.[0]?.pointer]).toEqual([400, pointer]);
  }
  expect((await board.call('GET', '/tasks')).body.tasks).toEqual([]);
});

test('a board of 2,000 tasks with runs, comments and links takes seconds', async () => {
  const [board] = await newBoard();
  const path = await (await largeBoard(2000)).save();
  const startedAt = performance.now();
  const report = await run(board, path);
  const seconds = (performance.now() - startedAt) / 1000;
  expect(report.tasks.created).toBe(2000);
  // What 10,000 may take, for the sake of machines that do other things meanwhile; idle it takes 2.
  expect(seconds).toBeLessThan(30);
  expect((await run(board, path)).tasks).toMatchObject({ created: 0, present: 2000 });
});

/** Each with two runs, a comment, five events and a parent, as boards that are used have them. */
async function largeBoard(count: number): Promise<HermesBoard> {
  const hermes = await HermesBoard.make('new');
  const id = (index: number): string => `t_${index.toString(16).padStart(8, '0')}`;
  return hermes.all(() => {
    for (let index = 0; index < count; index += 1) {
      const task = id(index);
      const isDone = index % 3 !== 0;
      hermes.task(task, isDone ? 'done' : 'todo', {
        assignee: `agent-${index % 10}`,
        body: 'what to do '.repeat(50),
        result: isDone ? 'ok' : null,
      });
      if (index > 0) hermes.link(id(Math.floor(index / 2)), task);
      for (const outcome of ['crashed', 'completed'])
        hermes.row('task_runs', {
          task_id: task,
          profile: 'agent-1',
          status: outcome,
          outcome,
          started_at: MAY,
          ended_at: MAY + 1,
          summary: 'said '.repeat(20),
        });
      hermes.row('task_comments', { task_id: task, author: 'alice', body: 'a remark', created_at: MAY });
      for (const kind of ['created', 'promoted', 'claimed', 'heartbeat', 'completed'])
        hermes.event(task, kind, { run_id: index });
    }
  });
}
