/** An import can be run again, tried without writing, and run while others work on the same board. */
import { describe, expect, test } from 'vitest';
import { HermesBoard } from '../../../cli/import/hermes-board.ts';
import { fullBoard } from '../../../cli/import/usual-boards.ts';
import { expectStatus } from '../../../fixtures/board.ts';
import { holdCounter, untilStanding, untilTestEnds } from '../../../fixtures/held-lock.ts';
import { findingsOf, run, useImportedBoards } from './imported-boards.ts';

const { newBoard, rowsOf, servers } = useImportedBoards();

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
    const promised = await run(board, path, { isDryRun: true });
    expect(await rowsOf(board)).toEqual(before);
    const done = await run(board, path);
    expect({ ...promised, dry_run: false }).toEqual(done);
    expect(done.statuses).toMatchObject({ todo: 602, ready: 3 });
    expect(await run(board, path, { isDryRun: true })).toEqual({
      ...(await run(board, path)),
      dry_run: true,
    });
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
