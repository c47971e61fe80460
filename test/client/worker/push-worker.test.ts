/** A worker in push mode beside a server that a test plays: what becomes of its claims when the socket or the lane's mode fails it. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { connect } from '../../../src/client/client.ts';
import type { Handler } from '../../../src/client/worker/handler-run.ts';
import type { WorkerOptions } from '../../../src/client/worker/worker.ts';
import { WorkerReplacedError } from '../../../src/client/worker/worker-error.ts';
import { type ScriptedAnswer, scriptedFetch } from '../fixtures/scripted-fetch.ts';

type Frame = Readonly<Record<string, unknown>>;

const CLAIM = {
  run_id: 'run_1',
  lane: 'work',
  attempt: 1,
  heartbeat_interval_seconds: 20,
  task: { id: 'task_1', title: 'a', board: 'default' },
  handoff: {
    parents: [],
    comments: [],
    attempts: [],
    review: null,
    delegation: null,
    messages: [],
    truncated: [],
  },
};
const MISMATCH: Frame = { type: 'error', code: 'claim_mode_mismatch', title: 'T', detail: 'D', fatal: false };
const LEASE_SECONDS = 12;

/** Opens, and answers each frame a millisecond later, unless it is only half there. */
class ServerSocket {
  readonly sent: string[] = [];
  isHalfOpen = false;
  isClosed = false;
  readonly #listeners = new Map<string, (event: object) => void>();

  constructor() {
    setTimeout(() => this.emit('open'), 1);
  }

  addEventListener(type: string, listener: (event: never) => void): void {
    this.#listeners.set(type, listener as (event: object) => void);
  }

  emit(type: 'open' | 'message' | 'close', event: object = {}): void {
    this.#listeners.get(type)?.(event);
  }

  say(frame: Frame): void {
    this.emit('message', { data: JSON.stringify(frame) });
  }

  send(text: string): void {
    const frame = JSON.parse(text) as Frame;
    this.sent.push(String(frame['type']));
    if (this.isHalfOpen) return;
    const { id, credits } = frame;
    const heard = { messages: [], cancel_requested: false, outcome: 'completed', task_status: 'done' };
    const isWatch = frame['type'] === 'watch';
    const answer = isWatch ? { type: 'watching', id, cursor: 'c' } : { type: 'reply', id, ok: true };
    setTimeout(() => this.say({ ...heard, credits, ...answer }), 1);
  }

  close(): void {
    this.isClosed = true;
  }
}

let sockets: ServerSocket[];
let mode: string;
/** The verbs that came by request. */
let requested: string[];

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, 'random').mockReturnValue(0.5);
  sockets = [];
  requested = [];
  mode = 'push';
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const HEARD: ScriptedAnswer = { json: { lease_expires_at: 'x', cancel_requested: false, messages: [] } };

function respond(path: string): ScriptedAnswer {
  if (path.endsWith('/lanes/work'))
    return { json: { lane: { name: 'work', board: 'default', claim_mode: mode } } };
  if (path.endsWith('/claims')) {
    if (mode === 'push') return { status: 409, json: { code: 'claim_mode_mismatch', status: 409 } };
    return { json: { claims: [], cursor: 'c' } };
  }
  requested.push(path.split('/').at(-1) ?? '');
  return HEARD;
}

function socketAt(index: number): ServerSocket {
  const socket = sockets.at(index);
  if (socket === undefined) throw new Error('a socket was opened');
  return socket;
}

const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

/** Live, with credits for one claim. */
async function work(handler: Handler, options: Partial<WorkerOptions> = {}) {
  const { fetch } = scriptedFetch(({ path }) => respond(path));
  const webSocket = function open() {
    const socket = new ServerSocket();
    sockets.push(socket);
    return socket;
  } as unknown as new () => ServerSocket;
  const client = connect({ url: 'http://127.0.0.1:9', fetch, webSocket });
  const defaults = { lane: 'work', worker: 'me', logger: null, leaseSeconds: LEASE_SECONDS, drainSeconds: 0 };
  const worker = client.worker({ ...defaults, ...options }, handler);
  let outcome: unknown = 'serving';
  void worker.run().then(
    () => {
      outcome = 'left';
    },
    (error: unknown) => {
      outcome = error;
    },
  );
  await pass(50);
  return { worker, outcome: () => outcome };
}

/** One task at work, until its signal fires or `finish` is called; how it went is kept. */
function task() {
  const reasons: string[] = [];
  let finish: () => void = () => undefined;
  const handler: Handler = (_, { signal }) =>
    new Promise((resolve, reject) => {
      finish = () => resolve({ summary: 'made' });
      signal.addEventListener('abort', () => {
        reasons.push(signal.reason.reason);
        reject(signal.reason);
      });
    });
  return { handler, reasons, finish: () => finish() };
}

async function push(token?: string): Promise<void> {
  socketAt(-1).say({ type: 'claim', claim: token === undefined ? CLAIM : { ...CLAIM, token } });
  await pass(20);
}

test('a heartbeat that its socket leaves without an answer goes by request, long before the lease is over', async () => {
  const { handler, reasons } = task();
  const { worker } = await work(handler);
  await push('t');
  socketAt(0).isHalfOpen = true;
  await pass((LEASE_SECONDS / 3 + LEASE_SECONDS / 6) * 1000);
  expect([socketAt(0).sent.at(-1), requested]).toEqual(['heartbeat', ['heartbeat']]);
  await pass(LEASE_SECONDS * 1000);
  expect(reasons).toEqual([]);
  void worker.stop({ hard: true });
  await pass(10);
});

test('a handler whose claim has no token hears when the lease is over that no heartbeat is answered', async () => {
  const { handler, reasons } = task();
  const { worker } = await work(handler, { tokens: false });
  await push();
  socketAt(0).isHalfOpen = true;
  await pass(LEASE_SECONDS * 1000);
  expect(reasons).toEqual(['claim_lost']);
  void worker.stop({ hard: true });
  await pass(10);
});

test('a lane that is none to push to any more keeps the socket as long as a claim has no token, then there is an ear', async () => {
  const { handler, finish, reasons } = task();
  const { worker } = await work(handler, { tokens: false });
  await push();
  mode = 'pull-or-watch';
  socketAt(0).say(MISMATCH);
  await pass(LEASE_SECONDS * 1000);
  expect([reasons, sockets.length, requested]).toEqual([[], 1, []]);
  expect(socketAt(0).sent).toContain('heartbeat');
  finish();
  await pass(50);
  expect(socketAt(0).sent).toContain('complete');
  expect(socketAt(0).isClosed).toBe(true);
  expect([sockets.length, socketAt(1).sent]).toEqual([2, ['hello', 'watch']]);
  void worker.stop();
  await pass(10);
});

test('with tokens the ear takes the place of the link at once, and what runs goes on by request', async () => {
  const { handler, finish } = task();
  const { worker } = await work(handler);
  await push('t');
  mode = 'pull-or-watch';
  socketAt(0).say(MISMATCH);
  await pass(50);
  expect([socketAt(0).isClosed, sockets.length]).toEqual([true, 2]);
  finish();
  await pass(50);
  expect(requested).toContain('complete');
  void worker.stop();
  await pass(10);
});

test.each(['pull', 'pull-or-watch', 'watch', 'push'])(
  'a lane whose mode goes from push to %s and back is served as before',
  async (between) => {
    const { handler } = task();
    const { worker, outcome } = await work(handler);
    mode = between;
    socketAt(0).say(MISMATCH);
    await pass(between === 'pull' ? 100 : 50);
    mode = 'push';
    // In watch mode it asks for claims every half a minute.
    await pass(40_000);
    expect(outcome()).toBe('serving');
    expect(socketAt(-1).sent.slice(0, 2)).toEqual(['hello', 'credit']);
    await push('t');
    expect(worker.runningCount).toBe(1);
    void worker.stop({ hard: true });
    await pass(10);
  },
);

test('it hears of what others did to its claims, and asks about that one at once', async () => {
  const { handler } = task();
  const { worker } = await work(handler);
  await push('t');
  socketAt(0).say({
    type: 'error',
    run_id: 'run_1',
    code: 'claim_lost',
    title: 'T',
    detail: 'D',
    fatal: false,
  });
  await pass(1);
  expect(socketAt(0).sent.at(-1)).toBe('heartbeat');
  void worker.stop({ hard: true });
  await pass(10);
});

test('it leaves when another worker has taken its lane over', async () => {
  const { outcome } = await work(task().handler);
  const taken = (by: string) => ({ type: 'taken_over', lane: 'work', worker: by });
  socketAt(0).say(taken('me'));
  await pass(50);
  expect(outcome()).toBe('serving');
  socketAt(0).say(taken('other'));
  await pass(50);
  expect(outcome()).toMatchObject({ name: 'WorkerReplacedError', how: 'taken_over' });
});

test('after its name was taken nobody can speak for claims without a token, and nobody waits for that', async () => {
  const { handler, reasons } = task();
  const { outcome } = await work(handler, { tokens: false, drainSeconds: 3_600 });
  await push();
  socketAt(0).emit('close', { code: 4409 });
  await pass(50);
  expect(reasons).toEqual(['claim_lost']);
  expect(outcome()).toBeInstanceOf(WorkerReplacedError);
});
