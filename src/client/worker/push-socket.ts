/**
 * The socket under a push link: what is sent in one turn of the event loop leaves as one write where the platform lets us say so. `ws` does:
 * its upgrade shows the stream below, which is corked. The platform's own WebSocket gathers by itself, or cannot be told to.
 */
import type { WebSocketLike } from '../watch/socket.ts';

/** The part of a Node stream that holds writes back. */
interface Corkable {
  cork(): void;
  uncork(): void;
}

export class PushSocket {
  readonly #socket: WebSocketLike;
  #stream: Corkable | null = null;
  #isCorked = false;

  constructor(socket: WebSocketLike) {
    this.#socket = socket;
    onUpgrade(socket, (stream) => {
      this.#stream = stream;
    });
  }

  /** Held back until `flush`, which whoever sends must call in the same turn. */
  send(text: string): void {
    if (!this.#isCorked && this.#stream !== null) {
      this.#stream.cork();
      this.#isCorked = true;
    }
    this.#socket.send(text);
  }

  flush(): void {
    if (!this.#isCorked) return;
    this.#isCorked = false;
    this.#stream?.uncork();
  }

  close(code: number): void {
    this.#socket.close(code);
    this.flush();
  }
}

/** `ws` emits `upgrade` with the response, which has the stream; other WebSockets have no `on`. */
function onUpgrade(socket: WebSocketLike, take: (stream: Corkable) => void): void {
  const listen: unknown = Reflect.get(socket, 'on');
  if (typeof listen !== 'function') return;
  listen.call(socket, 'upgrade', (response: unknown) => {
    const stream: unknown = isObjectLike(response) ? Reflect.get(response, 'socket') : null;
    if (isCorkable(stream)) take(stream);
  });
}

function isObjectLike(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function isCorkable(value: unknown): value is Corkable {
  if (!isObjectLike(value)) return false;
  return ['cork', 'uncork'].every((name) => typeof Reflect.get(value, name) === 'function');
}

/** After everything that this turn of the event loop still does: all frames of a chunk, and what their promises lead to. */
export function atEndOfTurn(act: () => void): void {
  const immediate: unknown = Reflect.get(globalThis, 'setImmediate');
  if (typeof immediate === 'function') immediate(act);
  else setTimeout(act, 0);
}
