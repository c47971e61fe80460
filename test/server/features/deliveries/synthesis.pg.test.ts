/** A clean reply is made of an outcome where one is wanted, and never at the cost of the outcome. */
import { describe, expect, onTestFinished, test } from 'vitest';
import type { BoardSettings } from '../../../../src/contract/boards.ts';
import type { LeasedDelivery } from '../../../../src/contract/deliveries.ts';
import { openDatabase } from '../../../../src/server/db/client.ts';
import { Synthesis } from '../../../../src/server/features/synthesis/synthesis.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { eventually, only } from '../../../fixtures/eventually.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();

type Body = Readonly<Record<string, unknown>>;

async function newBoard(): Promise<TestBoard> {
  const [board] = await servers.board();
  for (const lane of ['work', 'writer']) await board.lane(lane);
  expectStatus(await board.call('PATCH', '', { body: { settings: { synthesizer_lane: 'writer' } } }), 200);
  return board;
}

/** Done, with somebody on a platform for replies to be told. */
async function outcome(board: TestBoard, session: string, summary: string, chat = session): Promise<string> {
  const origin = { platform: 'telegram', chat_id: chat, session_id: session };
  const task = await board.task('work', { title: `Task of ${session}`, origin });
  const claim = expectStatus(await board.claims('work', { task_id: task.id }), 200).body.claims[0];
  expectStatus(await endClaim(board.server, claim, 'complete', { summary }), 200);
  return task.id;
}

async function take(board: TestBoard, body: Body = {}, waitSeconds = 20): Promise<LeasedDelivery[]> {
  const headers = { Prefer: `wait=${waitSeconds}` };
  return expectStatus(await board.call('POST', '/deliveries/claims', { body, headers }), 200).body.deliveries;
}

/** And no look at a reply is outstanding. */
async function untilForgotten(board: TestBoard, word: string): Promise<void> {
  const { sql } = servers.database;
  const pattern = `%${word}%`;
  await eventually('nothing is left of it', async () => {
    const rows = await sql`
      SELECT FROM deliveries d JOIN boards b ON b.id = d.board_id
      WHERE (b.name = ${board.name} AND d.synthesis_due_at IS NOT NULL) OR d::text LIKE ${pattern}
      UNION ALL SELECT FROM runs r WHERE r::text LIKE ${pattern}
      UNION ALL SELECT FROM task_details t WHERE t::text LIKE ${pattern}
      UNION ALL SELECT FROM events e WHERE e::text LIKE ${pattern}`;
    return rows.length === 0 ? true : null;
  });
}

const write = (board: TestBoard, waitSeconds = 20) => board.claims('writer', { max: 10 }, { waitSeconds });

describe('a reply', () => {
  test('is what the synthesizer makes of the outcome, as a task that no list shows', async () => {
    const board = await newBoard();
    await outcome(board, 's1', 'the cache was stale');
    const [claim] = expectStatus(await write(board), 200).body.claims;
    expect(claim.task.payload.text).toContain('the cache was stale');
    const { tasks } = expectStatus(await board.call('GET', '/tasks?lane=writer'), 200).body;
    expect(tasks).toEqual([]);
    expectStatus(await endClaim(board.server, claim, 'complete', { result: 'All good again.' }), 200);
    const [delivery] = await take(board);
    expect(delivery).toMatchObject({ mode: 'synthesize', text: 'All good again.', is_fallback: false });
  });

  test('that fails is told directly', async () => {
    const board = await newBoard();
    await outcome(board, 's1', 'the cache was stale');
    const [claim] = expectStatus(await write(board), 200).body.claims;
    expectStatus(await endClaim(board.server, claim, 'fail', { error: 'no model' }), 200);
    const [delivery] = await take(board);
    expect(delivery).toMatchObject({ mode: 'direct', is_fallback: true });
    expect(delivery?.text).toContain('the cache was stale');
  });

  test('of a session waits for the one before it; of another session, and what is told directly, it does not', async () => {
    const board = await newBoard();
    await outcome(board, 'same', 'one', 'c1');
    await outcome(board, 'same', 'two', 'c2');
    await outcome(board, 'other', 'three');
    const found: string[] = [];
    while (found.length < 2)
      for (const claim of expectStatus(await write(board), 200).body.claims)
        found.push(claim.task.payload.text);
    expect(found.map((text) => /one|two|three/.exec(text)?.[0]).toSorted()).toEqual(['one', 'three']);
    const plain = await board.task('work', {
      origin: { platform: 'discord', chat_id: 'c', session_id: 'third' },
    });
    const claim = expectStatus(await board.claims('work', { task_id: plain.id }), 200).body.claims[0];
    expectStatus(await endClaim(board.server, claim, 'complete', { summary: 'plain' }), 200);
    expect(await take(board)).toMatchObject([{ mode: 'direct', is_fallback: false }]);
  });

  test('that nobody makes in time is told directly, and its task is over', async () => {
    const board = await newBoard();
    const id = await outcome(board, 's1', 'done');
    const [claim] = expectStatus(await write(board), 200).body.claims;
    await servers.database
      .sql`UPDATE deliveries SET synthesis_due_at = clock_timestamp() WHERE status = 'synthesizing'`;
    const [delivery] = await take(board);
    expect(delivery).toMatchObject({ mode: 'direct', is_fallback: true });
    expect(delivery?.events[0]?.task_id).toBe(id);
    await board.untilStatus(claim.task.id, 'cancelled');
  });

  test('of what was deleted meanwhile is made of nothing: nothing is told, and whoever makes it is stopped', async () => {
    const board = await newBoard();
    const id = await outcome(board, 's1', 'Unrepeatable-95ee');
    const [claim] = expectStatus(await write(board), 200).body.claims;
    expectStatus(await board.call('DELETE', `/tasks/${id}`), 204);
    // It had the words, and answers before it hears that it is to stop.
    await endClaim(board.server, claim, 'complete', { result: 'Unrepeatable-95ee' });
    await untilForgotten(board, 'Unrepeatable-95ee');
    expect(await take(board, {}, 0)).toEqual([]);
  });

  test.each(['unsubscribed', 'silenced', 'told'] as const)(
    'that is made although its delivery is %s is erased with what it is made of, however late it is written',
    async (how) => {
      const board = await newBoard();
      const word = `Unrepeatable-${how}`;
      const id = await outcome(board, 's1', word);
      const [claim] = expectStatus(await write(board), 200).body.claims;
      const { sql } = servers.database;
      const { subscriptions } = expectStatus(
        await board.call('GET', `/subscriptions?task_id=${id}`),
        200,
      ).body;
      if (how === 'unsubscribed') {
        expectStatus(await board.call('DELETE', `/subscriptions/${subscriptions[0].id}`), 204);
      } else if (how === 'silenced') {
        const body = { task_id: id, platform: 'telegram', chat_id: 's1', mode: 'silent' };
        expectStatus(await board.call('PUT', '/subscriptions', { body }), 200);
      } else {
        await sql`UPDATE deliveries SET synthesis_due_at = clock_timestamp() WHERE status = 'synthesizing'`;
        expect(await take(board)).toMatchObject([{ is_fallback: true }]);
      }
      expectStatus(await board.call('DELETE', `/tasks/${id}`), 204);
      await endClaim(board.server, claim, 'complete', { result: word });
      await untilForgotten(board, word);
      expect(await take(board, {}, 0)).toEqual([]);
    },
  );

  test('that is used by nobody after all is not kept', async () => {
    const board = await newBoard();
    const id = await outcome(board, 's1', 'Unrepeatable-17ab');
    const [claim] = expectStatus(await write(board), 200).body.claims;
    expectStatus(await endClaim(board.server, claim, 'complete', { result: 'Unrepeatable-17ab' }), 200);
    const { sql } = servers.database;
    await eventually('the reply waits to be told', async () => {
      const rows = await sql`SELECT FROM deliveries WHERE status = 'pending' AND text = 'Unrepeatable-17ab'`;
      return rows.length > 0 ? true : null;
    });
    const { subscriptions } = expectStatus(await board.call('GET', `/subscriptions?task_id=${id}`), 200).body;
    expectStatus(await board.call('DELETE', `/subscriptions/${subscriptions[0].id}`), 204);
    expectStatus(await board.call('DELETE', `/tasks/${id}`), 204);
    await untilForgotten(board, 'Unrepeatable-17ab');
  });

  test('of a delegation of which a child was deleted meanwhile is not told: what is left of it is, directly', async () => {
    const board = await newBoard();
    const tasks = ['Unrepeatable-06ff', 'the other'].map((goal) => ({ goal, lane: 'work' }));
    const body = { tasks, origin: { platform: 'telegram', chat_id: 'c1', session_id: 's1' } };
    const made = expectStatus(await board.call('POST', '/delegations', { body }), 202).body.delegation;
    for (const [index, { goal: summary }] of tasks.entries()) {
      const ask = { task_id: made.tasks[index] };
      const claim = expectStatus(await board.claims('work', ask), 200).body.claims[0];
      expectStatus(await endClaim(board.server, claim, 'complete', { summary }), 200);
    }
    const [claim] = expectStatus(await write(board), 200).body.claims;
    expectStatus(await board.call('DELETE', `/tasks/${made.tasks[0]}`), 204);
    const [delivery] = await take(board);
    expect(delivery).toMatchObject({ mode: 'direct', is_fallback: true });
    expect(delivery?.text).toContain('the other');
    expect(delivery?.text).not.toContain('Unrepeatable-06ff');
    await board.untilStatus(claim.task.id, 'cancelled');
  });

  test('is not begun while somebody changes its delivery, and that holds up no other one', async () => {
    const board = await newBoard();
    const { sql } = servers.database;
    const [gate, row] = [await sql.reserve(), await sql.reserve()];
    try {
      await gate`BEGIN`;
      await gate`SELECT pg_advisory_xact_lock(hashtextextended('deliveries', id)) FROM boards WHERE name = ${board.name}`;
      await outcome(board, 's1', 'held');
      await outcome(board, 's2', 'free');
      await row`BEGIN`;
      await row`SELECT FROM deliveries WHERE session_id = 's1' AND status = 'synthesizing' FOR UPDATE`;
      await gate`COMMIT`;
      const texts = async () =>
        expectStatus(await write(board), 200).body.claims.map(
          (claim: { task: { payload: { text: string } } }) => claim.task.payload.text,
        );
      expect(await texts()).toEqual([expect.stringContaining('free')]);
      await row`COMMIT`;
      expect(await texts()).toEqual([expect.stringContaining('held')]);
    } finally {
      for (const connection of [gate, row]) {
        await connection`ROLLBACK`;
        connection.release();
      }
    }
  });

  test('is not waited for where the lane is not there', async () => {
    const board = await newBoard();
    expectStatus(await board.call('PATCH', '', { body: { settings: { synthesizer_lane: 'nobody' } } }), 200);
    await outcome(board, 's1', 'done');
    expect(await take(board, {}, 0)).toMatchObject([{ is_fallback: true }]);
  });

  test('is made of an outcome that came right after the lane was set, though a sweep was just looking', async () => {
    const board = await newBoard();
    const { url, sql } = servers.database;
    const { id } = only(await sql<{ id: number }[]>`SELECT id FROM boards WHERE name = ${board.name}`);
    expectStatus(await board.call('PATCH', '', { body: { settings: { synthesizer_lane: null } } }), 200);
    await outcome(board, 's1', 'since');
    // A look at another one is outstanding, as after a reply that nobody needs any more: so the board is swept.
    await sql`
      UPDATE deliveries SET synthesis_due_at = clock_timestamp() + interval '1 hour' WHERE board_id = ${id}`;
    const database = openDatabase({ url });
    onTestFinished(() => database.close());
    const settings = { synthesizer_lane: null } as BoardSettings;
    const synthesis = new Synthesis({
      sql: database.cold,
      wake: { ring: () => undefined },
      boards: {
        resolveId: async (other: number) => (other === id ? { id, name: board.name, incarnation: '' } : null),
        // It starts none.
        readSettings: async () => settings,
      },
    } as unknown as ConstructorParameters<typeof Synthesis>[0]);
    const { swept } = await sql.begin(async (tx) => {
      await tx`LOCK TABLE lanes IN ACCESS EXCLUSIVE MODE`;
      const sweeping = synthesis.sweep(new AbortController().signal);
      await eventually('it is about to look, by the settings of then', async () => {
        const rows = await sql`
          SELECT FROM pg_stat_activity
          WHERE wait_event_type = 'Lock' AND query LIKE '%/* synthesis.list_settled */%' AND datname = current_database()
            AND query_start < clock_timestamp() - interval '0.5 seconds'`;
        return rows.length === 1;
      });
      // The lane is set, and then the outcome comes.
      await tx`UPDATE boards SET settings = jsonb_set(settings, '{synthesizer_lane}', '"writer"') WHERE id = ${id}`;
      await tx`
        UPDATE deliveries SET status = 'synthesizing', is_fallback = false WHERE board_id = ${id} AND status = 'pending'`;
      return { swept: sweeping };
    });
    await swept;
    const [claim] = expectStatus(await write(board), 200).body.claims;
    expect(claim?.task.payload.text).toContain('since');
    expectStatus(await endClaim(board.server, claim, 'complete', { result: 'All good.' }), 200);
    expect(await take(board)).toMatchObject([{ text: 'All good.', is_fallback: false }]);
  });
});
