import { describe, expect, onTestFinished, test } from 'vitest';
import type { Claim } from '../../../../src/contract/claims.ts';
import { LIMITS } from '../../../../src/contract/constants.ts';
import type { Event } from '../../../../src/contract/events.ts';
import { TAKEOVER_MODES } from '../../../../src/contract/statuses.ts';
import { openDatabase, type Sql } from '../../../../src/server/db/client.ts';
import { transaction } from '../../../../src/server/db/tx.ts';
import { Takeovers } from '../../../../src/server/features/claims/service.ts';
import { memoryOf } from '../../../../src/server/features/claims/takeover/takeover.ts';
import { DatabaseClock } from '../../../../src/server/kernel/clock.ts';
import { IdSource, parseId } from '../../../../src/server/kernel/ids.ts';
import { auditBoard } from '../../../fixtures/audit.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { eventually, only } from '../../../fixtures/eventually.ts';
import { holdCounter, untilStanding, untilTestEnds } from '../../../fixtures/held-lock.ts';
import { untilLanesOnline } from '../../../fixtures/lanes-online.ts';
import type { CallAnswer } from '../../../fixtures/server.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

/** Of the last test. Two seconds on an idle machine. */
const DONE_WITHIN_MS = 60_000;

const servers = useTwoServers();

const pick = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)] as T;

const takeOver = (board: TestBoard, mode: string, worker: string): Promise<CallAnswer> =>
  board.call('POST', '/lanes/work/takeover', { body: { mode, worker } });

const claimsOf = (answer: CallAnswer): Claim[] => expectStatus(answer, 200).body.claims;

/**
 * By the log: what other workers held when the lane was taken over they hold no more at the end. Returns how many such claims there
 * were, over all takeovers.
 */
async function expectFenced(board: TestBoard): Promise<number> {
  const { events } = await auditBoard(servers.database.sql, board.name);
  const live = new Map<string, Event>();
  const fenced = new Map<string, Event>();
  let found = 0;
  for (const event of events) {
    if (event.kind === 'task.claimed') live.set(event.run_id ?? '', event);
    else if (event.data['status_before'] === 'running') {
      live.delete(event.run_id ?? '');
      fenced.delete(event.run_id ?? '');
    } else if (event.kind === 'lane.taken_over') {
      const others = [...live].filter(([, claimed]) => claimed.worker !== event.worker);
      found += others.length;
      if (event.data['mode'] !== 'expire') for (const [run, claimed] of others) fenced.set(run, claimed);
    }
  }
  expect([...fenced.keys()], 'nobody holds what was taken over').toEqual([]);
  return found;
}

describe('a takeover', () => {
  test.each([
    ['sees a claim that was decided before it and is just being committed', 'claim'],
    ['comes before a claim that is decided again on the new configuration', 'takeover'],
  ])('%s', async (_, first) => {
    const [board, elsewhere] = await servers.board();
    await board.lane('work');
    await board.tasks('work', 3);
    // Both know the configuration, so that neither reads it at the gate.
    await elsewhere.claims('work', { worker: 'old' });
    // Nor does a sweep stand at the counter with the lane locked.
    await eventually(
      'the lane is online',
      async () => (await board.events('&kinds=lane.online')).length === 1,
    );
    const lock = await untilTestEnds(holdCounter(servers.database.sql, board.name));
    const claiming = (): Promise<CallAnswer> => elsewhere.claims('work', { worker: 'old', max: 2 });
    const taking = (): Promise<CallAnswer> => takeOver(board, 'release', 'new');
    const [claimed, taken] = await (async () => {
      if (first === 'claim') {
        const claim = claiming();
        await untilStanding(servers.database.sql, 'claims.claim', 'row');
        const takeover = taking();
        await untilStanding(servers.database.sql, 'log.lock_counter', 'row');
        return [claim, takeover];
      }
      const takeover = taking();
      await untilStanding(servers.database.sql, 'log.lock_counter', 'row');
      const claim = claiming();
      await untilStanding(servers.database.sql, 'claims.claim', 'row');
      return [claim, takeover];
    })();
    await lock.release();
    expect(expectStatus(await taken, 200).body.lane.epoch).toBe(2);
    const claims = claimsOf(await claimed);
    expect(claims.length).toBeGreaterThan(0);
    const verdicts = await Promise.all(claims.map((claim) => endClaim(board.server, claim, 'heartbeat')));
    const expected = first === 'claim' ? [409, 'superseded'] : [200, undefined];
    for (const { status, body } of verdicts) expect([status, body.reason]).toEqual(expected);
    expect(await expectFenced(board)).toBe(first === 'claim' ? 3 : 1);
  });

  test('with a lane key is refused where a sibling’s claim is just being committed, which keeps it', async () => {
    const [board, elsewhere] = await servers.board();
    const { sql } = servers.database;
    await board.lane('work');
    await board.task('work');
    const token = expectStatus(await board.call('POST', '/lanes/work/keys', { body: {} }), 201).body.secret;
    await board.call('GET', '/lanes/work'); // What is pending is written.
    const standing: Promise<CallAnswer>[] = [];
    await sql.begin(async (tx) => {
      // That the sibling was seen stays unwritten: its claim is all that there is of it.
      await tx`LOCK TABLE workers IN EXCLUSIVE MODE`;
      const lock = await untilTestEnds(holdCounter(sql, board.name));
      standing.push(elsewhere.claims('work', { worker: 'sibling' }));
      await untilStanding(sql, 'claims.claim', 'row');
      const body = { mode: 'adopt', worker: 'new' };
      standing.push(board.call('POST', '/lanes/work/takeover', { body, token }));
      await untilStanding(sql, 'log.lock_counter', 'row');
      await lock.release();
    });
    const [claimed, taken] = await Promise.all(standing);
    expect([taken?.status, taken?.code]).toEqual([403, 'forbidden']);
    expect(taken?.body.detail).toContain('"sibling"');
    expect((await board.call('GET', '/lanes/work')).body.lane.epoch).toBe(1);
    expect((await endClaim(board.server, only(claimsOf(claimed as CallAnswer)), 'complete')).status).toBe(
      200,
    );
    await auditBoard(sql, board.name);
  });

  test.each(TAKEOVER_MODES)('by %s waits for nobody while the board waits for it', async (mode) => {
    const [board, elsewhere] = await servers.board();
    const { sql } = servers.database;
    await board.lane('work');
    await board.tasks('work', 2);
    const held = claimsOf(await board.claims('work', { worker: 'old', max: 2 }));
    const [printing, ending] = held.sort((left, right) => (left.task.id < right.task.id ? -1 : 1));
    if (printing === undefined || ending === undefined) throw new Error('two tasks are claimed');
    // This server has seen both tokens then, and gathers their lines.
    for (const claim of held) await endClaim(elsewhere.server, claim, 'heartbeat');
    const standing: Promise<CallAnswer>[] = [];
    await sql.begin(async (tx) => {
      await tx`SELECT FROM runs WHERE id = ${parseId('run', ending.run_id) ?? ''} FOR UPDATE`;
      standing.push(endClaim(elsewhere.server, ending, 'complete'));
      await untilStanding(sql, 'claims.complete', 'row');
      // The append has one of the claims, which keeps that from being deleted, and waits for the one that is being ended.
      const operations = [printing, ending].map(({ token }) => ({ op: 'output', token, lines: ['a line'] }));
      standing.push(elsewhere.server.call('POST', '/v1/runs/batch', { body: { operations } }));
      await untilStanding(sql, 'outputs.append', 'row');
      const free =
        await tx`SELECT FROM claims WHERE run_id = ${parseId('run', printing.run_id) ?? ''} FOR UPDATE SKIP LOCKED`;
      expect(free).toHaveLength(0);
      standing.push(takeOver(board, mode, 'new'));
      await untilStanding(sql, 'claims.lock_taken', 'row');
      // The counter row is free: the fence has been committed.
      await board.task('work');
    });
    const [ended, printed, taken] = await Promise.all(standing);
    expect([ended?.status, taken?.status]).toEqual([200, 200]);
    expect(printed?.body.results.map(({ ok }: { ok: boolean }) => ok)).toEqual([true, false]);
    expect((await endClaim(board.server, printing, 'heartbeat')).body.reason).toBe('superseded');
    await auditBoard(sql, board.name);
  });

  test.each(TAKEOVER_MODES)('by %s leaves a claim to the end that has it locked already', async (mode) => {
    const [board, elsewhere] = await servers.board();
    const { sql } = servers.database;
    await board.lane('work');
    await board.tasks('work', 2);
    const [ending, other] = claimsOf(await board.claims('work', { worker: 'old', max: 2 }));
    if (ending === undefined || other === undefined) throw new Error('two tasks are claimed');
    let taken: Promise<CallAnswer> | undefined;
    let ended: Promise<CallAnswer> | undefined;
    // The completion stands in its midst, with its task and claim locked.
    await sql.begin(async (tx) => {
      await tx`SELECT FROM runs WHERE id = ${parseId('run', ending.run_id) ?? ''} FOR UPDATE`;
      ended = endClaim(elsewhere.server, ending, 'complete');
      await untilStanding(sql, 'claims.complete', 'row');
      taken = takeOver(board, mode, 'new');
      // The fence has been committed: others go on, and only the claim that is being ended is waited for.
      await untilStanding(sql, 'claims.lock_taken', 'row');
      expect((await endClaim(elsewhere.server, other, 'heartbeat')).body.reason).toBe('superseded');
      await board.task('work');
    });
    expect((await ended)?.status).toBe(200);
    const answer = await taken;
    if (answer === undefined) throw new Error('the takeover was begun');
    const adopted = claimsOf(answer).map((claim) => claim.task.id);
    expect(adopted).toEqual(mode === 'adopt' ? [other.task.id] : []);
    expect(await board.read(ending.task.id)).toMatchObject({ status: 'done', attempt: 1 });
    await auditBoard(sql, board.name);
  });

  test('that is overtaken by another leaves everything to that one', async () => {
    const [board, elsewhere] = await servers.board();
    const { sql } = servers.database;
    await board.lane('work');
    const task = await board.task('work');
    const held = await board.claim('work', { worker: 'old' });
    const taken: Promise<CallAnswer>[] = [];
    await sql.begin(async (tx) => {
      await tx`SELECT FROM tasks WHERE id = ${parseId('task', task.id) ?? ''} FOR UPDATE`;
      taken.push(takeOver(board, 'adopt', 'first'));
      await untilStanding(sql, 'claims.lock_taken', 'row');
      taken.push(takeOver(elsewhere, 'adopt', 'second'));
      await untilStanding(sql, 'lanes.lock', 'row');
    });
    const [first, second] = await Promise.all(taken);
    const claims = [first, second].flatMap((answer) => (answer === undefined ? [] : claimsOf(answer)));
    const lanes = [first, second].map((answer) => answer?.body.lane.epoch).sort();
    expect(lanes).toContain(3);
    // The first one had the lock, and had its claim taken over in turn.
    const last = claims.find((claim) => claim.worker === 'second');
    expect((await endClaim(board.server, held, 'complete')).body.reason).toBe('superseded');
    expect((await endClaim(board.server, last as Claim, 'complete')).status).toBe(200);
    expect((await board.runs(task.id)).map((run) => run.outcome)).toEqual([
      'released',
      'released',
      'completed',
    ]);
    await expectFenced(board);
  });
});

function latch(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

/** Called before each transaction of a takeover, with its number from 1; the transaction begins when it resolves. */
type Gate = (transaction: number) => Promise<void>;

function gated(sql: Sql, gate: Gate): Sql {
  let count = 0;
  const begin = async (...parameters: unknown[]): Promise<unknown> => {
    count += 1;
    await gate(count);
    return Reflect.apply(sql.begin, sql, parameters);
  };
  return new Proxy(sql, {
    get: (target, name) => (name === 'begin' ? begin : Reflect.get(target, name)),
  });
}

/** Takeovers whose transactions carry one claim each, or so many. */
function slowTakeovers(takenMax?: number, perTurnMax = 1, gate: Gate = async () => undefined): Takeovers {
  const { cold, close } = openDatabase({ url: servers.database.url, hotConnectionsMax: 1 });
  onTestFinished(close);
  const parts = {
    sql: gated(cold, gate),
    wake: { ring: () => undefined, nudge: () => undefined },
    ids: new IdSource(new DatabaseClock()),
    configs: { forget: () => undefined },
    presence: { flush: async () => undefined, see: () => undefined },
    returns: { give: () => undefined },
    allowance: { take: () => true },
    perTurnMax,
    takenMax,
  };
  return new Takeovers(parts as never);
}

test('a takeover of several transactions stops where a newer one has begun, and everything is the newer one’s', async () => {
  const [board] = await servers.board();
  const { sql } = servers.database;
  await board.lane('work');
  await board.tasks('work', 2);
  const held = claimsOf(await board.claims('work', { worker: 'old', max: 2 }));
  await untilLanesOnline(sql);
  const [early, late] = held.map(({ task }) => parseId('task', task.id) ?? '').sort();
  const [row] = await sql<{ id: number }[]>`SELECT id FROM boards WHERE name = ${board.name}`;
  const ref = { id: row?.id ?? 0, name: board.name, incarnation: '' };
  const comeBetween = latch();
  const firstIsOver = latch();
  // The fence and one claim; the next one only when the second takeover has begun, which goes on only then.
  const first = slowTakeovers(undefined, 1, async (transaction) => {
    if (transaction > 2) await comeBetween.opened;
  });
  const second = slowTakeovers(undefined, 1, async (transaction) => {
    if (transaction > 1) await firstIsOver.opened;
  });
  const caller = { kind: 'key', keyId: 'key_test', role: 'admin' } as never;
  const seize = (takeovers: Takeovers, worker: string) =>
    takeovers.takeOver({ caller, board: ref, lane: 'work', body: { mode: 'adopt', worker } });
  const taken: ReturnType<typeof seize>[] = [];
  // Held at the fence, both claims are left for the transactions behind it.
  await sql.begin(async (holder) => {
    await holder`SELECT FROM tasks WHERE id = ANY(${[early ?? '', late ?? '']}::uuid[]) FOR UPDATE`;
    taken.push(seize(first, 'first'));
    await untilStanding(sql, 'claims.lock_taken', 'row');
    taken.push(seize(second, 'second'));
    await untilStanding(sql, 'lanes.lock', 'row');
  });
  const earlyTask = held.find(({ task }) => parseId('task', task.id) === early)?.task.id ?? '';
  await board.until(earlyTask, ({ claim }) => claim?.worker === 'second', 'is the second one’s');
  comeBetween.open();
  expect((await taken[0])?.adopted.length).toBe(1);
  firstIsOver.open();
  const { adopted } = (await taken[1]) ?? { adopted: [] };
  expect(adopted.map(({ hold }) => hold.taskId).sort()).toEqual([early, late]);
  for (const { task } of held) expect((await board.read(task.id)).claim).toMatchObject({ worker: 'second' });
  await expectFenced(board);
});

test('two tries of one takeover that finish side by side adopt no more than one answer carries', async () => {
  const [board] = await servers.board();
  const { sql } = servers.database;
  const PER_TURN = 60;
  await board.lane('work');
  await board.tasks('work', 2 * PER_TURN);
  for (const worker of ['a', 'b']) await board.claims('work', { worker, max: PER_TURN, lease_seconds: 600 });
  await untilLanesOnline(sql);
  const [row] = await sql<{ id: number }[]>`SELECT id FROM boards WHERE name = ${board.name}`;
  const ref = { id: row?.id ?? 0, name: board.name, incarnation: '' };
  const caller = { kind: 'key', keyId: 'key_test', role: 'admin' } as never;
  const request = { caller, board: ref, lane: 'work', body: { mode: 'adopt', worker: 'new' } } as const;
  const takeovers = slowTakeovers(undefined, PER_TURN);
  const { cold, close } = openDatabase({ url: servers.database.url });
  onTestFinished(close);
  // Nothing can be taken by the first transaction, and everything by the others.
  const first = await sql.begin(async (holds) => {
    await holds`SELECT FROM claims WHERE board_id = ${ref.id} FOR UPDATE`;
    return transaction(cold, (tx) => takeovers.begin(tx, request));
  });
  expect(first.rest).toHaveLength(2 * PER_TURN);
  const second = takeovers.recall(request, memoryOf(first));
  await takeovers.finish({ ...first, rest: first.rest.slice(0, PER_TURN) });
  await takeovers.finish(second);
  const adopted = await takeovers.adoptedBy(first);
  expect([first.adopted.length, second.adopted.length, adopted.length]).toEqual([60, 40, 100]);
  const { fold } = await auditBoard(sql, board.name);
  expect(fold.counts).toMatchObject({ running: LIMITS.claimsMax, ready: 2 * PER_TURN - LIMITS.claimsMax });
});

test.each(TAKEOVER_MODES)(
  'a takeover by %s of more than one request deals with says how much remains, and the next goes on',
  async (mode) => {
    const [board] = await servers.board();
    const { sql } = servers.database;
    await board.lane('work');
    await board.tasks('work', 5);
    await board.claims('work', { worker: 'old', max: 5 });
    await untilLanesOnline(sql);
    const [row] = await sql<{ id: number }[]>`SELECT id FROM boards WHERE name = ${board.name}`;
    const ref = { id: row?.id ?? 0, name: board.name, incarnation: '' };
    const caller = { kind: 'key', keyId: 'key_test', role: 'admin' } as never;
    const takeovers = slowTakeovers(2);
    const remaining: number[] = [];
    for (let left = 3; left > 0; left -= 1)
      remaining.push(
        (await takeovers.takeOver({ caller, board: ref, lane: 'work', body: { mode, worker: 'new' } }))
          .remaining,
      );
    expect(remaining).toEqual([3, 1, 0]);
    expect((await board.events('&kinds=lane.taken_over')).map(({ data }) => data['claims'])).toEqual([
      2, 2, 1,
    ]);
    await auditBoard(sql, board.name);
  },
);

test(
  'takeovers on two servers among claims, heartbeats and ends: each claim has one winner, and nothing slips through',
  async () => {
    const boards = await servers.board();
    const [board] = boards;
    const WORKERS = 8;
    const TASKS = 60;
    await board.lane('work', { lease_seconds: 60, max_concurrent_claims: 20 });
    await board.tasks('work', TASKS, { max_failures: 100, backoff: { base_seconds: 0 } });
    const completed = new Set<string>();
    let isOver = false;

    const endAs = async (through: TestBoard, claim: Claim): Promise<void> => {
      const verb = pick(['complete', 'complete', 'heartbeat', 'release']);
      const answer = await endClaim(through.server, claim, verb);
      if (answer.status === 200 && verb === 'complete') completed.add(claim.run_id);
      else if (answer.status !== 200)
        expect(answer.body).toMatchObject({ code: 'claim_lost', reason: 'superseded' });
      if (answer.status === 200 && verb === 'heartbeat') await endAs(through, claim);
    };
    const work = async (index: number): Promise<void> => {
      while (!isOver) {
        const through = pick(boards);
        const answer = await through.claims('work', { worker: `w${index}`, max: 3 });
        // Each takeover has it decided again, and these come in a loop.
        if (answer.code === 'rate_limited') continue;
        await Promise.all(claimsOf(answer).map((claim) => endAs(through, claim)));
      }
    };
    const seize = async (index: number): Promise<void> => {
      while (!isOver) {
        const through = pick(boards);
        const { lane } = (await through.call('GET', '/lanes/work')).body;
        if (lane.backlog.running < 5) continue;
        // Not by expiry: what is left to its lease would last longer than the test.
        const answer = await takeOver(through, pick(['release', 'adopt']), `w${index}`);
        await Promise.all(claimsOf(answer).map((claim) => endAs(through, claim)));
      }
    };
    const untilDone = async (): Promise<void> => {
      const deadline = performance.now() + DONE_WITHIN_MS;
      while (performance.now() < deadline) {
        if ((await board.call('GET', '')).body.board.counts.done === TASKS) break;
      }
      isOver = true;
    };
    await Promise.all([
      untilDone(),
      ...Array.from({ length: WORKERS }, (_, index) => work(index)),
      seize(0),
      seize(1),
    ]);
    const { fold, runs } = await auditBoard(servers.database.sql, board.name);
    expect(fold.counts.done).toBe(TASKS);
    expect(fold.peaks.get('work')).toBeLessThanOrEqual(20);
    expect(completed.size).toBe(TASKS);
    expect(runs.filter((run) => run.outcome === 'completed')).toHaveLength(TASKS);
    // The race was one: takeovers did find claims of others.
    expect(await expectFenced(board)).toBeGreaterThan(10);
    expect(only((await board.call('GET', '/lanes')).body.lanes as { epoch: number }[]).epoch).toBeGreaterThan(
      5,
    );
  },
  2 * DONE_WITHIN_MS,
);
