/** Output: kept as a ring, live to who asks for it, and nothing that a claim or the log depends on. */
import { expect, test } from 'vitest';
import type { Claim } from '../../../../src/contract/claims.ts';
import { LIMITS } from '../../../../src/contract/constants.ts';
import type { OutputLine } from '../../../../src/contract/outputs.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import { openWorker } from '../../../fixtures/push-worker.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';
import { openSocket, type WatchSocket } from '../../../fixtures/watch-socket.ts';

const servers = useTwoServers();

function print(board: TestBoard, claim: Claim, ...lines: string[]) {
  return endClaim(board.server, claim, 'output', { lines });
}

async function kept(board: TestBoard, task: string): Promise<OutputLine[]> {
  return expectStatus(await board.call('GET', `/tasks/${task}/output`), 200).body.lines;
}

async function texts(board: TestBoard, task: string): Promise<string[]> {
  return (await kept(board, task)).map(({ text }) => text);
}

/** Text of the frames of a watch, with what was dropped between them. */
function seen(socket: WatchSocket, id: string): (string | number)[] {
  return socket
    .framesOf('output')
    .filter((frame) => frame.id === id)
    .flatMap(({ dropped, lines }) => [...(dropped === undefined ? [] : [dropped]), ...lines]);
}

const numbered = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, index) => `line ${from + index}`);

async function running(): Promise<[TestBoard, TestBoard, Claim]> {
  const [board, elsewhere] = await servers.board();
  await board.lane('work');
  await board.task('work');
  return [board, elsewhere, await board.claim('work', { worker: 'press' })];
}

test('the last lines are kept, numbered, in order, whichever server took them', async () => {
  const [board, elsewhere, claim] = await running();
  expect(expectStatus(await print(board, claim, 'one', 'two'), 200).body).toEqual({ accepted: 2 });
  expectStatus(await print(elsewhere, claim, 'three'), 200);
  expect(await kept(board, claim.task.id)).toMatchObject([
    { number: 1, text: 'one', run_id: claim.run_id },
    { number: 2, text: 'two' },
    { number: 3, text: 'three' },
  ]);

  expectStatus(await print(board, claim, ...numbered(4, 150)), 200);
  expectStatus(await print(elsewhere, claim, ...numbered(151, 260)), 200);
  expect(await texts(board, claim.task.id)).toEqual(numbered(61, 260));
  // More than the ring holds at once.
  const burst = numbered(261, 260 + LIMITS.outputLinesReceivedMax);
  expect(expectStatus(await print(board, claim, ...burst), 200).body.accepted).toBe(burst.length);
  expect(await texts(board, claim.task.id)).toEqual(burst.slice(-LIMITS.outputLinesKept));
  expect((await kept(board, claim.task.id)).at(-1)?.number).toBe(1260);
});

test('a long line is cut, never within a character; what the database cannot keep is refused', async () => {
  const [board, , claim] = await running();
  const cut = 'x'.repeat(LIMITS.outputLineCharactersKept - 1);
  expectStatus(await print(board, claim, `${cut}😀 and more`, '\u0001\u001b[31mred\t|', ''), 200);
  expect(await texts(board, claim.task.id)).toEqual([cut, '\u0001\u001b[31mred\t|', '']);
  const refused = await print(board, claim, 'a\u0000b');
  expect([refused.status, refused.code]).toEqual([400, 'invalid_request']);
  expect((await print(board, claim)).code).toBe('invalid_request');
});

test('output neither extends the lease nor stands in the log, and ends with the claim', async () => {
  const [board, elsewhere, claim] = await running();
  const before = await board.read(claim.task.id);
  const events = await board.events('&kinds=task.*');
  expectStatus(await print(board, claim, 'x'), 200);
  expect(await board.read(claim.task.id)).toEqual(before);
  expect(await board.events('&kinds=task.*')).toEqual(events);

  expectStatus(await endClaim(board.server, claim, 'release'), 200);
  const late = await print(elsewhere, claim, 'too late');
  expect([late.status, late.code, late.body.reason]).toEqual([409, 'claim_lost', 'released']);
  // The next attempt goes on in the same ring, under its own run.
  const next = await board.claim('work');
  expectStatus(await print(board, next, 'y'), 200);
  expect((await kept(board, claim.task.id)).map(({ number, run_id }) => [number, run_id])).toEqual([
    [1, claim.run_id],
    [2, next.run_id],
  ]);
});

test('output in a batch and over a socket; one lost claim harms no other', async () => {
  const [board, , claim] = await running();
  const gone = await (async () => {
    await board.task('work');
    const other = await board.claim('work');
    expectStatus(await endClaim(board.server, other, 'complete'), 200);
    return other;
  })();
  const operations = [gone, claim].map(({ token }) => ({ op: 'output', token, lines: ['batched'] }));
  const answer = await board.server.call('POST', '/v1/runs/batch', { body: { operations } });
  expect(expectStatus(answer, 200).body.results).toMatchObject([
    { ok: false, problem: { code: 'claim_lost' } },
    { ok: true, accepted: 1 },
  ]);
  const worker = await openWorker(board, { worker: 'press' });
  const replies = await Promise.all(
    ['a', 'b', 'c'].map((line) => worker.verb('output', claim, { lines: [line] })),
  );
  for (const reply of replies) expect(reply).toMatchObject({ ok: true, run_id: claim.run_id, accepted: 1 });
  expect(await texts(board, claim.task.id)).toEqual(['batched', 'a', 'b', 'c']);
  // The socket still speaks for the run.
  expect(await worker.verb('complete', claim)).toMatchObject({ ok: true, outcome: 'completed' });
});

test('who watches with output gets each line once, in order, from both servers; others get none', async () => {
  const [board, elsewhere, claim] = await running();
  const [here, there] = [
    await openSocket(board.server, board.name),
    await openSocket(elsewhere.server, board.name),
  ];
  expectStatus(await print(board, claim, 'before'), 200);
  for (const socket of [here, there]) {
    await socket.watch({ id: 'out', output: true });
    await socket.watch({ id: 'plain' });
    await socket.watch({ id: 'other lane', output: true, lanes: ['elsewhere'] });
  }
  for (let round = 0; round < 20; round += 1)
    expectStatus(
      await print(round % 3 === 0 ? elsewhere : board, claim, ...numbered(2 * round, 2 * round + 1)),
      200,
    );
  for (const socket of [here, there]) {
    await eventually('all lines', () => seen(socket, 'out').length >= 40);
    expect(seen(socket, 'out')).toEqual(numbered(0, 39));
    expect(seen(socket, 'plain')).toEqual([]);
    expect(seen(socket, 'other lane')).toEqual([]);
  }
  const [first] = here.framesOf('output');
  expect(first).toMatchObject({ task_id: claim.task.id, run_id: claim.run_id, number: 2 });
});

test('a claim token watches the output of its own task alone', async () => {
  const [board, , claim] = await running();
  await board.task('work');
  const other = await board.claim('work');
  const socket = await openSocket(board.server, board.name, { token: claim.token });
  await socket.watch({ id: 'out', output: true });
  expectStatus(await print(board, other, 'not yours'), 200);
  expectStatus(await print(board, claim, 'yours'), 200);
  await eventually('the line', () => seen(socket, 'out').length > 0);
  expect(seen(socket, 'out')).toEqual(['yours']);
  const foreign = await board.server.call('GET', board.path(`/tasks/${other.task.id}/output`), {
    token: claim.token,
  });
  expect(foreign.status).toBe(404);
});

test('what the ring has lost before another server could read it is said to be missing', async () => {
  const [board, elsewhere, claim] = await running();
  const socket = await openSocket(elsewhere.server, board.name);
  await socket.watch({ id: 'out', output: true });
  expectStatus(await print(board, claim, 'first'), 200);
  await eventually('the first line', () => seen(socket, 'out').length > 0);
  // More in one go than there is room for: nobody but the server that took it can have it all.
  const burst = numbered(1, LIMITS.outputLinesKept + 50);
  expectStatus(await print(board, claim, ...burst), 200);
  await eventually('the burst', () => seen(socket, 'out').includes(burst.at(-1) ?? ''));
  expect(seen(socket, 'out')).toEqual(['first', 50, ...burst.slice(50)]);
});

test('a hundred chatty workers share few transactions', async () => {
  const [board] = await servers.board();
  const { sql } = servers.database;
  await board.lane('work');
  await board.tasks('work', 100);
  const { claims } = expectStatus(await board.claims('work', { max: 100 }), 200).body;
  await Promise.all(
    (claims as Claim[]).flatMap((claim) => ['a', 'b', 'c'].map((line) => print(board, claim, line))),
  );
  for (const claim of (claims as Claim[]).slice(0, 5))
    expect((await texts(board, claim.task.id)).sort()).toEqual(['a', 'b', 'c']);
  const [row] = await sql<{ lines: number; transactions: number }[]>`
    SELECT count(*)::int AS lines, count(DISTINCT l.xmin::text)::int AS transactions FROM output_lines l
    WHERE l.board_id = (SELECT id FROM boards WHERE name = ${board.name})`;
  expect(row?.lines).toBe(300);
  // Requests come in as the event loop lets them; one each would be 300.
  expect(row?.transactions).toBeLessThan(100);
});
