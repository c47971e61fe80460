import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Transport } from '../../../src/client/transport.ts';
import { PushLink } from '../../../src/client/worker/push-link.ts';
import type { PushStateName } from '../../../src/client/worker/push-machine.ts';
import type { PushOptions } from '../../../src/client/worker/push-options.ts';
import type { PushedClaim } from '../../../src/contract/frames.ts';

type Frame = Readonly<Record<string, unknown>>;

/** A socket whose server is the test. Like `ws`, it shows the stream below it, which can hold writes back. */
class ScriptedSocket {
  readonly sent: Frame[] = [];
  /** The types of frames that left together. */
  readonly writes: string[] = [];
  isClosedByUs = false;
  #held: string[] | null = null;
  readonly #listeners = new Map<string, ((event: object) => void)[]>();

  addEventListener(type: string, listener: (event: never) => void): void {
    const all = this.#listeners.get(type) ?? [];
    this.#listeners.set(type, [...all, listener as (event: object) => void]);
  }

  on(_type: 'upgrade', listener: (response: object) => void): void {
    const cork = (): void => {
      this.#held = [];
    };
    const uncork = (): void => {
      this.writes.push(this.#held?.join(' ') ?? '');
      this.#held = null;
    };
    this.addEventListener('open', () => listener({ socket: { cork, uncork } }));
  }

  send(text: string): void {
    const frame = JSON.parse(text) as Frame;
    this.sent.push(frame);
    if (this.#held !== null) this.#held.push(String(frame['type']));
    else this.writes.push(String(frame['type']));
  }

  close(): void {
    this.isClosedByUs = true;
  }

  emit(type: 'open' | 'message' | 'close', event: object = {}): void {
    for (const listener of this.#listeners.get(type) ?? []) listener(event);
  }

  receive(...frames: Frame[]): void {
    for (const frame of frames) this.emit('message', { data: JSON.stringify(frame) });
  }

  framesOf(type: string): Frame[] {
    return this.sent.filter((frame) => frame['type'] === type);
  }

  get credits(): unknown[] {
    return this.framesOf('credit').map((frame) => frame['credits']);
  }
}

let sockets: ScriptedSocket[];
/** What plain requests are answered, by path. */
let respond: (path: string) => Response;
let claims: string[];
let states: PushStateName[];

const claim = (run: string): Frame => ({ type: 'claim', claim: { run_id: run } as Partial<PushedClaim> });
const ok = (id: unknown, more: Frame = {}): Frame => ({ type: 'reply', id, ok: true, ...more });
const refusal = (id: string, code: string): Frame => ({
  type: 'error',
  id,
  code,
  title: 'T',
  detail: 'D',
  fatal: false,
});

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date'] });
  sockets = [];
  claims = [];
  states = [];
  respond = () => new Response('{"lane":{}}', { headers: { 'content-type': 'application/json' } });
});
afterEach(() => {
  vi.useRealTimers();
});

/** All that one turn of the event loop leads to. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function makeLink(options: Partial<PushOptions> = {}): PushLink {
  const webSocket = function open() {
    const socket = new ScriptedSocket();
    sockets.push(socket);
    return socket;
  } as unknown as new () => ScriptedSocket;
  const transport = new Transport({
    url: 'http://server',
    token: 'key',
    fetch: (input) => Promise.resolve(respond(new URL(String(input)).pathname)),
    timing: { now: () => Date.now(), random: () => 0, wait: () => Promise.resolve() },
  });
  return new PushLink(
    { transport, board: 'b', webSocket },
    {
      lane: 'work',
      worker: 'w',
      onClaim: ({ run_id }) => claims.push(run_id),
      onState: (state) => states.push(state),
      ...options,
    },
  );
}

/** The newest socket, which has been opened and greeted. */
async function greet(): Promise<ScriptedSocket> {
  await turn();
  const socket = newest();
  socket.emit('open');
  await turn();
  socket.receive(ok('hello'));
  await turn();
  return socket;
}

function newest(): ScriptedSocket {
  const socket = sockets.at(-1);
  if (socket === undefined) throw new Error('a socket was opened');
  return socket;
}

async function live(options: Partial<PushOptions> = {}, credits = 0) {
  const link = makeLink(options);
  if (credits > 0) link.setCredits(credits);
  const running = link.run();
  running.catch(() => undefined);
  return { link, running, socket: await greet() };
}

/** The wait before the next attempt is over. */
async function comeBack(): Promise<ScriptedSocket> {
  await vi.advanceTimersByTimeAsync(0);
  return greet();
}

describe('a push link', () => {
  test('says hello with what it was given, then sets the credits, once', async () => {
    const { link, socket } = await live({ version: '1.2', tokens: false, crashOnDisconnect: true }, 3);
    expect(socket.sent).toEqual([
      {
        type: 'hello',
        id: 'hello',
        lane: 'work',
        worker: 'w',
        version: '1.2',
        tokens: false,
        crash_on_disconnect: true,
      },
      { type: 'credit', id: 'credit', lane: 'work', credits: 3 },
    ]);
    link.setCredits(3);
    socket.receive(ok('credit', { credits: 3 }));
    await turn();
    expect(socket.credits).toEqual([3]);
  });

  test('acknowledges what came in one chunk before the worker is given any of it', async () => {
    const written: unknown[] = [];
    const { socket } = await live({ onClaim: () => written.push(newest().writes.at(-1)) }, 2);
    socket.receive(claim('run_1'), claim('run_2'));
    await turn();
    expect(written).toEqual(['claim_ack claim_ack', 'claim_ack claim_ack']);
    expect(socket.framesOf('claim_ack').map((frame) => frame['run_id'])).toEqual(['run_1', 'run_2']);
  });

  test('sends what one turn of the event loop leads to in one write, and credits once', async () => {
    const ends: Promise<unknown>[] = [];
    const { socket, link } = await live(
      {
        onClaim: ({ run_id }) =>
          ends.push(Promise.resolve().then(() => link.end(run_id, { verb: 'complete', body: {} }))),
      },
      2,
    );
    socket.receive(ok('credit'), claim('run_1'), claim('run_2'));
    await turn();
    await turn();
    expect(socket.writes).toEqual(['hello', 'credit', 'claim_ack claim_ack', 'complete complete']);
    socket.receive(...socket.framesOf('complete').map((frame) => ok(frame['id'])));
    await Promise.all(ends);
    for (const room of [1, 2]) link.setCredits(room);
    await turn();
    expect(socket.credits).toEqual([2, 2]);
  });

  test('forgets claims whose acknowledgement can not be sent any more', async () => {
    const { link, socket } = await live({}, 2);
    socket.receive(claim('run_1'), { type: 'drain', reconnect_after_ms: 0 });
    await turn();
    expect([claims, socket.framesOf('claim_ack')]).toEqual([[], []]);
    const next = await comeBack();
    expect(next.credits, 'there is room for another').toEqual([2]);
    next.receive(ok('credit'), claim('run_2'), claim('run_3'));
    await turn();
    link.setCredits(2);
    await turn();
    expect(next.credits).toEqual([2, 2]);
  });

  test('counts claims that the worker has not been given yet against the credits that it names', async () => {
    const { link, socket } = await live({}, 2);
    socket.receive(ok('credit'), claim('run_1'), claim('run_2'));
    link.setCredits(2); // It knows of neither.
    await turn();
    expect(socket.credits).toEqual([2]);
    link.setCredits(1);
    await turn();
    expect(socket.credits).toEqual([2, 1]);
  });

  test('comes back after a close, says hello again and asks for as much as there is room for', async () => {
    const { link, socket } = await live({}, 3);
    socket.receive(ok('credit'), claim('run_1'));
    await turn();
    const lost = link.end('run_1', { verb: 'complete', body: {} });
    socket.emit('close', { code: 1006 });
    await expect(lost).rejects.toMatchObject({ code: 'unreachable' });
    await expect(link.heartbeat('run_1', {})).rejects.toMatchObject({ code: 'unreachable' });
    const next = await comeBack();
    expect(next.framesOf('hello')).toHaveLength(1);
    expect(next.credits).toEqual([2]);
    const ended = link.end('run_1', { verb: 'complete', body: {} });
    next.receive(ok(next.framesOf('complete')[0]?.['id'], { outcome: 'completed', task_status: 'done' }));
    expect(await ended).toEqual({ outcome: 'completed', taskStatus: 'done' });
    expect(states.filter((state) => state === 'live')).toHaveLength(2);
  });

  test('waits as long as a server that drains asks', async () => {
    const { socket } = await live();
    socket.receive({ type: 'drain', reconnect_after_ms: 500 });
    expect(socket.isClosedByUs).toBe(true);
    await vi.advanceTimersByTimeAsync(499);
    expect(sockets).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    await turn();
    expect(sockets).toHaveLength(2);
  });

  test.each([
    [4409, 'superseded'],
    [4401, 'unauthenticated'],
    [4403, 'forbidden'],
  ])('ends with a typed error when it is closed with %d', async (code, name) => {
    const { running, socket, link } = await live();
    socket.emit('close', { code, reason: '' });
    await expect(running).rejects.toMatchObject({ name: 'LanekeeperError', code: name });
    await vi.advanceTimersByTimeAsync(60_000);
    expect([sockets.length, link.state]).toEqual([1, 'ended']);
  });

  test('comes back once from a 4409 that a hello of its own may have caused', async () => {
    const link = makeLink();
    const running = link.run();
    running.catch(() => undefined);
    await turn();
    newest().emit('open');
    newest().emit('close', { code: 1006 }); // Its hello may still be written.
    const second = await comeBack();
    second.emit('close', { code: 4409 });
    const third = await comeBack();
    third.emit('close', { code: 4409 });
    await expect(running).rejects.toMatchObject({ code: 'superseded' });
    expect(sockets).toHaveLength(3);
  });

  test('ends with the problem that refuses its hello', async () => {
    const { running, socket } = await live({}, 1);
    socket.receive(refusal('hello', 'claim_mode_mismatch'));
    await expect(running).rejects.toMatchObject({ code: 'claim_mode_mismatch' });
    expect(socket.isClosedByUs).toBe(true);
  });

  test.each([
    ['refused', refusal('credit', 'claim_mode_mismatch')],
    ['dropped', { ...refusal('', 'claim_mode_mismatch'), id: undefined }],
  ])(
    'says that no claim comes any more when its credits are %s, and goes on to speak for those it has',
    async (_, frame) => {
      const ended: string[] = [];
      const { link, socket } = await live({ onCreditsEnded: ({ code }) => ended.push(code) }, 2);
      socket.receive(ok('credit'), claim('run_1'), frame, frame);
      await link.stopClaims();
      link.setCredits(5);
      await vi.advanceTimersByTimeAsync(5_000);
      await turn();
      expect([ended, socket.credits, link.state]).toEqual([['claim_mode_mismatch'], [2], 'live']);
      void link.heartbeat('run_1', {}).catch(() => undefined);
      expect(socket.framesOf('heartbeat')).toHaveLength(1);
    },
  );

  test('gives up a socket that leaves its credits without an answer', async () => {
    const { socket, link } = await live({}, 1);
    for (let second = 0; second < 30; second += 1) {
      socket.receive(refusal('alive', 'not_found'));
      await vi.advanceTimersByTimeAsync(1000);
    }
    expect([socket.isClosedByUs, link.state]).toEqual([true, 'backing_off']);
  });

  test('hears that its lane was taken over, and watches nothing for it', async () => {
    const takers: string[] = [];
    const { socket, link } = await live({ onTakenOver: (worker) => takers.push(worker) }, 1);
    socket.receive({ type: 'taken_over', lane: 'work', worker: 'other' });
    expect([takers, link.state]).toEqual([['other'], 'live']);
    expect(socket.sent.map((frame) => frame['type'])).toEqual(['hello', 'credit']);
  });

  test('hands a claim on before it says that the claim is gone', async () => {
    const heard: string[] = [];
    const onClaim = ({ run_id }: PushedClaim) => heard.push(`has ${run_id}`);
    const { socket } = await live({ onClaim, onClaimLost: (runId) => heard.push(`lost ${runId}`) }, 1);
    socket.receive(claim('run_1'), { ...refusal('', 'claim_lost'), id: undefined, run_id: 'run_1' });
    expect(heard).toEqual(['has run_1', 'lost run_1']);
  });

  test('asks again for credits that were refused for a reason that passes', async () => {
    const { link, socket } = await live({}, 2);
    socket.receive(refusal('credit', 'database_unavailable'));
    link.setCredits(3);
    await turn();
    expect(socket.credits, 'not at once').toEqual([2]);
    await vi.advanceTimersByTimeAsync(1000);
    await turn();
    expect(socket.credits).toEqual([2, 3]);
  });

  test('tells of a claim that was taken from it, or whose acknowledgement came too late', async () => {
    const lost: unknown[] = [];
    const { socket } = await live({ onClaimLost: (runId, error) => lost.push([runId, error.code]) }, 1);
    socket.receive({ ...refusal('', 'claim_lost'), id: undefined, run_id: 'run_1' });
    expect(lost).toEqual([['run_1', 'claim_lost']]);
  });

  test('hands on cancels and messages, and ignores frames it does not know', async () => {
    const heard: unknown[] = [];
    const { socket, link } = await live({
      onCancel: ({ run_id }) => heard.push(run_id),
      onSteer: ({ message }) => heard.push(message.text),
    });
    socket.receive(
      { type: 'cancel', run_id: 'run_1', deadline_at: '2026-01-01T00:00:00.000Z', reason: null },
      { type: 'steer', run_id: 'run_1', message: { id: 'msg_1', text: 'faster', at: '' } },
      { type: 'of_a_newer_server' },
    );
    socket.emit('message', { data: 'not JSON' });
    expect([heard, link.state]).toEqual([['run_1', 'faster'], 'live']);
  });

  test('hands a claim on before what comes about it in the same chunk', async () => {
    const heard: string[] = [];
    const { socket } = await live(
      { onClaim: () => heard.push('claim'), onCancel: () => heard.push('cancel') },
      1,
    );
    socket.receive(claim('run_1'), { type: 'cancel', run_id: 'run_1', deadline_at: '', reason: null });
    await turn();
    expect([heard, socket.framesOf('claim_ack').length]).toEqual([['claim', 'cancel'], 1]);
  });

  test('has stopped claims when the server has answered 0, and gives the worker those that came before', async () => {
    const { link, socket } = await live({}, 2);
    socket.receive(ok('credit'));
    await turn();
    let isStopped = false;
    const stopped = link.stopClaims().then(() => {
      isStopped = true;
    });
    await turn();
    expect([socket.credits, isStopped]).toEqual([[2, 0], false]);
    socket.receive(claim('run_1'), ok('credit'));
    await stopped;
    expect(claims).toEqual(['run_1']);
    socket.emit('close', { code: 1006 });
    expect((await comeBack()).credits).toEqual([]);
  });

  test('has stopped claims when the last that was granted has come, and when the socket is gone', async () => {
    const first = await live({}, 1);
    first.socket.receive(ok('credit'), claim('run_1'));
    await first.link.stopClaims();
    const second = await live({}, 1);
    second.socket.receive(ok('credit'));
    await turn();
    const stopped = second.link.stopClaims();
    second.socket.emit('close', { code: 1006 });
    await stopped;
    expect(second.link.state).toBe('backing_off');
  });

  test('asks a quiet server for a sign of life, and gives up one that has none', async () => {
    const { socket, link } = await live();
    await vi.advanceTimersByTimeAsync(20_000);
    expect(socket.framesOf('unwatch')).toHaveLength(1);
    socket.receive(refusal('alive', 'not_found'));
    await vi.advanceTimersByTimeAsync(44_000);
    expect([socket.framesOf('unwatch').length, link.state]).toEqual([2, 'live']);
    await vi.advanceTimersByTimeAsync(1000);
    expect([socket.isClosedByUs, states.at(-1)]).toEqual([true, 'backing_off']);
  });

  test('gives up a socket that owes a reply, however much else comes over it', async () => {
    const { socket, link } = await live();
    const asked = link.heartbeat('run_1', {});
    asked.catch(() => undefined);
    for (let second = 0; second < 30; second += 1) {
      socket.receive(refusal('alive', 'not_found'));
      await vi.advanceTimersByTimeAsync(1000);
    }
    await expect(asked).rejects.toMatchObject({ code: 'unreachable', mayHaveTakenEffect: true });
    expect(socket.isClosedByUs).toBe(true);
  });

  test('takes nobody for silent after the process itself stood still', async () => {
    const { socket, link } = await live();
    vi.setSystemTime(Date.now() + 100_000);
    await vi.advanceTimersByTimeAsync(1000);
    socket.receive(refusal('alive', 'not_found')); // It lay in the socket's buffer.
    await vi.advanceTimersByTimeAsync(1000);
    expect([link.state, socket.isClosedByUs]).toEqual(['live', false]);
  });

  test('asks for the lane when the upgrade fails, and ends with what that meets', async () => {
    const asked: string[] = [];
    respond = (path) => {
      asked.push(path);
      const body = JSON.stringify({ code: 'lane_not_found', title: 'T', detail: 'D', status: 404 });
      return new Response(body, { status: 404, headers: { 'content-type': 'application/problem+json' } });
    };
    const running = makeLink().run();
    running.catch(() => undefined);
    await turn();
    newest().emit('close', { code: 1006 });
    await expect(running).rejects.toMatchObject({ code: 'lane_not_found' });
    expect(asked).toEqual(['/v1/boards/b/lanes/work']);
  });

  test('tries again when the upgrade fails and the server is merely away, and says why', async () => {
    const failures: string[] = [];
    respond = () => {
      throw new TypeError('refused');
    };
    const link = makeLink({ onConnectFailure: (error) => failures.push(error.name) });
    void link.run();
    await turn();
    newest().emit('close', { code: 1006 });
    await turn();
    await comeBack();
    expect([failures, link.state]).toEqual([['UnreachableError'], 'live']);
    link.close();
  });

  test('gives up a hello that nobody answers', async () => {
    const link = makeLink();
    void link.run();
    await turn();
    newest().emit('open');
    await vi.advanceTimersByTimeAsync(15_000);
    expect(states.at(-1)).toBe('backing_off');
    link.close();
  });

  test('leaves when it is told to: run resolves, the socket is closed, and nothing is asked over it', async () => {
    const leaving = new AbortController();
    const link = makeLink();
    const running = link.run(leaving.signal);
    const socket = await greet();
    const asked = link.heartbeat('run_1', {});
    leaving.abort();
    await running;
    await expect(asked).rejects.toMatchObject({ code: 'unreachable' });
    expect([link.state, socket.isClosedByUs]).toEqual(['ended', true]);
    expect(vi.getTimerCount()).toBe(0);
    await expect(link.run()).rejects.toThrow('once');
  });
});
