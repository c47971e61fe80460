/** Pruners of several servers share the work, stand in nobody's way, and prune exactly what was set. */
import { describe, expect, test } from 'vitest';
import { begin } from '../../../../src/server/db/begin.ts';
import { prunePortion } from '../../../../src/server/features/retention/pruning.ts';
import { KEEP_ALL, setRetention } from '../../../../src/server/features/retention/service.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import { holdCounter, untilStanding, untilTestEnds } from '../../../fixtures/held-lock.ts';
import { addDone, boardWithLog, countTasks, keep, logOf, NEVER, type Site, useSite } from './kept-boards.ts';

const HALF_HOUR = 1800;
const PORTION = { rowsMax: 10, statementMsMax: 10_000 };

describe('the log', () => {
  test('is pruned from its beginning, exactly as far as it is old enough', async () => {
    const { sql, pruner } = await useSite();
    const board = await boardWithLog(sql, 'edge', { old: 10, young: 5 });
    await keep(sql, board, 'events', HALF_HOUR);
    await pruner().pruner.sweep(NEVER);
    expect(await logOf(sql, board)).toEqual({ pruned: 10, first: 11, last: 15 });
  });

  test('may be pruned as a whole, and the counter goes on from where it was', async () => {
    const { sql, pruner } = await useSite();
    const board = await boardWithLog(sql, 'whole', { old: 7 });
    await keep(sql, board, 'events', HALF_HOUR);
    await pruner().pruner.sweep(NEVER);
    expect(await logOf(sql, board)).toEqual({ pruned: 7, first: null, last: null });
    const [counter] = await sql`SELECT seq::int AS seq FROM board_seq WHERE board_id = ${board}`;
    expect(counter).toEqual({ seq: 7 });
  });

  test('is not pruned where a young event stands before an old one: what is gone is a beginning', async () => {
    const { sql, pruner } = await useSite();
    const board = await boardWithLog(sql, 'mixed', { old: 6 });
    await sql`UPDATE events SET at = now() WHERE board_id = ${board} AND seq = 3`;
    await keep(sql, board, 'events', HALF_HOUR);
    await pruner().pruner.sweep(NEVER);
    expect(await logOf(sql, board)).toMatchObject({ pruned: 2, first: 3 });
  });

  test.each(['stats_progress', 'stranded_marks'])(
    'waits for %s, but not longer than eight days',
    async (reader) => {
      const { sql, pruner } = await useSite();
      const board = await boardWithLog(sql, 'unread', { old: 10 });
      await sql`UPDATE ${sql(reader)} SET seq = 4 WHERE board_id = ${board}`;
      await keep(sql, board, 'events', HALF_HOUR);
      await pruner().pruner.sweep(NEVER);
      expect(await logOf(sql, board)).toMatchObject({ pruned: 4, first: 5 });
      await sql`UPDATE events SET at = now() - interval '193 hours' WHERE board_id = ${board} AND seq <= 8`;
      await keep(sql, board, 'events', HALF_HOUR);
      await pruner().pruner.sweep(NEVER);
      expect(await logOf(sql, board)).toMatchObject({ pruned: 8, first: 9 });
    },
  );

  test('keeps what is still to be delivered', async () => {
    const { sql, pruner } = await useSite();
    const board = await boardWithLog(sql, 'untold', { old: 10 });
    await sql`
      INSERT INTO deliveries (board_id, id, subscription_id, seq, kind, mode, wake, status, platform, session_key, is_webhook, due_at)
      VALUES (${board}, gen_random_uuid(), gen_random_uuid(), 6, 'task.completed', 'direct', false, 'pending', 'cli', 't', false, now())`;
    await keep(sql, board, 'events', HALF_HOUR);
    await pruner().pruner.sweep(NEVER);
    expect(await logOf(sql, board)).toMatchObject({ pruned: 5, first: 6 });
  });
});

describe('portions', () => {
  test('of two servers at once prune everything once', async () => {
    const { sql, pruner } = await useSite();
    const board = await boardWithLog(sql, 'shared', { old: 300 });
    await addDone(sql, board, 60);
    await keep(sql, board, 'events', HALF_HOUR);
    await keep(sql, board, 'finished_tasks', HALF_HOUR);
    const both = [pruner(40), pruner(40)];
    await eventually('everything old is gone', async () => {
      await Promise.all(both.map(({ pruner: one }) => one.sweep(NEVER)));
      return (await countTasks(sql, board)) === 0 && (await logOf(sql, board)).pruned === 300;
    });
    const total = (kind: 'events' | 'finished_tasks') =>
      both.reduce((sum, { pruned }) => sum + (pruned[kind] ?? 0), 0);
    expect([total('events'), total('finished_tasks')]).toEqual([300, 60]);
    const [row] =
      await sql`SELECT done::int AS done, seq::int AS seq FROM board_seq WHERE board_id = ${board}`;
    expect(row).toEqual({ done: 0, seq: 360 });
  });

  test.each([1, 2, 4, 100])(
    'of %i runs leave the latest of each task, wherever one ends',
    async (rowsMax) => {
      const { sql, pruner } = await useSite();
      const board = await boardWithLog(sql, 'runs', {});
      const tasks = await addDone(sql, board, 3);
      await sql`UPDATE tasks SET attempt = 3 WHERE board_id = ${board}`;
      await sql`
      INSERT INTO runs (board_id, task_id, attempt, id, lane, worker, outcome, started_at, ended_at)
      SELECT board_id, task_id, attempt + more, gen_random_uuid(), lane, worker, outcome, started_at, ended_at
      FROM runs, generate_series(1, 2) AS more WHERE board_id = ${board}`;
      await keep(sql, board, 'runs', HALF_HOUR);
      const { pruner: one, pruned } = pruner(rowsMax);
      await eventually('all earlier runs are gone', async () => {
        await one.sweep(NEVER);
        return pruned.runs === 6;
      });
      const left = await sql`SELECT task_id, attempt FROM runs WHERE board_id = ${board} ORDER BY task_id`;
      expect([...left]).toEqual(tasks.map((id) => ({ task_id: id, attempt: 3 })));
    },
  );

  test('of a board with a mountain of work stand before no other board', async () => {
    const { sql, pruner } = await useSite();
    const huge = await boardWithLog(sql, 'huge', { old: 5000 });
    const small = await boardWithLog(sql, 'small', { old: 5 });
    await keep(sql, huge, 'events', HALF_HOUR);
    await keep(sql, small, 'events', HALF_HOUR);
    await pruner(20).pruner.sweep(NEVER);
    expect(await logOf(sql, small)).toMatchObject({ pruned: 5 });
    expect((await logOf(sql, huge)).first).not.toBeNull();
  });

  test('leave a board alone that is not due, and come back when its oldest is', async () => {
    const { sql, pruner } = await useSite();
    const board = await boardWithLog(sql, 'later', { young: 3 });
    await keep(sql, board, 'events', HALF_HOUR);
    await pruner().pruner.sweep(NEVER);
    const [row] = await sql`
      SELECT round(extract(epoch FROM r.due_at - e.at))::int AS seconds FROM retention r
      JOIN events e ON e.board_id = r.board_id AND e.seq = 1 WHERE r.board_id = ${board}`;
    expect(row).toEqual({ seconds: HALF_HOUR });
  });

  test('are halved when a statement takes too long, until one gets through', async () => {
    const { sql, pruner } = await useSite();
    const board = await boardWithLog(sql, 'slow', { old: 64 });
    // Stands for time: more than ten rows at once are given up as Postgres gives them up, but at once.
    await sql.unsafe(`
      CREATE FUNCTION too_slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF (SELECT count(*) FROM gone) > 10 THEN
          RAISE EXCEPTION 'canceling statement due to statement timeout' USING ERRCODE = '57014';
        END IF;
        RETURN NULL;
      END $$`);
    await sql.unsafe(
      'CREATE TRIGGER too_slow AFTER DELETE ON events REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION too_slow()',
    );
    await keep(sql, board, 'events', HALF_HOUR);
    const { pruner: one, pruned } = pruner(64);
    await eventually('the log is pruned', async () => {
      await one.sweep(NEVER);
      return (await logOf(sql, board)).pruned === 64;
    });
    expect(pruned.events).toBe(64);
  });

  test('skip a task that somebody has locked, and find it the next time round', async () => {
    const { sql, pruner } = await useSite();
    const board = await boardWithLog(sql, 'locked', {});
    const [first = ''] = await addDone(sql, board, 3);
    await keep(sql, board, 'finished_tasks', HALF_HOUR);
    const { pruner: one } = pruner();
    await sql.begin(async (tx) => {
      await tx`SELECT FROM tasks WHERE id = ${first} FOR UPDATE`;
      await one.sweep(NEVER);
      expect(await countTasks(sql, board)).toBe(1);
    });
    await keep(sql, board, 'finished_tasks', HALF_HOUR);
    await one.sweep(NEVER);
    expect(await countTasks(sql, board)).toBe(0);
  });
});

describe('while an operation on many tasks goes on', () => {
  const stateOf = async (sql: Site['sql'], board: number) => {
    const [row] = await sql<{ place: string | null; left_rows: number; behind: number; pause: number }[]>`
      SELECT place, left_rows::int, extract(epoch FROM now() - behind_since)::int AS behind, extract(epoch FROM due_at - now())::int AS pause
      FROM retention WHERE board_id = ${board}`;
    return row;
  };

  test('no finished task goes, and soon after it the pruning goes on from where it was, as far behind as it was', async () => {
    const { sql, pruner } = await useSite();
    const board = await boardWithLog(sql, 'busy', {});
    const ids = await addDone(sql, board, 30);
    await keep(sql, board, 'finished_tasks', HALF_HOUR);
    await sql`
      UPDATE retention SET place = ${ids[9] ?? ''}, left_rows = 10, behind_since = now() - interval '1000 seconds' WHERE board_id = ${board}`;
    await sql`
      INSERT INTO operations (board_id, id, action, status, total, actor_type, actor_id)
      VALUES (${board}, gen_random_uuid(), 'archive', 'running', 30, 'key', 'key_x')`;
    const { pruner: one } = pruner();
    await one.sweep(NEVER);
    expect(await countTasks(sql, board)).toBe(30);
    const state = await stateOf(sql, board);
    expect(state).toMatchObject({ place: ids[9], left_rows: 10 });
    expect(state?.behind).toBeGreaterThanOrEqual(1000);
    expect(state?.pause).toBeLessThanOrEqual(5);
    await sql`UPDATE operations SET status = 'done', finished_at = now()`;
    await sql`UPDATE retention SET due_at = now()`;
    await one.sweep(NEVER);
    expect(await countTasks(sql, board)).toBe(10);
  });
});

describe('while a portion is under way', () => {
  test('whoever turns it off waits for it, and nothing is pruned behind his back', async () => {
    const { sql, pruner, opened } = await useSite();
    const board = await boardWithLog(sql, 'off', { old: 40 });
    await keep(sql, board, 'events', HALF_HOUR);
    const held = await untilTestEnds(holdCounter(sql, 'off'));
    const portion = begin(opened.cold, '', (tx) => prunePortion(tx, board, 'events', PORTION));
    await untilStanding(sql, 'retention.move_mark', 'row');
    const off = begin(opened.cold, '', (tx) => setRetention(tx, board, KEEP_ALL));
    await untilStanding(sql, 'retention.unset', 'row');
    await held.release();
    await Promise.all([portion, off]);
    const after = await logOf(sql, board);
    expect(after).toMatchObject({ pruned: 10, first: 11 });
    await pruner().pruner.sweep(NEVER);
    expect(await logOf(sql, board)).toEqual(after);
  });

  test('the log is there as a whole for whoever reads it, and the mark moves with it', async () => {
    const { sql, opened } = await useSite();
    const board = await boardWithLog(sql, 'read', { old: 10, young: 2 });
    await keep(sql, board, 'events', HALF_HOUR);
    const held = await untilTestEnds(holdCounter(sql, 'read'));
    const portion = begin(opened.cold, '', (tx) => prunePortion(tx, board, 'events', PORTION));
    await untilStanding(sql, 'retention.move_mark', 'row');
    expect(await logOf(sql, board)).toEqual({ pruned: 0, first: 1, last: 12 });
    await held.release();
    await portion;
    expect(await logOf(sql, board)).toEqual({ pruned: 10, first: 11, last: 12 });
  });

  test('a counter that somebody holds is not waited for long, and nothing of the portion stays', async () => {
    const { sql, pruner } = await useSite();
    const board = await boardWithLog(sql, 'stuck', { old: 10 });
    const well = await boardWithLog(sql, 'well', { old: 10 });
    await keep(sql, board, 'events', HALF_HOUR);
    await keep(sql, well, 'events', HALF_HOUR);
    await untilTestEnds(holdCounter(sql, 'stuck'));
    await expect(pruner().pruner.sweep(NEVER)).rejects.toMatchObject({ code: '55P03' });
    expect(await logOf(sql, board)).toEqual({ pruned: 0, first: 1, last: 10 });
    expect(await logOf(sql, well)).toMatchObject({ pruned: 10 });
  });
});
