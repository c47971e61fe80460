/** What a gateway fetches late is told as if it had been there at once, as far as it is kept. */
import { describe, expect, test } from 'vitest';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';
import { say, take } from '../deliveries/taken-deliveries.ts';

const servers = useTwoServers();
const CHAT = { platform: 'discord', chat_id: 'c' };

async function newBoard(): Promise<TestBoard> {
  const [board] = await servers.board();
  await board.lane('work');
  return board;
}

/** As the pruner does with what nobody has fetched for eight days. */
async function pruneLog(board: TestBoard): Promise<void> {
  await servers.database.sql.begin(async (tx) => {
    const id = tx`(SELECT id FROM boards WHERE name = ${board.name})`;
    await tx`DELETE FROM events WHERE board_id = ${id}`;
    await tx`UPDATE board_seq SET pruned_seq = seq WHERE board_id = ${id}`;
  });
}

async function block(board: TestBoard, task: string): Promise<void> {
  const claim = await board.claim('work', { task_id: task });
  const body = { kind: 'needs_input', reason: 'which of the two?' };
  expectStatus(await endClaim(board.server, claim, 'block', body), 200);
}

async function complete(board: TestBoard, task: string): Promise<void> {
  const claim = await board.claim('work', { task_id: task });
  const body = { summary: 'it was the cache', result: { pages: 3 } };
  expectStatus(await endClaim(board.server, claim, 'complete', body), 200);
}

describe.concurrent('a late gateway', () => {
  test('is told of the task and its outcome, also when the event has been pruned', async () => {
    const board = await newBoard();
    const task = await board.task('work', { title: 'Fix the build', subscribe: CHAT });
    await complete(board, task.id);
    await pruneLog(board);
    const [delivery] = await take(board);
    expect(delivery?.text).toContain('Completed: Fix the build');
    expect(delivery?.text).toContain('Lane: work');
    expect(delivery?.text).toContain('it was the cache');
    expect(delivery?.text).toContain('"pages": 3');
    expect(delivery?.events).toEqual([]);
    expectStatus(await say(board, delivery, 'ack'), 200);
  });

  test('hears of each outcome by what came of it, and what a task is blocked for', async () => {
    const board = await newBoard();
    const done = await board.task('work', { subscribe: CHAT });
    await block(board, done.id);
    expectStatus(await board.operate(done.id, 'unblock'), 200);
    await complete(board, done.id);
    const stuck = await board.task('work', { subscribe: { ...CHAT, chat_id: 'other' } });
    await block(board, stuck.id);
    await pruneLog(board);
    const [first, other] = await take(board);
    expect(first?.text).toContain('Blocked');
    expect(first?.text).not.toContain('it was the cache');
    expect(other?.text).toContain('Blocked (needs_input)');
    expect(other?.text).toContain('which of the two?');
    expectStatus(await say(board, first, 'ack'), 200);
    const [second] = await take(board);
    expect(second?.text).toContain('Completed');
    expect(second?.text).toContain('it was the cache');
  });

  test('finds the runs of what it has not been told of; they go once it has', async () => {
    const board = await newBoard();
    const retention = { runs_seconds: 1 };
    expectStatus(await board.call('PATCH', '', { body: { settings: { retention } } }), 200);
    const twice = async (body: Record<string, unknown>): Promise<string> => {
      const { id } = await board.task('work', body);
      await block(board, id);
      expectStatus(await board.operate(id, 'unblock'), 200);
      await complete(board, id);
      return id;
    };
    const attempts = async (task: string) => (await board.runs(task)).map(({ attempt }) => attempt);
    const followed = await twice({ subscribe: CHAT });
    const alone = await twice({});
    await eventually('the first run of the other is gone', async () => (await attempts(alone)).length === 1);
    expect(await attempts(followed)).toEqual([1, 2]);
    for (let left = 2; left > 0; left -= 1) {
      const [delivery] = await take(board);
      expectStatus(await say(board, delivery, 'ack'), 200);
    }
    await eventually('its first run is gone, too', async () => (await attempts(followed)).length === 1);
    expect(await attempts(followed)).toEqual([2]);
  });
});
