import { expect, test } from 'vitest';
import type { Claim } from '../../../../src/contract/claims.ts';
import type { Lane } from '../../../../src/contract/lanes.ts';
import type { Task } from '../../../../src/contract/tasks.ts';
import { endClaim, type TestBoard } from '../../../fixtures/board.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import { Fold, type FoldedTask } from '../../../fixtures/fold.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';
import { openSocket } from '../../../fixtures/watch-socket.ts';

const servers = useTwoServers();

const LANES = ['alpha', 'beta', 'gamma'];
const ACTORS = 8;
const STEPS = 35;

const pick = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)] as T;

/** One client of any kind, doing whatever comes to its mind; refusals are part of the game, failures of the server are not. */
async function act(board: TestBoard): Promise<void> {
  const held: Claim[] = [];
  const call = async (...args: Parameters<TestBoard['call']>) => {
    const answer = await board.call(...args);
    expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(500);
    return answer;
  };
  const someTask = async (): Promise<string> => {
    const { tasks } = (await call('GET', '/tasks?limit=50')).body;
    return tasks.length === 0 ? 'none' : pick(tasks as Task[]).id;
  };
  const steps: (() => Promise<unknown>)[] = [
    () =>
      call('POST', '/tasks', {
        body: {
          title: 'x',
          lane: pick(LANES),
          priority: Math.floor(Math.random() * 5),
          max_failures: 2,
          backoff: { base_seconds: 0 },
        },
      }),
    () =>
      call('POST', '/tasks', {
        body: { title: 'x', lane: pick([null, ...LANES]), status: pick(['triage', 'blocked']) },
      }),
    () =>
      call('POST', '/tasks/batch', {
        body: {
          tasks: LANES.map((lane) => ({
            title: 'x',
            lane,
            run_at: new Date(Date.now() + 300).toISOString(),
          })),
        },
      }),
    async () =>
      held.push(
        ...((await board.claims(pick(LANES), { max: 3, lease_seconds: pick([1, 60]) })).body.claims ?? []),
      ),
    async () => held.push(...((await board.claims(pick(LANES), { max: 2 })).body.claims ?? [])),
    async () => {
      const claim = held.pop();
      if (claim === undefined) return;
      const [verb, body] = pick([
        ['complete', { summary: 's' }],
        ['complete', {}],
        ['block', { reason: 'r' }],
        ['release', {}],
        ['release', { delay_seconds: 1 }],
        ['fail', { error: 'e' }],
        ['heartbeat', { progress: Math.random(), note: 'n' }],
      ] as const);
      expect((await endClaim(board.server, claim, verb, body)).status).toBeLessThan(500);
    },
    async () =>
      call(
        'POST',
        `/tasks/${await someTask()}/${pick(['cancel', 'unblock', 'promote', 'archive', 'reopen', 'complete'])}`,
        { body: {} },
      ),
    async () => call('POST', `/tasks/${await someTask()}/assign`, { body: { lane: pick([null, ...LANES]) } }),
    async () => call('POST', `/tasks/${await someTask()}/comments`, { body: { body: 'hm' } }),
    async () =>
      call('PATCH', `/tasks/${await someTask()}`, { body: { priority: Math.floor(Math.random() * 9) } }),
    () => call('POST', `/lanes/${pick(LANES)}/${pick(['pause', 'resume', 'resume', 'drain'])}`),
    () =>
      call('PATCH', `/lanes/${pick(LANES)}`, {
        body: { max_concurrent_claims: pick([null, 2, 20]), lease_seconds: pick([60, 900]) },
      }),
    () => call('PATCH', '', { body: { settings: { paused: pick([true, false, false, false]) } } }),
    async () => {
      const body = { mode: pick(['release', 'adopt', 'expire']), worker: pick(['ann', 'bob']) };
      held.push(...((await call('POST', `/lanes/${pick(LANES)}/takeover`, { body })).body.claims ?? []));
    },
    async () => {
      const lane = pick(LANES);
      await call('DELETE', `/lanes/${lane}`);
      await call('PUT', `/lanes/${lane}`, { body: {} });
    },
  ];
  for (let step = 0; step < STEPS; step += 1) await pick(steps)();
}

const shownTask = (task: Task): FoldedTask => ({
  status: task.status,
  lane: task.lane,
  priority: task.priority,
  version: task.version,
  attempt: task.attempt,
  holder: task.claim?.run_id ?? null,
});

const SETTINGS = [
  'kind',
  'claim_mode',
  'max_concurrent_claims',
  'lease_seconds',
  'paused',
  'draining',
  'epoch',
] as const;
const shownLane = (lane: Record<string, unknown>) =>
  Object.fromEntries(SETTINGS.map((name) => [name, lane[name]]));

async function allTasks(board: TestBoard): Promise<Task[]> {
  const found: Task[] = [];
  const statuses = 'triage,todo,scheduled,ready,running,blocked,review,done,cancelled,archived';
  for (let token = ''; ; ) {
    const { tasks, next_page_token } = (
      await board.call('GET', `/tasks?limit=200&status=${statuses}${token}`)
    ).body;
    found.push(...tasks);
    if (next_page_token === null) return found;
    token = `&page_token=${next_page_token}`;
  }
}

test('the log folded from the start gives the tables, the counters and every snapshot on the way', async () => {
  const [board, elsewhere] = await servers.board();
  for (const lane of LANES) await board.lane(lane);
  const watcher = await openSocket(elsewhere.server, board.name);
  await watcher.watch({ id: 'all', after: 'start' });
  const snapshots: { cursor: string; tasks: Task[]; lanes: Lane[] }[] = [];
  let isOver = false;
  const takeSnapshots = async () => {
    while (!isOver) snapshots.push((await elsewhere.call('GET', '/snapshot')).body);
  };
  const actors = Array.from({ length: ACTORS }, (_, index) => act(index % 2 === 0 ? board : elsewhere));
  await Promise.all([
    takeSnapshots(),
    Promise.all(actors).then(() => {
      isOver = true;
    }),
  ]);
  // Everything comes to rest: no lease, no schedule and no drain that the servers would still act on.
  for (const lane of LANES) await board.call('POST', `/lanes/${lane}/pause`);
  await servers.database.sql`
    UPDATE claims SET lease_expires_at = clock_timestamp() + interval '1 hour', cancel_deadline_at = cancel_deadline_at + interval '1 hour'
    WHERE board_id = (SELECT id FROM boards WHERE name = ${board.name})`;
  await servers.database.sql`
    UPDATE tasks SET run_at = run_at + interval '1 hour'
    WHERE status = 'scheduled' AND board_id = (SELECT id FROM boards WHERE name = ${board.name})`;
  // Who was seen is written, and the log says so.
  for (const through of [board, elsewhere]) await through.call('GET', '/lanes');
  await eventually('the log knows who is online', async () => {
    const unsaid = await servers.database.sql`
      SELECT FROM lanes l JOIN workers w ON w.board_id = l.board_id AND w.lane = l.name
      WHERE NOT l.is_online AND l.board_id = (SELECT id FROM boards WHERE name = ${board.name})`;
    return unsaid.length === 0;
  });

  const events = await board.events();
  const fold = Fold.of(events);
  const tasks = await allTasks(board);
  expect(Object.fromEntries(fold.tasks)).toEqual(
    Object.fromEntries(tasks.map((task) => [task.id, shownTask(task)])),
  );
  const { lanes } = (await board.call('GET', '/lanes')).body as { lanes: Lane[] };
  expect(Object.fromEntries([...fold.lanes].map(([name, lane]) => [name, shownLane(lane)]))).toEqual(
    Object.fromEntries(lanes.map((lane) => [lane.name, shownLane(lane)])),
  );
  const shown = (await board.call('GET', '')).body.board;
  expect(shown.counts).toEqual(fold.counts);
  expect(shown.settings.paused).toBe(fold.settings['paused'] ?? false);
  expect(shown.cursor).toBe(events.at(-1)?.cursor);

  // A watcher on the other server saw exactly this log.
  await watcher.event('all', (event) => event.seq === events.length);
  expect(watcher.events('all')).toEqual(events);

  expect(snapshots.length).toBeGreaterThan(3);
  for (const snapshot of [snapshots[0], pick(snapshots), pick(snapshots), snapshots.at(-1)]) {
    const seq = events.findIndex((event) => event.cursor === snapshot?.cursor) + 1;
    const before = Fold.of(events.slice(0, seq));
    const unfinished = [...before.tasks].filter(
      ([, task]) => !['done', 'cancelled', 'archived'].includes(task.status),
    );
    expect(Object.fromEntries((snapshot?.tasks ?? []).map((task) => [task.id, shownTask(task)]))).toEqual(
      Object.fromEntries(unfinished),
    );
    expect(snapshot?.lanes.map((lane) => lane.name).sort()).toEqual([...before.lanes.keys()].sort());
  }
});
