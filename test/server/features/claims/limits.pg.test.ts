/** The three limits of an attempt: each alone, one before the other, with clocks of each claim's own, and what the verdict rests on. */
import { describe, expect, test } from 'vitest';
import type { Claim } from '../../../../src/contract/claims.ts';
import type { Event } from '../../../../src/contract/events.ts';
import { parseId } from '../../../../src/server/kernel/ids.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { eventually, only } from '../../../fixtures/eventually.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();

const LIMITED = { max_runtime_seconds: 500, no_progress_seconds: 400 };
/** What puts a claim past each of its limits. */
const PAST = {
  cancel_deadline: { is_cancel_requested: true, cancel_deadline_at: '2020-01-01T00:00:00Z' },
  lease: { lease_expires_at: '2020-01-01T00:00:00Z' },
  max_runtime: { runtime_expires_at: '2020-01-01T00:00:00Z' },
  no_progress: { last_progress_at: '2020-01-01T00:00:00Z' },
};

async function limitedClaim(task: object = {}): Promise<[TestBoard, TestBoard, Claim]> {
  const [board, elsewhere] = await servers.board();
  await board.lane('work');
  await board.task('work', { ...LIMITED, backoff: { base_seconds: 0 }, max_failures: 9, ...task });
  return [board, elsewhere, await board.claim('work', { worker: 'w', lease_seconds: 600 })];
}

interface Row {
  readonly last_progress_at: Date;
  readonly claimed_at: Date;
  readonly runtime_expires_at: Date | null;
  readonly no_progress_seconds: number | null;
  readonly progress: number | null;
}

const uuidOf = (claim: Claim): string => parseId('run', claim.run_id) ?? '';

async function rowOf(claim: Claim): Promise<Row> {
  const rows = await servers.database.sql<Row[]>`
    SELECT last_progress_at, claimed_at, runtime_expires_at, no_progress_seconds, progress FROM claims WHERE run_id = ${uuidOf(claim)}`;
  return only([...rows]);
}

async function setClaim(claim: Claim, columns: Readonly<Record<string, unknown>>): Promise<void> {
  const { sql } = servers.database;
  await sql`UPDATE claims SET ${sql(columns)} WHERE run_id = ${uuidOf(claim)}`;
}

/** The event of the reaper's verdict. */
function verdict(board: TestBoard): Promise<Event> {
  return eventually('the reaper’s verdict', async () =>
    (await board.events('&kinds=task.crashed,task.timed_out,task.cancelled')).at(-1),
  );
}

describe('progress', () => {
  test('is a higher number or a new checkpoint, never the same again, on whichever server', async () => {
    const [board, elsewhere, claim] = await limitedClaim();
    const beat = async (through: TestBoard, body: object): Promise<boolean> => {
      const before = (await rowOf(claim)).last_progress_at;
      expectStatus(await endClaim(through.server, claim, 'heartbeat', { ...body }), 200);
      return (await rowOf(claim)).last_progress_at > before;
    };
    const answers: [boolean, boolean][] = [];
    for (const [body, isProgress] of [
      [{ checkpoint: { page: 1, of: 9 } }, true],
      [{ checkpoint: { of: 9, page: 1 } }, false],
      [{ checkpoint: { page: 2, of: 9 }, note: 'on' }, true],
      [{ checkpoint: { page: 2, of: 9 }, metadata: { a: 1 } }, false],
      [{ progress: 5 }, true],
      [{ progress: 5 }, false],
      [{ progress: 4 }, false],
      [{ progress: 4, checkpoint: { page: 2, of: 9 } }, false],
      [{ progress: 6, checkpoint: { page: 2, of: 9 } }, true],
      [{ note: 'alive' }, false],
      [{}, false],
      [{ checkpoint: { page: 1, of: 9 } }, true],
    ] as const)
      answers.push([await beat(answers.length % 2 ? elsewhere : board, body), isProgress]);
    expect(answers.map(([was]) => was)).toEqual(answers.map(([, expected]) => expected));
  });

  test('keeps an attempt that nothing else keeps; a heartbeat without it does not, however long its lease', async () => {
    const [board, , stuck] = await limitedClaim();
    await board.task('work', LIMITED);
    const busy = await board.claim('work', { lease_seconds: 600 });
    for (const claim of [stuck, busy]) await endClaim(board.server, claim, 'heartbeat', { checkpoint: 1 });
    const passTime = (seconds: number) => servers.database.sql`
      UPDATE claims SET last_progress_at = last_progress_at - make_interval(secs => ${seconds})
      WHERE run_id = ANY(${[uuidOf(stuck), uuidOf(busy)]}::uuid[])`;
    await passTime(300);
    expectStatus(await endClaim(board.server, busy, 'heartbeat', { checkpoint: 2 }), 200);
    const stale = { checkpoint: 1, lease_seconds: 3600 };
    expectStatus(await endClaim(board.server, stuck, 'heartbeat', stale), 200);
    await passTime(200);
    const event = await verdict(board);
    expect([event.kind, event.run_id]).toEqual(['task.timed_out', stuck.run_id]);
    expect(event.data).toMatchObject({ outcome: 'timed_out', evidence: { limit: 'no_progress' } });
    expectStatus(await endClaim(board.server, busy, 'complete'), 200);
  });
});

describe('an attempt', () => {
  test('has the limits of its task, else of its lane, and clocks that begin with its claim', async () => {
    const [board] = await servers.board();
    await board.lane('work', LIMITED);
    await board.task('work', { max_runtime_seconds: 77, max_failures: 9, backoff: { base_seconds: 0 } });
    const first = await board.claim('work', { lease_seconds: 600 });
    expect(await rowOf(first)).toMatchObject({ no_progress_seconds: 400 });
    await endClaim(board.server, first, 'heartbeat', { progress: 50, checkpoint: 'half' });
    await setClaim(first, PAST.max_runtime);
    await verdict(board);
    await board.untilStatus(first.task.id, 'ready');
    const second = await board.claim('work', { lease_seconds: 600 });
    const row = await rowOf(second);
    expect(row).toMatchObject({ last_progress_at: row.claimed_at, progress: null, no_progress_seconds: 400 });
    expect(row.runtime_expires_at?.getTime()).toBe(row.claimed_at.getTime() + 77_000);
    // Where the last attempt ended, this one is new.
    expectStatus(await endClaim(board.server, second, 'heartbeat', { checkpoint: 'half' }), 200);
    expect((await rowOf(second)).last_progress_at.getTime()).toBeGreaterThan(row.claimed_at.getTime());
  });

  test('gets no run time from a heartbeat', async () => {
    const [board, , claim] = await limitedClaim();
    const before = (await rowOf(claim)).runtime_expires_at;
    const body = { lease_seconds: 3600, progress: 1, checkpoint: 1 };
    expectStatus(await endClaim(board.server, claim, 'heartbeat', body), 200);
    expect((await rowOf(claim)).runtime_expires_at).toEqual(before);
  });

  test.each([
    ['cancel_deadline', ['lease', 'max_runtime', 'no_progress'], 'task.cancelled'],
    ['lease', ['max_runtime', 'no_progress'], 'task.crashed'],
    ['max_runtime', ['no_progress'], 'task.timed_out'],
    ['no_progress', [], 'task.timed_out'],
  ] as const)('past its %s and %j ends with the first of them: %s', async (limit, others, kind) => {
    const [board, , claim] = await limitedClaim();
    await setClaim(claim, Object.assign({}, ...[limit, ...others].map((name) => PAST[name])));
    const event = await verdict(board);
    expect(event).toMatchObject({ kind, run_id: claim.run_id, actor: { type: 'system', id: 'reaper' } });
    const isFailure = limit !== 'cancel_deadline';
    expect(event.data).toMatchObject({ consecutive_failures: isFailure ? 1 : 0, evidence: { limit } });
    if (isFailure) expect(event.data['reason']).toBe(limit);
  });
});

test('a verdict names what it rests on, the same in run and event', async () => {
  const [board, elsewhere, claim] = await limitedClaim();
  const { lease_expires_at } = expectStatus(
    await endClaim(elsewhere.server, claim, 'heartbeat', { progress: 0.5, lease_seconds: 300 }),
    200,
  ).body;
  await servers.database.sql`
    INSERT INTO workers (board_id, lane, worker, last_seen_at, socket_closed_at)
    SELECT board_id, lane, worker, now(), '2026-01-02T03:04:05.678Z' FROM claims WHERE run_id = ${uuidOf(claim)}
    ON CONFLICT (board_id, lane, worker) DO UPDATE SET socket_closed_at = excluded.socket_closed_at`;
  await setClaim(claim, PAST.no_progress);
  const event = await verdict(board);
  const evidence = event.data['evidence'];
  expect(evidence).toEqual({
    limit: 'no_progress',
    claimed_at: claim.claimed_at,
    lease_seconds: 300,
    lease_expires_at,
    runtime_expires_at: new Date(Date.parse(claim.claimed_at) + 500_000).toISOString(),
    no_progress_seconds: 400,
    last_heartbeat_at: expect.any(String),
    last_progress_at: '2020-01-01T00:00:00.000Z',
    progress: 0.5,
    socket_closed_at: '2026-01-02T03:04:05.678Z',
  });
  const run = only(await board.runs(claim.task.id));
  expect(run).toMatchObject({ outcome: 'timed_out', evidence });
  expect(run.error).toBe('No progress for 400 seconds since 2020-01-01T00:00:00.000Z.');
});
