/** Steering: told at once, repeated until acknowledged, handed on to the next attempt, and missed when the task has ended. */
import { expect, test } from 'vitest';
import type { Claim } from '../../../../src/contract/claims.ts';
import { LIMITS } from '../../../../src/contract/constants.ts';
import type { Message } from '../../../../src/contract/messages.ts';
import { parseId } from '../../../../src/server/kernel/ids.ts';
import { auditBoard } from '../../../fixtures/audit.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { eventually, only } from '../../../fixtures/eventually.ts';
import { Fold } from '../../../fixtures/fold.ts';
import { holdClaim, holdCounter, untilStanding, untilTestEnds } from '../../../fixtures/held-lock.ts';
import { openWorker } from '../../../fixtures/push-worker.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();

async function steer(board: TestBoard, task: string, message = 'go left'): Promise<Message> {
  return expectStatus(await board.operate(task, 'steer', { message }), 201).body.message;
}

async function messages(board: TestBoard, task: string): Promise<Message[]> {
  return expectStatus(await board.call('GET', `/tasks/${task}/messages`), 200).body.messages;
}

async function states(board: TestBoard, task: string): Promise<string[]> {
  return (await messages(board, task)).map(({ state }) => state);
}

function acknowledge(board: TestBoard, claim: Claim, ids: readonly string[]) {
  return endClaim(board.server, claim, 'messages/ack', { ids });
}

async function heard(board: TestBoard, claim: Claim): Promise<string[]> {
  const answer = expectStatus(await endClaim(board.server, claim, 'heartbeat'), 200);
  return answer.body.messages.map(({ id }: Message) => id);
}

test('a message is queued, told with each heartbeat until it is acknowledged, and then never again', async () => {
  const [board, elsewhere] = await servers.board();
  await board.lane('work');
  const task = await board.task('work');
  const claim = await board.claim('work');

  const message = await steer(elsewhere, task.id);
  expect(message).toMatchObject({ text: 'go left', state: 'queued', run_id: null, delivered_at: null });
  expect(await states(board, task.id)).toEqual(['queued']);

  expect(await heard(board, claim)).toEqual([message.id]);
  expect(await heard(elsewhere, claim)).toEqual([message.id]);
  const [told] = await messages(board, task.id);
  expect(told).toMatchObject({ state: 'delivered', run_id: claim.run_id });
  expect(told?.delivered_at).not.toBeNull();

  expect(expectStatus(await acknowledge(elsewhere, claim, [message.id]), 200).body).toEqual({
    acknowledged: 1,
  });
  expect(await heard(board, claim)).toEqual([]);
  expect(await states(board, task.id)).toEqual(['acknowledged']);
  // Again, because the answer may have been lost.
  expect(expectStatus(await acknowledge(board, claim, [message.id]), 200).body).toEqual({ acknowledged: 0 });

  // What comes after an acknowledgement is told again.
  const next = await steer(board, task.id, 'now right');
  expect(await heard(board, claim)).toEqual([next.id]);
});

test('only what was acknowledged falls silent, and ids of other tasks are left alone', async () => {
  const [board] = await servers.board();
  await board.lane('work');
  const [mine, other] = await board.tasks('work', 2);
  const claims = expectStatus(await board.claims('work', { max: 2 }), 200).body.claims as Claim[];
  const claim = claims.find(({ task }) => task.id === mine?.id) as Claim;
  const first = await steer(board, mine?.id ?? '');
  const second = await steer(board, mine?.id ?? '');
  const foreign = await steer(board, other?.id ?? '');
  const unknown = `msg_${'0'.repeat(26)}`;

  const answer = await acknowledge(board, claim, [first.id, foreign.id, unknown]);
  expect(expectStatus(answer, 200).body).toEqual({ acknowledged: 1 });
  expect(await heard(board, claim)).toEqual([second.id]);
  expect(await states(board, other?.id ?? '')).toEqual(['queued']);
});

test('a socket of the worker hears it at once, also when it was said on another server, and only once', async () => {
  const [board, elsewhere] = await servers.board();
  await board.lane('work');
  const task = await board.task('work');
  const worker = await openWorker(board, { worker: 'press' });
  const bystander = await openWorker(board, { worker: 'other' });
  const claim = await board.claim('work', { worker: 'press' });

  const here = await steer(board, task.id, 'one');
  const frame = await worker.socket.frame('steer', (candidate) => candidate.message.id === here.id);
  expect(frame).toEqual({
    type: 'steer',
    run_id: claim.run_id,
    message: { id: here.id, text: 'one', at: here.at },
  });
  const there = await steer(elsewhere, task.id, 'two');
  await worker.socket.frame('steer', (candidate) => candidate.message.id === there.id);
  expect(await states(board, task.id)).toEqual(['delivered', 'delivered']);

  const reply = await worker.verb('ack', claim, { ids: [here.id, there.id] });
  expect(reply).toMatchObject({ ok: true, run_id: claim.run_id, acknowledged: 2 });
  const last = await steer(elsewhere, task.id, 'three');
  await worker.socket.frame('steer', (candidate) => candidate.message.id === last.id);
  expect(worker.socket.framesOf('steer').map(({ message }) => message.id)).toEqual([
    here.id,
    there.id,
    last.id,
  ]);
  expect(bystander.socket.framesOf('steer')).toEqual([]);
});

test('a new socket of the worker hears at its hello what is still open, and not what was acknowledged', async () => {
  const [board, elsewhere] = await servers.board();
  await board.lane('work');
  const task = await board.task('work');
  const claim = await board.claim('work', { worker: 'press' });
  const known = await steer(board, task.id, 'one');
  const open = await steer(board, task.id, 'two');
  // Both have been told to this run: only that the socket is new makes it hear the one that is open.
  expect(await heard(board, claim)).toEqual([known.id, open.id]);
  expectStatus(await acknowledge(board, claim, [known.id]), 200);

  const worker = await openWorker(elsewhere, { worker: 'press' });
  await worker.socket.frame('steer', (candidate) => candidate.message.id === open.id);
  expect(worker.socket.framesOf('steer')).toHaveLength(1);
});

test('what is said to a waiting task is handed over with its next claim, pulled or pushed, and repeated like any other', async () => {
  const [board] = await servers.board();
  await board.lane('work');
  await board.lane('pushed', { claim_mode: 'push' });
  const task = await board.task('work');
  const message = await steer(board, task.id, 'before you begin');
  expect(message.state).toBe('queued');
  const claim = await board.claim('work');
  expect(claim.handoff.messages).toEqual([{ id: message.id, text: 'before you begin', at: message.at }]);
  expect(await messages(board, task.id)).toMatchObject([{ state: 'delivered', run_id: claim.run_id }]);
  expect(await heard(board, claim)).toEqual([message.id]);

  const waiting = await board.task('pushed');
  const second = await steer(board, waiting.id, 'mind the gap');
  const worker = await openWorker(board, { lane: 'pushed' });
  await worker.credit(1);
  const pushed = await worker.claim();
  expect(pushed.handoff.messages.map(({ id }) => id)).toEqual([second.id]);
});

test('what a run did not acknowledge goes to the next attempt, which may acknowledge it', async () => {
  const [board] = await servers.board();
  await board.lane('work');
  const task = await board.task('work');
  const first = await board.claim('work');
  const [kept, lost] = [await steer(board, task.id, 'kept'), await steer(board, task.id, 'lost')];
  expect(await heard(board, first)).toEqual([kept.id, lost.id]);
  expectStatus(await acknowledge(board, first, [kept.id]), 200);
  expectStatus(await endClaim(board.server, first, 'release'), 200);

  expect(await states(board, task.id)).toEqual(['acknowledged', 'delivered']);
  const late = await acknowledge(board, first, [lost.id]);
  expect([late.status, late.code]).toEqual([409, 'claim_lost']);
  const second = await board.claim('work');
  expect(second.handoff.messages.map(({ id }) => id)).toEqual([lost.id]);
  expect(expectStatus(await acknowledge(board, second, [lost.id]), 200).body).toEqual({ acknowledged: 1 });
});

test.each([
  ['done', (board: TestBoard, claim: Claim) => endClaim(board.server, claim, 'complete')],
  [
    'cancelled',
    async (board: TestBoard, claim: Claim) => {
      expectStatus(await board.operate(claim.task.id, 'cancel'), 200);
      return endClaim(board.server, claim, 'release');
    },
  ],
] as const)(
  'a task that became %s before anyone acknowledged has missed its messages, for good',
  async (status, end) => {
    const [board] = await servers.board();
    await board.lane('work');
    const task = await board.task('work');
    const claim = await board.claim('work');
    const open = await steer(board, task.id, 'in time');
    const acknowledged = await steer(board, task.id, 'heard');
    expectStatus(await acknowledge(board, claim, [acknowledged.id]), 200);
    expectStatus(await end(board, claim), 200);
    await board.untilStatus(task.id, status);

    const late = await steer(board, task.id, 'too late');
    expect(late.state).toBe('missed');
    expect(await states(board, task.id)).toEqual(['missed', 'acknowledged', 'missed']);
    expect((await acknowledge(board, claim, [open.id])).code).toBe('claim_lost');

    // Reopened, it starts afresh: nobody is told what was reported as missed.
    expectStatus(await board.operate(task.id, 'reopen'), 200);
    const again = await board.claim('work');
    expect(again.handoff.messages).toEqual([]);
    expect(await states(board, task.id)).toEqual(['missed', 'acknowledged', 'missed']);
    const fresh = await steer(board, task.id, 'afresh');
    expect(await heard(board, again)).toEqual([fresh.id]);
  },
);

test('the log says who was told what, and folds as before', async () => {
  const [board] = await servers.board();
  await board.lane('work');
  const task = await board.task('work');
  const claim = await board.claim('work');
  const message = await steer(board, task.id, 'x'.repeat(1000));
  const events = await board.events();
  const [steered] = events.filter(({ kind }) => kind === 'task.steered');
  expect(steered).toMatchObject({
    task_id: task.id,
    run_id: claim.run_id,
    data: { message_id: message.id, state: 'queued', text: 'x'.repeat(400) },
  });
  expect(Fold.of(events).tasks.get(task.id)).toMatchObject({ status: 'running', holder: claim.run_id });
});

test('a holder that acknowledges nothing is told no more than so much, and taken up again when it has', async () => {
  const [board] = await servers.board();
  await board.lane('work');
  const task = await board.task('work');
  const claim = await board.claim('work');
  const sent = await Promise.all(Array.from({ length: LIMITS.messagesMax }, () => steer(board, task.id)));
  const refused = await board.operate(task.id, 'steer', { message: 'one more' });
  expect([refused.status, refused.code]).toEqual([429, 'rate_limited']);
  expect(await heard(board, claim)).toHaveLength(LIMITS.messagesMax);
  const ids = sent.map(({ id }) => id);
  expect(expectStatus(await acknowledge(board, claim, ids), 200).body.acknowledged).toBe(LIMITS.messagesMax);
  await steer(board, task.id);
});

test('a message that is just being committed when its task is claimed is handed over with the claim, and repeated', async () => {
  const [board, elsewhere] = await servers.board();
  const { sql } = servers.database;
  await board.lane('work');
  const task = await board.task('work');
  const counter = await untilTestEnds(holdCounter(sql, board.name));
  const steering = steer(board, task.id);
  await untilStanding(sql, 'log.append', 'row');
  // Named, so that it waits for the task; it has looked already, and seen a task without messages.
  const claiming = elsewhere.claims('work', { task_id: task.id });
  await untilStanding(sql, 'claims.claim', 'row');
  await counter.release();
  const message = await steering;
  const claim = only(expectStatus(await claiming, 200).body.claims as Claim[]);
  expect(claim.handoff.messages.map(({ id }) => id)).toEqual([message.id]);
  expect(claim.task).toMatchObject({ version: task.version + 1, attempt: 1 });
  expect(await heard(board, claim)).toEqual([message.id]);
  await auditBoard(sql, board.name);
});

test('whoever tells has the claim before it touches its messages, as an acknowledgement does', async () => {
  const [board, elsewhere] = await servers.board();
  const { sql } = servers.database;
  await board.lane('work');
  const task = await board.task('work');
  await steer(board, task.id, 'first');
  const claiming = () => board.claims('work', {}, { headers: { 'Idempotency-Key': 'told' } });
  const claim = only(expectStatus(await claiming(), 200).body.claims as Claim[]);
  const untold = await steer(elsewhere, task.id, 'second');
  const lock = await untilTestEnds(holdClaim(sql, parseId('run', claim.run_id) ?? ''));
  const again = claiming();
  await untilStanding(sql, 'tasks.tell_messages', 'row');
  await sql`SELECT FROM messages WHERE id = ${parseId('msg', untold.id) ?? ''} FOR UPDATE NOWAIT`;
  await lock.release();
  const [same] = expectStatus(await again, 200).body.claims as Claim[];
  expect(same?.handoff.messages).toHaveLength(2);
});

test('a message that comes while another is acknowledged is never forgotten', async () => {
  const [board, elsewhere] = await servers.board();
  await board.lane('work');
  const task = await board.task('work');
  const claim = await board.claim('work');
  let open = await steer(board, task.id);
  for (let round = 0; round < 10; round += 1) {
    const [, next] = await Promise.all([acknowledge(board, claim, [open.id]), steer(elsewhere, task.id)]);
    expect(await heard(board, claim)).toEqual([next.id]);
    open = next;
  }
});

test('the same steer under one Idempotency-Key is one message', async () => {
  const [board, elsewhere] = await servers.board();
  const task = await board.task('work');
  const options = { body: { message: 'once' }, headers: { 'Idempotency-Key': 'k1' } };
  const first = expectStatus(await board.call('POST', `/tasks/${task.id}/steer`, options), 201);
  const again = expectStatus(await elsewhere.call('POST', `/tasks/${task.id}/steer`, options), 201);
  expect(again.body).toEqual(first.body);
  expect(await messages(board, task.id)).toHaveLength(1);
});

test('a deleted board leaves no messages and no output behind', async () => {
  const [board] = await servers.board();
  const { sql } = servers.database;
  await board.lane('work');
  const task = await board.task('work');
  const claim = await board.claim('work');
  await steer(board, task.id);
  expectStatus(await endClaim(board.server, claim, 'output', { lines: ['a line'] }), 200);
  const count = async (): Promise<number> => {
    const [row] = await sql<{ count: number }[]>`
      SELECT ((SELECT count(*) FROM messages) + (SELECT count(*) FROM outputs) + (SELECT count(*) FROM output_lines))::int AS count`;
    return row?.count ?? Number.NaN;
  };
  const before = await count();
  expectStatus(await endClaim(board.server, claim, 'complete'), 200);
  expectStatus(await board.call('DELETE', ''), 200, 204);
  await eventually('they are gone', async () => (await count()) === before - 3);
});
