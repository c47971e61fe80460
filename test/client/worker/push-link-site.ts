/** Push links whose server is the test, on a clock that the test moves. */
import { afterEach, beforeEach, vi } from 'vitest';
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

export const claim = (run: string): Frame => ({
  type: 'claim',
  claim: { run_id: run } as Partial<PushedClaim>,
});
export const ok = (id: unknown, more: Frame = {}): Frame => ({ type: 'reply', id, ok: true, ...more });
export const refusal = (id: string, code: string): Frame => ({
  type: 'error',
  id,
  code,
  title: 'T',
  detail: 'D',
  fatal: false,
});

/** All that one turn of the event loop leads to. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

type Respond = (path: string) => Response;

const LANE: Respond = () => new Response('{"lane":{}}', { headers: { 'content-type': 'application/json' } });

/** For the tests of the file; what they share is empty before each. */
export function usePushLinks() {
  const sockets: ScriptedSocket[] = [];
  /** By their runs. */
  const claims: string[] = [];
  const states: PushStateName[] = [];
  let respond = LANE;

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date'] });
    for (const list of [sockets, claims, states]) list.length = 0;
    respond = LANE;
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** What plain requests are answered, by path. */
  const answer = (by: Respond): void => {
    respond = by;
  };

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

  return { answer, claims, comeBack, greet, live, makeLink, newest, sockets, states };
}
