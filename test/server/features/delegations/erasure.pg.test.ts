/** What is deleted is also gone from what was told of it: results, log, deliveries, mirrors and replies. */
import { expect, test } from 'vitest';
import { useAuditedBoards } from '../../../fixtures/audited-boards.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';

const { servers, newBoard } = useAuditedBoards(['work', 'writer']);

type Body = Readonly<Record<string, unknown>>;

/** Rows of any table that hold the text, but for answers that are remembered for a day. */
async function tablesWith(text: string): Promise<string[]> {
  const { sql } = servers.database;
  const tables = await sql<{ name: string }[]>`
    SELECT table_name AS name FROM information_schema.tables
    WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND table_name <> 'idempotency_keys'`;
  const found: string[] = [];
  for (const { name } of tables) {
    const rows = await sql`SELECT FROM ${sql(name)} AS t WHERE t::text LIKE ${`%${text}%`} LIMIT 1`;
    if (rows.length > 0) found.push(name);
  }
  return found.toSorted();
}

async function finish(board: TestBoard, task: string | undefined, word: string): Promise<void> {
  const claim = expectStatus(await board.claims('work', { task_id: task ?? '' }), 200).body.claims[0];
  const said = { summary: word, result: { [word]: word }, metadata: { [word]: word } };
  expectStatus(
    await board.server.call('POST', `/v1/runs/${claim.run_id}/output`, {
      token: claim.token,
      body: { lines: [word] },
    }),
    200,
  );
  expectStatus(await endClaim(board.server, claim, 'complete', said), 200);
}

/** Given out, waited for where it is made first. */
async function take(board: TestBoard) {
  const options = { body: {}, headers: { Prefer: 'wait=20' } };
  const answer = expectStatus(await board.call('POST', '/deliveries/claims', options), 200);
  return answer.body.deliveries[0];
}

const say = (board: TestBoard, delivery: Body, verb: string, body: Body = {}) =>
  board.server.call('POST', `/v1/deliveries/${delivery['id']}/${verb}`, {
    body: { lease_id: delivery['lease_id'], ...body },
  });

async function remove(board: TestBoard, task: string | undefined): Promise<void> {
  expectStatus(await board.call('DELETE', `/tasks/${task}`), 204);
}

const CHAT = { platform: 'discord', chat_id: 'c1', session_id: 's1' };

test('of a deleted child nothing is left, and its siblings keep what they said', async () => {
  const [board] = await newBoard();
  const [gone, kept, whole] = ['Unrepeatable-51aa', 'Unrepeatable-62bb', 'Unrepeatable-73cc'];
  const child = (word: string): Body => ({
    title: word,
    goal: word,
    context: word,
    toolsets: [word],
    model: word,
    lane: 'work',
  });
  const body = {
    goal: whole,
    context: whole,
    origin: { ...CHAT, context: whole },
    tasks: [child(gone), child(kept)],
  };
  const made = expectStatus(await board.call('POST', '/delegations', { body }), 202).body.delegation;
  const [first, second] = made.tasks;
  await finish(board, first, gone);
  await finish(board, second, kept);
  const told = await take(board);
  expect(told.text).toContain(gone);
  expectStatus(await say(board, told, 'ack'), 200);
  expect(await tablesWith(gone)).toEqual(
    expect.arrayContaining(['delegation_tasks', 'delegations', 'deliveries', 'events', 'session_messages']),
  );

  await remove(board, first);
  expect(await tablesWith(gone)).toEqual([]);
  const left = expectStatus(await board.call('GET', `/delegations/${made.id}`), 200).body.delegation;
  expect(left).toMatchObject({
    status: 'completed',
    goal: whole,
    results: [
      { task_id: first, index: 0, outcome: 'deleted', summary: null, result: null, metadata: {} },
      { task_id: second, index: 1, outcome: 'completed', summary: kept },
    ],
  });

  await remove(board, second);
  for (const word of [kept, whole]) expect([word, await tablesWith(word)]).toEqual([word, []]);
  expect((await board.call('GET', `/delegations/${made.id}`)).body.delegation.status).toBe('completed');
});

test('a delegation whose children are deleted before they end is decided without a word of them', async () => {
  const [board] = await newBoard();
  const word = 'Unrepeatable-84dd';
  const body = { tasks: [{ goal: word, context: word, lane: 'work' }] };
  const made = expectStatus(await board.call('POST', '/delegations', { body }), 202).body.delegation;
  await remove(board, made.tasks[0]);
  const left = expectStatus(await board.call('GET', `/delegations/${made.id}`), 200).body.delegation;
  expect(left).toMatchObject({ status: 'failed', results: [{ outcome: 'deleted', goal: null }] });
  expect(await tablesWith(word)).toEqual([]);
});

test('of a deleted task no subscription, delivery, message or reply is left, told or not', async () => {
  const [board] = await newBoard();
  const settings = { synthesizer_lane: 'writer' };
  expectStatus(await board.call('PATCH', '', { body: { settings } }), 200);
  const word = 'Unrepeatable-95ee';
  const origin = { platform: 'telegram', chat_id: word, session_id: word, context: word };
  const task = await board.task('work', { title: word, origin });
  const target = { task_id: task.id, platform: 'discord', chat_id: word };
  expectStatus(await board.call('PUT', '/subscriptions', { body: target }), 201);
  const dead = { task_id: task.id, platform: 'slack', chat_id: word };
  expectStatus(await board.call('PUT', '/subscriptions', { body: dead }), 201);
  await finish(board, task.id, word);
  const [writing] = expectStatus(await board.claims('writer', {}, { waitSeconds: 20 }), 200).body.claims;
  expect(JSON.stringify(writing.task)).toContain(word);
  expectStatus(await endClaim(board.server, writing, 'complete', { result: word, summary: word }), 200);
  const seen = [await take(board), await take(board), await take(board)];
  for (const delivery of seen) {
    const { platform } = delivery.subscription;
    if (platform === 'telegram') expectStatus(await say(board, delivery, 'ack', { message_id: word }), 200);
    if (platform === 'slack')
      expectStatus(await say(board, delivery, 'nack', { error: word, permanent: true }), 200);
  }
  expect(await tablesWith(word)).toEqual(
    expect.arrayContaining(
      ['deliveries', 'session_messages', 'subscriptions', 'task_details', 'tasks'].slice(0, 4),
    ),
  );
  await remove(board, task.id);
  expect(await tablesWith(word)).toEqual([]);
});
