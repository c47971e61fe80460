/** Looking for a circle: what it reads, where it ends, and what it tells to whom. */
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { Task } from '../../../../src/contract/tasks.ts';
import { type Database, openDatabase } from '../../../../src/server/db/client.ts';
import { Linking } from '../../../../src/server/features/tasks/linking.ts';
import { findDown, findUp, findWayUp } from '../../../../src/server/features/tasks/store/graph.ts';
import { formatId, parseId, type Uuid } from '../../../../src/server/kernel/ids.ts';
import { useAuditedBoards } from '../../../fixtures/audited-boards.ts';
import { expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { createTestDatabase, type TestDatabase } from '../../../fixtures/database.ts';
import { BOARD_ID, countReads, fillBoard, prepareBoards } from '../../db/claim-path.ts';

describe('a search', () => {
  let site: TestDatabase;
  let database: Database;
  beforeEach(async () => {
    site = await createTestDatabase();
    await prepareBoards(site);
    database = openDatabase({ url: site.url, hotConnectionsMax: 1, coldConnectionsMax: 1 });
  });
  afterEach(async () => {
    await database.close();
    await site.drop();
  });

  const idOf = (n: number) => `01900000-0000-7000-8000-${n.toString(16).padStart(12, '0')}` as Uuid;

  const ample = { tasks: 10_000, seconds: 60 };

  /** Each task of a layer waits for every task of the layer before it. */
  const insertLayers = (layers: number, width: number) => site.sql`
    INSERT INTO links (board_id, child_id, parent_id, is_met)
    SELECT ${BOARD_ID}, ('01900000-0000-7000-8000-' || lpad(to_hex(layer * ${width}::int + child), 12, '0'))::uuid,
      ('01900000-0000-7000-8000-' || lpad(to_hex((layer - 1) * ${width}::int + parent), 12, '0'))::uuid, false
    FROM generate_series(1, ${layers}::int - 1) AS layer, generate_series(0, ${width}::int - 1) AS child,
      generate_series(0, ${width}::int - 1) AS parent`;

  test('goes over each link once, however many ways there are', async () => {
    const [layers, width] = [20, 15];
    await insertLayers(layers, width);
    const links = (layers - 1) * width * width;
    const last = layers * width - 1;
    const { cold } = database;
    for (const find of [findUp, findDown]) {
      const reads = await countReads(site, cold, async () => {
        const apart = { childId: idOf(last), parentId: idOf(last + 1) };
        const turned = { childId: idOf(last + 1), parentId: idOf(0) };
        expect(await find(cold, BOARD_ID, find === findUp ? apart : turned, ample)).toBe('apart');
      });
      expect(reads.get('links')?.entries).toBeGreaterThan(links / 2);
      expect(reads.get('links')?.entries).toBeLessThan(1.1 * links);
      const ends = { childId: idOf(last), parentId: idOf(0) };
      expect(await find(cold, BOARD_ID, ends, ample)).toBe('linked');
    }
    const reads = await countReads(site, cold, async () => {
      const most = { levels: layers, links: 10_000 };
      const way = await findWayUp(cold, BOARD_ID, { childId: idOf(last), parentId: idOf(0) }, most);
      expect([way?.length, way?.[0], way?.at(-1)]).toEqual([layers, idOf(last), idOf(0)]);
    });
    expect(reads.get('links')?.entries).toBeLessThan(1.1 * links);
  });

  test('ends at its bound, and says that it does not know', async () => {
    const tasks = 12_000;
    await insertLayers(tasks, 1);
    const [first, middle, last] = [idOf(0), idOf(tasks / 2), idOf(tasks - 1)];
    const { cold } = database;
    const most = 5_000;
    const bounds = { tasks: most, seconds: 60 };
    const reads = await countReads(site, cold, async () => {
      for (const find of [findUp, findDown])
        expect(await find(cold, BOARD_ID, { childId: last, parentId: first }, bounds)).toBe('unknown');
    });
    expect(reads.get('links')?.entries).toBeLessThan(2.1 * most);
    // Over one end it is known all the same, if that has fewer.
    expect(await findUp(cold, BOARD_ID, { childId: idOf(most - 1), parentId: middle }, bounds)).toBe('apart');
    expect(await findDown(cold, BOARD_ID, { childId: first, parentId: idOf(tasks - most) }, bounds)).toBe(
      'apart',
    );
    const way = { childId: idOf(200), parentId: first };
    expect(await findWayUp(cold, BOARD_ID, way, { levels: 100, links: 10_000 })).toBe(null);
    expect(await findWayUp(cold, BOARD_ID, way, { levels: 200, links: 100 })).toBe(null);
    expect(await findWayUp(cold, BOARD_ID, way, { levels: 200, links: 200 })).toHaveLength(201);
  });

  test('ends when its time is over, however few tasks there are, and leaves its transaction as it was', async () => {
    const [layers, width] = [20, 60];
    await insertLayers(layers, width);
    const links = (layers - 1) * width * width;
    const ends = { childId: idOf(layers * width - 1), parentId: idOf(0) };
    const reads = await countReads(site, database.cold, () =>
      database.cold.begin(async (tx) => {
        for (const find of [findUp, findDown]) {
          expect(await find(tx, BOARD_ID, ends, { ...ample, seconds: 0 })).toBe('unknown');
          expect(await find(tx, BOARD_ID, ends, { ...ample, seconds: 0.005 })).toBe('unknown');
        }
      }),
    );
    expect(reads.get('links')?.entries).toBeLessThan(links);
    expect(await findUp(database.cold, BOARD_ID, ends, ample)).toBe('linked');
  });

  test('is not made where nothing waits for the task, nor for a link that is there', async () => {
    const tags: string[] = [];
    const onHotStatement = (text: string) => tags.push(/\/\* (\S+) \*\//.exec(text)?.[1] ?? '');
    const { hot, close } = openDatabase({ url: site.url, hotConnectionsMax: 1, onHotStatement });
    onTestFinished(close);
    await fillBoard(site, { ready: 3, done: 0, running: 0, lanes: 1 });
    const linking = new Linking({
      sql: hot,
      wake: { ring: () => undefined },
      resolve: async (_: unknown, __: unknown, reference: string) => parseId('task', reference),
    } as never);
    const searches = async (child: number, parent: number): Promise<number> => {
      tags.splice(0);
      const [childName, parentName] = [formatId('task', idOf(child)), formatId('task', idOf(parent))];
      await linking.link(
        { kind: 'key', keyId: 'key_test' } as never,
        { id: BOARD_ID, name: 'b' } as never,
        childName,
        parentName,
      );
      expect(tags).toContain('tasks.insert_links');
      return tags.filter((tag) => tag === 'tasks.find_up').length;
    };
    expect(await searches(1, 2)).toBe(0);
    expect(await searches(2, 3)).toBe(1);
    expect(await searches(2, 3)).toBe(0);
  });
});

describe('a circle', () => {
  const { newBoard } = useAuditedBoards();

  const link = (board: TestBoard, child: Task, parent: Task, token?: string) =>
    board.call('PUT', `/tasks/${child.id}/parents/${parent.id}`, token === undefined ? {} : { token });

  test('is told to a worker without the tasks that it may not see', async () => {
    const [board] = await newBoard();
    const own = await board.task('work');
    const { token } = await board.claim('work');
    const body = { title: 'helper' };
    const helper: Task = expectStatus(await board.call('POST', '/tasks', { token, body }), 201).body.task;
    const waiting = await board.task(null, { parents: [own.id] });
    const foreign = await board.task(null, { parents: [waiting.id] });
    const farther = await board.task(null, { parents: [foreign.id] });
    expectStatus(await link(board, helper, farther), 200);
    const whole = await link(board, own, helper);
    expect([whole.code, whole.body.path, whole.body.truncated]).toEqual([
      'dependency_cycle',
      [own.id, helper.id, farther.id, foreign.id, waiting.id, own.id],
      undefined,
    ]);
    const told = await link(board, own, helper, token);
    expect([told.code, told.body.path, told.body.truncated]).toEqual([
      'dependency_cycle',
      [own.id, helper.id, waiting.id, own.id],
      true,
    ]);
    expect(told.body.detail).toContain(`${helper.id} → … → ${waiting.id}`);
    for (const { id } of [foreign, farther]) expect(JSON.stringify(told.body)).not.toContain(id);
  });

  test('that is very long is refused with its ends', async () => {
    const [board] = await newBoard();
    const tasks = Array.from({ length: 150 }, (_, index) => ({
      title: 'x',
      parents: index === 0 ? [] : [`#${index - 1}`],
    }));
    const made: Task[] = expectStatus(await board.call('POST', '/tasks/batch', { body: { tasks } }), 201).body
      .tasks;
    const [first, last] = [made[0], made.at(-1)] as [Task, Task];
    const { code, body } = await link(board, first, last);
    expect([code, body.path, body.truncated]).toEqual([
      'dependency_cycle',
      [first.id, last.id, first.id],
      true,
    ]);
  });
});
