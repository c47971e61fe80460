/**
 * What a worker asks of the server about its runs over its socket: replies are known by their frame's id. One attempt each, on the socket there
 * is: without one, or when it goes before the reply has come, the request is unreachable, and whoever asked takes another way or asks
 * again. To keep requests for the next socket was the alternative; it hides from the worker that it has been cut off.
 */
import { LIMITS } from '../../contract/constants.ts';
import type { ServerFrame } from '../../contract/frames.ts';
import { errorOfProblem, isObject, LanekeeperError, UnreachableError } from '../errors.ts';
import type { BodyOf } from '../operation-types.ts';
import { LiveTable } from './live-table.ts';
import type { PushLimits } from './push-options.ts';
import type { RunEnd } from './run-end.ts';

type ReplyFrame = Extract<ServerFrame, { type: 'reply' }>;

/** The frames with a reply: a verb, and the body of its route. */
export type RunCall =
  | RunEnd
  | { readonly verb: 'heartbeat'; readonly body: NonNullable<BodyOf<'heartbeatRun'>> }
  | { readonly verb: 'output'; readonly body: BodyOf<'appendOutput'> }
  | { readonly verb: 'ack'; readonly body: BodyOf<'acknowledgeMessages'> };

interface PushRequestsParts {
  readonly limits: Pick<PushLimits, 'replyMs' | 'requestsMax'>;
  /** Milliseconds that only rise. */
  readonly now: () => number;
  /** For errors. */
  readonly url: string;
}

interface Sent {
  readonly resolve: (reply: object) => void;
  readonly reject: (error: unknown) => void;
  readonly atMs: number;
}

/** A character takes at most three bytes of UTF-8: below this there is nothing to count. */
const CERTAINLY_FITS = LIMITS.bodyBytesMax / 3;

export class PushRequests {
  readonly #parts: PushRequestsParts;
  /** By the id of the frame, the oldest first. */
  #sent = new LiveTable<Sent>();
  #frames = 0;
  /** null: no socket. */
  #send: ((text: string) => void) | null = null;

  constructor(parts: PushRequestsParts) {
    this.#parts = parts;
  }

  /** The frame goes without a token: the socket has said hello as the worker, and no signature need be checked for each. */
  ask(runId: string, call: RunCall): Promise<object> {
    const { limits, now } = this.#parts;
    const send = this.#send;
    if (send === null) return Promise.reject(this.#unreachable('there is no socket', false));
    if (this.#sent.size >= limits.requestsMax) return Promise.reject(tooMany(limits.requestsMax));
    this.#frames += 1;
    const id = `r${this.#frames}`;
    const text = JSON.stringify({ ...call.body, type: call.verb, id, run_id: runId });
    // The server would close the socket over it, and with it go all the other claims.
    if (text.length > CERTAINLY_FITS && bytesOf(text) > LIMITS.bodyBytesMax)
      return Promise.reject(tooLarge());
    return new Promise((resolve, reject) => {
      this.#sent.set(id, { resolve, reject, atMs: now() });
      send(text);
    });
  }

  /** There is a socket. */
  resume(send: (text: string) => void): void {
    this.#send = send;
  }

  /** The socket is gone, and with it the replies to what was sent. */
  strand(): void {
    this.#send = null;
    const stranded = this.#sent.values();
    this.#sent = new LiveTable();
    for (const { reject } of stranded)
      reject(this.#unreachable('the socket closed before the reply came', true));
  }

  onReply(frame: ReplyFrame): void {
    const request = this.#sent.get(frame.id);
    if (request === undefined) return;
    this.#sent.delete(frame.id);
    if (frame.ok) request.resolve(frame);
    else request.reject(errorOfProblem(isObject(frame.problem) ? frame.problem : {}));
  }

  /** The server owes a reply for longer than a live one does. */
  get isOverdue(): boolean {
    const oldest = this.#sent.first;
    const { limits, now } = this.#parts;
    return oldest !== undefined && now() - oldest.atMs >= limits.replyMs;
  }

  #unreachable(detail: string, mayHaveTakenEffect: boolean): UnreachableError {
    return new UnreachableError(detail, { url: this.#parts.url, cause: undefined, mayHaveTakenEffect });
  }
}

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}

function tooMany(requestsMax: number): LanekeeperError {
  return new LanekeeperError({
    code: 'rate_limited',
    status: 429,
    title: 'Too many requests',
    detail: `${requestsMax} requests of this worker wait for their replies`,
  });
}

function tooLarge(): LanekeeperError {
  return new LanekeeperError({
    code: 'payload_too_large',
    status: 413,
    title: 'The request is too large',
    detail: `a frame takes at most ${LIMITS.bodyBytesMax} bytes`,
  });
}
