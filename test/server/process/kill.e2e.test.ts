/** The server is killed in the middle of the work, with its database, and comes back with everything it had acknowledged. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CallAnswer, type CallOptions, call } from '../../fixtures/server.ts';
import {
  buildServer,
  makeReadyDataDir,
  type ServerProcess,
  startServerProcess,
} from '../../fixtures/server-process.ts';

const WORKERS = 50;
const TASKS = 600;
/** Short, so that what the crash left held is soon handed out again. */
const LEASE_SECONDS = 3;
const FINISHED_WITHIN_MS = 60_000;

let removeDataDir: () => Promise<void>;
let dataDir: string;
let server: ServerProcess;

beforeAll(async () => {
  buildServer();
  const made = await makeReadyDataDir();
  dataDir = made.path;
  removeDataDir = made.remove;
  server = await startServerProcess(dataDir);
});
afterAll(async () => {
  await server?.stop();
  await removeDataDir?.();
});

/** An answer, or null when the server was not there to give one: the outcome is then unknown. */
async function attempt(method: string, path: string, options: CallOptions): Promise<CallAnswer | null> {
  try {
    const answer = await call(server.url, method, path, options);
    return answer.status === 503 ? null : answer;
  } catch {
    return null;
  }
}

test('kill -9 under 50 workers loses nothing that was acknowledged, and all tasks end done', async () => {
  const port = new URL(server.url).port;
  const admin = await server.adminKey();
  await call(server.url, 'PUT', '/v1/boards/default/lanes/crash', { token: admin });
  const created = new Set<string>();
  for (let first = 0; first < TASKS; first += 100) {
    const tasks = Array.from({ length: 100 }, (_, index) => ({
      title: `task ${first + index}`,
      lane: 'crash',
      max_failures: 50,
    }));
    const { body } = await call(server.url, 'POST', '/v1/boards/default/tasks/batch', {
      token: admin,
      body: { tasks },
    });
    for (const task of body.tasks) created.add(task.id);
  }

  const completedRuns = new Map<string, string>();
  const stale: number[] = [];
  let isOver = false;
  let restarted: Promise<void> | undefined;
  const crash = async (): Promise<void> => {
    await server.stop('SIGKILL');
    server = await startServerProcess(dataDir, { PORT: port });
  };
  const work = async (worker: string): Promise<void> => {
    while (!isOver) {
      const body = { worker, lease_seconds: LEASE_SECONDS };
      const answer = await attempt('POST', '/v1/boards/default/lanes/crash/claims', {
        token: admin,
        body,
        headers: { Prefer: 'wait=1' },
      });
      const claim = answer?.body.claims?.[0];
      if (claim === undefined) {
        await restarted;
        continue;
      }
      const done = await attempt('POST', `/v1/runs/${claim.run_id}/complete`, {
        token: claim.token,
        body: { summary: worker },
      });
      if (done === null) continue;
      if (done.status === 200) completedRuns.set(claim.run_id, claim.task.id);
      else stale.push(done.status);
      if (completedRuns.size >= TASKS / 3) restarted ??= crash();
    }
  };
  const workers = Array.from({ length: WORKERS }, (_, index) => work(`worker-${index}`));
  const deadline = performance.now() + FINISHED_WITHIN_MS;
  let counts: Record<string, number> = {};
  let after = 'start';
  while (performance.now() < deadline && counts['done'] !== TASKS) {
    // Waits for the log to move, on whichever server there is.
    const log = await attempt('GET', `/v1/boards/default/events?after=${after}&limit=1000`, {
      token: admin,
      headers: { Prefer: 'wait=1' },
    });
    after = log?.body.cursor ?? after;
    counts = (await attempt('GET', '/v1/boards/default', { token: admin }))?.body.board.counts ?? counts;
  }
  isOver = true;
  await Promise.all(workers);

  expect(restarted).toBeDefined();
  expect(counts).toMatchObject({ done: TASKS, running: 0, ready: 0 });
  expect(stale.every((status) => status === 409)).toBe(true);
  const events: { seq: number; kind: string; task_id: string; run_id: string; attempt: number }[] = [];
  for (let cursor = 'start'; ; ) {
    const { body } = await call(server.url, 'GET', `/v1/boards/default/events?after=${cursor}&limit=1000`, {
      token: admin,
    });
    if (body.events.length === 0) break;
    events.push(...body.events);
    cursor = body.cursor;
  }
  expect(events.map((event) => event.seq)).toEqual(events.map((_, index) => index + 1));
  const createdInLog = new Set(
    events.filter((event) => event.kind === 'task.created').map((event) => event.task_id),
  );
  expect([...created].filter((id) => !createdInLog.has(id))).toEqual([]);
  const completions = events.filter((event) => event.kind === 'task.completed');
  expect(new Set(completions.map((event) => event.task_id)).size).toBe(completions.length);
  const completedInLog = new Map(completions.map((event) => [event.run_id, event.task_id]));
  expect([...completedRuns].filter(([run, task]) => completedInLog.get(run) !== task)).toEqual([]);
});
