import { expect, onTestFinished, test } from 'vitest';
import {
  type Client,
  type Event,
  LanekeeperError,
  type StateName,
  type Task,
} from '../../../src/client/index.ts';
import { LiveBoard } from '../../../src/dashboard/live/live-board.ts';
import { eventually } from '../../fixtures/eventually.ts';
import { AT, AT_MS, event } from '../fixtures/cards.ts';

const COUNTS = {
  triage: 0,
  todo: 0,
  scheduled: 0,
  ready: 0,
  running: 0,
  blocked: 0,
  review: 0,
  done: 0,
  cancelled: 0,
  archived: 0,
};

function task(id: string, change: Partial<Task> = {}): Task {
  const bare = { id, title: id, status: 'ready', lane: 'builder', priority: 0, version: 1, attempt: 0 };
  const rest = {
    consecutive_failures: 0,
    max_failures: 1,
    labels: {},
    unmet_parents: 0,
    claim: null,
    blocked: null,
  };
  const times = { run_at: null, created_at: AT, status_since: AT };
  return { ...bare, ...rest, ...times, ...change } as Task;
}

/** A server that says what the test wants it to, and an open end of its log. */
class FakeServer {
  tasks: Task[] = [];
  finished: Partial<Record<string, Task[][]>> = {};
  counts: Partial<typeof COUNTS> = {};
  /** Of the snapshot and of the board. */
  cursors: readonly [string, string] = ['c0', 'c0'];
  readonly calls: string[] = [];
  /** The next snapshot fails with it. */
  failure: Error | null = null;
  readings: { readonly id: string; readonly answer: (task: Task) => void }[] = [];
  most = 0;
  /** Each answers. */
  readonly laneReadings: (() => void)[] = [];
  /** Answers lists in the place of `finished`. */
  onList: (() => Promise<readonly Task[]>) | null = null;
  #push: ((event: Event) => void) | null = null;
  #fail: ((error: Error) => void) | null = null;
  onState: (state: StateName) => void = () => undefined;

  async send(...events: readonly Event[]): Promise<void> {
    await eventually('somebody watches', () => Promise.resolve(this.#push));
    for (const each of events) this.#push?.(each);
  }

  /** As a watch does when the log no longer reaches back, or has a gap. */
  breakWatch(error: Error): void {
    this.#fail?.(error);
  }

  client(): Client {
    const fake = {
      board: 'default',
      snapshot: async () => {
        this.calls.push('snapshot');
        const { failure } = this;
        this.failure = null;
        if (failure !== null) throw failure;
        return { tasks: this.tasks, lanes: [], cursor: this.cursors[0], truncated: false };
      },
      lanes: {
        get: (name: string) =>
          new Promise((resolve) => {
            this.laneReadings.push(() => resolve({ lane: { name } }));
          }),
      },
      boards: {
        get: async () => ({
          board: {
            title: null,
            settings: { paused: false },
            counts: { ...COUNTS, ...this.counts },
            cursor: this.cursors[1],
          },
        }),
      },
      tasks: {
        list: async ({ status, page_token }: { status: string; page_token?: string }) => {
          if (this.onList !== null) return { tasks: await this.onList(), next_page_token: null };
          const page = Number(page_token ?? 0);
          const pages = this.finished[status] ?? [[]];
          return {
            tasks: pages[page] ?? [],
            next_page_token: page + 1 < pages.length ? String(page + 1) : null,
          };
        },
        get: (id: string) =>
          new Promise((resolve) => {
            this.readings.push({ id, answer: (found) => resolve({ task: found }) });
            this.most = Math.max(this.most, this.readings.length);
          }),
      },
      watch: (
        { after, onState }: { after: string; onState: (state: StateName) => void },
        signal: AbortSignal,
      ) => {
        this.calls.push(`watch ${after}`);
        this.onState = onState;
        onState('live');
        return this.#events(signal);
      },
    };
    return fake as unknown as Client;
  }

  async *#events(signal: AbortSignal): AsyncGenerator<Event> {
    const waiting: Event[] = [];
    let wake = (): void => undefined;
    let failure: Error | null = null;
    this.#push = (given) => {
      waiting.push(given);
      wake();
    };
    this.#fail = (error) => {
      failure = error;
      wake();
    };
    signal.addEventListener('abort', () => wake());
    for (;;) {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) yield next;
      if (failure !== null) throw failure;
      if (signal.aborted) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }
}

/** Drawn as soon as it is asked for: the test looks at every state. */
const atOnce = (draw: () => void) => {
  let isAsked = false;
  return {
    request: () => {
      if (isAsked) return;
      isAsked = true;
      queueMicrotask(() => {
        isAsked = false;
        draw();
      });
    },
    cancel: () => undefined,
  };
};

async function started(server: FakeServer): Promise<LiveBoard> {
  const board = new LiveBoard(server.client(), () => AT_MS, atOnce);
  onTestFinished(() => board.stop());
  board.start();
  await until(board, () => board.view.epoch === 1 && board.view.connection === 'live');
  return board;
}

function until(board: LiveBoard, isSo: () => boolean): Promise<void> {
  if (isSo()) return Promise.resolve();
  return new Promise((resolve) => {
    const stop = board.subscribe(() => {
      if (!isSo()) return;
      stop();
      resolve();
    });
  });
}

const moved = (id: string, before: string, after: string, version: number, cursor?: string): Event =>
  event(
    'task.ready',
    { status_before: before, status_after: after },
    { task_id: id, task_version: version, ...(cursor === undefined ? {} : { cursor }) },
  );

const problem = (status: number, code: string): LanekeeperError =>
  Object.assign(Object.create(LanekeeperError.prototype) as LanekeeperError, { status, code, detail: code });

test('cards of the snapshot are moved by the log, and the counts with them', async () => {
  const server = new FakeServer();
  server.tasks = [task('a'), task('b')];
  server.counts = { ready: 2, done: 7 };
  const board = await started(server);
  await server.send(moved('a', 'ready', 'running', 2));
  await until(board, () => board.column('running').length === 1);
  expect(board.column('ready').map(({ id }) => id)).toEqual(['b']);
  expect(board.view.counts).toMatchObject({ ready: 1, running: 1, done: 7 });
});

test('counts of a later instant than the snapshot are not counted twice', async () => {
  const server = new FakeServer();
  server.tasks = [task('a'), task('b')];
  // The first of the two events had happened when the counts were read.
  server.cursors = ['c0', 'first'];
  server.counts = { ready: 1, running: 1 };
  const board = await started(server);
  await server.send(moved('a', 'ready', 'running', 2, 'first'), moved('b', 'ready', 'running', 2, 'second'));
  await until(board, () => board.column('running').length === 2);
  expect(board.view.counts).toMatchObject({ ready: 0, running: 2 });
});

test('a task that finished between the two readings is there once, in its last state', async () => {
  const server = new FakeServer();
  server.tasks = [task('a', { status: 'running', version: 2 })];
  server.finished = { done: [[task('a', { status: 'done', version: 3 })]] };
  const board = await started(server);
  expect(board.column('running')).toEqual([]);
  expect(board.column('done').map(({ id }) => id)).toEqual(['a']);
  await server.send(moved('a', 'running', 'done', 3));
  await server.send(event('task.commented', {}, { task_id: 'a' }));
  expect(board.column('done').length).toBe(1);
});

test.each([
  ['a gap', new Error('gap')],
  ['a log that no longer reaches back', problem(410, 'cursor_expired')],
])('after %s everything is read anew, and nothing old stays', async (_, failure) => {
  const server = new FakeServer();
  server.tasks = [task('a')];
  const board = await started(server);
  await server.send();
  server.tasks = [task('b')];
  server.cursors = ['c9', 'c9'];
  server.breakWatch(failure);
  await until(board, () => board.view.epoch === 2);
  expect(board.column('ready').map(({ id }) => id)).toEqual(['b']);
  await eventually('it watches on', () => Promise.resolve(server.calls.includes('watch c9') || null));
});

test('a server that is away is asked again', async () => {
  const server = new FakeServer();
  server.failure = new Error('away');
  const board = new LiveBoard(server.client(), () => AT_MS, atOnce);
  onTestFinished(() => board.stop());
  board.start();
  await until(board, () => board.view.connection === 'offline');
  await until(board, () => board.view.connection === 'live');
  expect(server.calls.filter((call) => call === 'snapshot')).toHaveLength(2);
});

test.each([401, 403, 404])(
  'a refusal of %i is final: it is shown, and nothing is asked again',
  async (status) => {
    const server = new FakeServer();
    const board = await started(server);
    server.failure = problem(status, 'refused');
    await server.send();
    server.breakWatch(new Error('closed'));
    await until(board, () => board.view.connection === 'refused');
    expect(board.view.problem).toMatchObject({ status });
    expect(server.calls.filter((call) => call === 'snapshot')).toHaveLength(2);
  },
);

test('while it is paused nothing moves; resumed, everything is as it is now', async () => {
  const server = new FakeServer();
  server.tasks = [task('a')];
  const board = await started(server);
  board.pause(true);
  await until(board, () => board.view.connection === 'paused');
  await server.send(moved('a', 'ready', 'running', 2));
  expect(board.column('ready').length).toBe(1);
  server.tasks = [task('a', { status: 'blocked', version: 3 })];
  board.pause(false);
  await until(board, () => board.view.epoch === 2);
  expect(board.column('blocked').length).toBe(1);
});

test('tasks that the log does not say all about are read, four at a time, and never put back in time', async () => {
  const server = new FakeServer();
  server.tasks = Array.from({ length: 20 }, (_, index) => task(`t${index}`, { version: 1 }));
  const board = await started(server);
  await server.send(...server.tasks.map(({ id }) => event('task.linked', {}, { task_id: id })));
  await eventually('four are read', () => Promise.resolve(server.readings.length >= 4 || null));
  expect(server.most).toBe(4);
  const [first] = server.readings;
  // It moved while it was read.
  await server.send(moved(first?.id ?? '', 'ready', 'running', 5));
  await until(board, () => board.column('running').length === 1);
  first?.answer(task(first.id, { version: 2, unmet_parents: 3 }));
  await eventually('the next is read', () => Promise.resolve(server.readings.length > 4 || null));
  expect(board.card(first?.id ?? '')).toMatchObject({ status: 'running', unmetParents: 0 });
});

const heartbeat = (progress: number, note: string, lease: string): Event =>
  event(
    'task.heartbeat',
    { progress, note, lease_expires_at: lease, status_before: 'running', status_after: 'running' },
    { task_id: 'a', task_version: 3, run_id: 'run_1' },
  );

const claimed = (change: Partial<NonNullable<Task['claim']>> = {}): NonNullable<Task['claim']> =>
  ({
    run_id: 'run_1',
    worker: 'ann',
    claimed_at: AT,
    lease_expires_at: AT,
    cancel_requested: false,
    progress: null,
    ...change,
  }) as NonNullable<Task['claim']>;

const noteOf = (board: LiveBoard): string | null | undefined => board.card('a')?.claim?.note;

test('what the log told of a claim stays when the task is read, but not beyond its run', async () => {
  const server = new FakeServer();
  server.tasks = [task('a', { status: 'running', version: 2, claim: claimed() })];
  const board = await started(server);
  const later = '2026-01-01T00:05:00.000Z';
  await server.send(heartbeat(0.5, 'half of it', later));
  await server.send(event('task.linked', {}, { task_id: 'a', task_version: 4, run_id: 'run_1' }));
  const first = await eventually('it is read', () => server.readings[0]);
  first.answer(task('a', { status: 'running', version: 4, claim: claimed(), unmet_parents: 1 }));
  await until(board, () => board.card('a')?.unmetParents === 1);
  expect(board.card('a')?.claim).toMatchObject({
    note: 'half of it',
    progress: 0.5,
    leaseExpiresAtMs: Date.parse(later),
  });
  await server.send(event('task.linked', {}, { task_id: 'a', task_version: 5 }));
  const second = await eventually('it is read again', () => server.readings[1]);
  second.answer(task('a', { status: 'running', version: 5, claim: claimed({ run_id: 'run_2' }) }));
  await until(board, () => board.card('a')?.claim?.runId === 'run_2');
  expect(noteOf(board)).toBeNull();
});

test('what the log told of a claim is still there after everything was read anew', async () => {
  const server = new FakeServer();
  server.tasks = [task('a', { status: 'running', version: 2, claim: claimed() })];
  const board = await started(server);
  await server.send(heartbeat(0.5, 'half of it', AT));
  await until(board, () => noteOf(board) === 'half of it');
  server.breakWatch(new Error('gap'));
  await until(board, () => board.view.epoch === 2);
  expect(noteOf(board)).toBe('half of it');
});

test('a task that is deleted while it is read does not come back as a card', async () => {
  const server = new FakeServer();
  server.tasks = [task('a'), task('b')];
  const board = await started(server);
  await server.send(event('task.linked', {}, { task_id: 'a', task_version: 2 }));
  const reading = await eventually('it is read', () => server.readings[0]);
  await server.send(event('task.deleted', { status_before: 'ready' }, { task_id: 'a', task_version: 3 }));
  await until(board, () => board.card('a') === undefined);
  reading.answer(task('a', { version: 2 }));
  await server.send(moved('b', 'ready', 'running', 2));
  await until(board, () => board.column('running').length === 1);
  expect(board.column('ready')).toEqual([]);
});

test('a lane that is deregistered while it is read does not come back', async () => {
  const server = new FakeServer();
  const board = await started(server);
  await server.send(event('lane.online', {}, { lane: 'new' }));
  await server.send(event('lane.online', {}, { lane: 'other' }));
  const [first, second] = await eventually('both are read', () =>
    server.laneReadings.length === 2 ? server.laneReadings : null,
  );
  const kinds: string[] = [];
  board.onEvents((events) => kinds.push(...events.map(({ kind }) => kind)));
  await server.send(event('lane.deregistered', {}, { lane: 'new' }));
  await eventually('it is heard of', () => kinds.includes('lane.deregistered'));
  first?.();
  second?.();
  await until(board, () => board.view.lanes.has('other'));
  expect([...board.view.lanes.keys()]).toEqual(['other']);
});

test('older tasks that come while everything is read anew are asked for again', async () => {
  const server = new FakeServer();
  const answers: ((tasks: readonly Task[]) => void)[] = [];
  const board = await started(server);
  server.onList = () => new Promise((resolve) => answers.push(resolve));
  const reading = board.readOlder('archived');
  await eventually('they are asked for', () => answers.length === 1);
  server.onList = null;
  server.breakWatch(new Error('gap'));
  await until(board, () => board.view.epoch === 2);
  server.finished = { archived: [[task('new', { status: 'archived' })]] };
  answers[0]?.([task('gone since', { status: 'archived' })]);
  await reading;
  expect(board.column('archived').map(({ id }) => id)).toEqual(['new']);
});

test('older finished tasks are read page by page, and archived ones only when they are asked for', async () => {
  const server = new FakeServer();
  const old = (id: string, status: Task['status']): Task => task(id, { status });
  server.finished = { done: [[old('d1', 'done')], [old('d2', 'done')]], archived: [[old('x', 'archived')]] };
  const board = await started(server);
  expect(board.column('done').length).toBe(1);
  expect(board.column('archived').length).toBe(0);
  expect([board.hasOlder('done'), board.hasOlder('cancelled'), board.hasOlder('archived')]).toEqual([
    true,
    false,
    true,
  ]);
  await board.readOlder('done');
  await board.readOlder('archived');
  expect(board.column('done').length).toBe(2);
  expect(board.column('archived').length).toBe(1);
  expect([board.hasOlder('done'), board.hasOlder('archived')]).toEqual([false, false]);
});

test('events come to their listeners once and in order', async () => {
  const server = new FakeServer();
  const board = await started(server);
  const seen: string[] = [];
  board.onEvents((events) => seen.push(...events.map(({ cursor }) => cursor)));
  const sent = [1, 2, 3].map(() => event('lane.online', {}, { lane: 'builder' }));
  await server.send(...sent);
  await eventually('all have come', () => Promise.resolve(seen.length === 3 || null));
  expect(seen).toEqual(sent.map(({ cursor }) => cursor));
});
