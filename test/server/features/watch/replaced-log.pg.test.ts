/** Who waits for work while the log is replaced under a server that runs, by a restore or by a standby that lagged, is told of work as before. */
import { beforeAll, describe, expect, test } from 'vitest';
import type { Claim } from '../../../../src/contract/claims.ts';
import type { TestBoard } from '../../../fixtures/board.ts';
import { changeTimers } from '../../../fixtures/changed-timers.ts';
import { eventually, only } from '../../../fixtures/eventually.ts';
import { openWorker } from '../../../fixtures/push-worker.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';
import { openSocket } from '../../../fixtures/watch-socket.ts';

const servers = useTwoServers();

const WAIT_SECONDS = 20;
/** However well wake-ups work, who waits looks by himself this often. */
const LOOK_INTERVAL_MS = 5000;
/** Far above what a wake-up takes, and below that. */
const SOON_MS = 4000;

/** Turned off for long polls: who is served before the end of its wait was woken. */
beforeAll(() => changeTimers(LOOK_INTERVAL_MS, WAIT_SECONDS * 1000));

/** `lagged`: the log ends earlier. `grown`: so it did, and others than the events that were told stand in their places by now. `renamed`: only its incarnation is another. */
type Replacement = 'lagged' | 'grown' | 'restored' | 'renamed';
const REPLACEMENTS: readonly (readonly [string, Replacement])[] = [
  ['a standby that lagged', 'lagged'],
  ['a standby that lagged, and has grown past it before anybody looked', 'grown'],
  ['a restored backup', 'restored'],
  ['a restored backup that ends where the log had ended', 'renamed'],
];

/** A board with a lane, whose log has more events than the one that will take its place. */
async function makeBoards(mode: string): Promise<[board: TestBoard, elsewhere: TestBoard]> {
  const [board, elsewhere] = await servers.board();
  await board.lane('work', { claim_mode: mode });
  for (let count = 0; count < 10; count += 1) await board.lane('other', { max_concurrent_claims: count + 1 });
  return [board, elsewhere];
}

/** The end of the log is taken back, and it is known that the board's server has noticed. */
async function replaceLog([board, elsewhere]: [TestBoard, TestBoard], how: Replacement): Promise<void> {
  const witness = await openSocket(board.server, board.name);
  await witness.watch({ id: 'w' });
  await servers.database.sql.begin(async (tx) => {
    const [row] = await tx`SELECT id FROM boards WHERE name = ${board.name}`;
    const id = row?.['id'];
    if (how === 'restored' || how === 'renamed')
      await tx`UPDATE boards SET log_incarnation = 'restored' WHERE id = ${id}`;
    if (how === 'grown')
      await tx`
        UPDATE events SET at = clock_timestamp()
        WHERE board_id = ${id} AND seq > (SELECT seq - 5 FROM board_seq WHERE board_id = ${id})`;
    else if (how !== 'renamed') await tx`UPDATE board_seq SET seq = seq - 5 WHERE board_id = ${id}`;
    await tx`DELETE FROM events WHERE board_id = ${id} AND seq > (SELECT seq FROM board_seq WHERE board_id = ${id})`;
  });
  if (how === 'grown') await elsewhere.lane('other', { max_concurrent_claims: 50 });
  expect((await witness.closed()).code).toBe(1012);
}

async function waiting(board: TestBoard): Promise<number> {
  const { body } = await board.server.call('GET', '/metrics');
  return Number(/^lanekeeper_claim_waiters (\d+)$/m.exec(body)?.[1] ?? 0);
}

describe.each(REPLACEMENTS)('when the log was replaced by %s', (_what, how) => {
  test('a long poll is woken, and so is one that comes while others wait', async () => {
    const [board, elsewhere] = await makeBoards('pull');
    const polls = [board.claims('work', {}, { waitSeconds: WAIT_SECONDS })];
    await eventually('it waits', async () => (await waiting(board)) === 1);
    await replaceLog([board, elsewhere], how);
    polls.push(board.claims('work', {}, { waitSeconds: WAIT_SECONDS }));
    await eventually('both wait', async () => (await waiting(board)) === 2);
    for (const poll of polls) {
      const task = await elsewhere.task('work');
      const claim = only((await poll).body.claims as Claim[]);
      expect(claim.task.id).toBe(task.id);
    }
  });

  test('a socket that only said hello stays, and it and the next one hear what waits', async () => {
    const [board, elsewhere] = await makeBoards('watch');
    const early = await openWorker(board);
    await replaceLog([board, elsewhere], how);
    const late = await openWorker(board);
    await elsewhere.task('work');
    for (const { socket } of [early, late]) {
      const hint = await socket.frame('available', ({ lane }) => lane === 'work', SOON_MS);
      expect(hint.ready).toBe(1);
      expect(socket.closing).toBeNull();
    }
  });

  test('a worker of a push lane keeps its socket, and is given work', async () => {
    const [board, elsewhere] = await makeBoards('push');
    const worker = await openWorker(board);
    expect((await worker.credit(5)).ok).toBe(true);
    await replaceLog([board, elsewhere], how);
    const task = await elsewhere.task('work');
    const claim = await eventually('a claim', () => worker.claims[0] ?? worker.socket.closing, SOON_MS);
    expect(claim).toMatchObject({ task: { id: task.id } });
    expect(worker.socket.framesOf('error')).toEqual([]);
  });
});
