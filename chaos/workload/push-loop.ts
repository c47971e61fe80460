/**
 * A worker that is pushed to: says hello, gives credits, and works on what comes. Sometimes forgets to say that it got a task, sometimes
 * drops its socket, and comes back as the same worker to end what it still holds.
 */
import type { Random } from '../random.ts';
import { type Body, type CallAnswer, problemOf } from './call.ts';
import {
  type HeldClaim,
  readClaim,
  recorded,
  recordedClaim,
  type Write,
  wireNameOf,
  writeOverHttp,
} from './holder.ts';
import { pause } from './pause.ts';
import { type Frame, Socket } from './socket.ts';
import type { LoopParts } from './worker-context.ts';

const CREDITS = 3;
const RECONNECT_MS = [100, 1000] as const;
/** How long a socket is kept before its worker drops it. */
const SOCKET_MS = [3000, 25_000] as const;
const UNACKNOWLEDGED_SHARE = 0.25;
const ANSWER_WITHIN_MS = 8000;
/** A frame that cannot be sent: its worker is between two sockets. */
const NO_ANSWER: CallAnswer = { ending: 'unknown', status: null, body: {}, isReplay: false };

export async function pushLoop(parts: LoopParts): Promise<void> {
  const { context, random } = parts;
  const worker = new PushedWorker(parts);
  while (!context.leaving.aborted) {
    await worker.connect();
    await pause(random.between(...RECONNECT_MS), context.leaving);
    if (context.quiet.aborted && worker.held === 0) break;
  }
}

class PushedWorker {
  held = 0;
  readonly #parts: LoopParts;
  readonly #random: Random;
  readonly #hasTokens: boolean;
  readonly #answers = new Map<string, (answer: CallAnswer) => void>();
  #socket: Socket | null = null;
  #url = '';
  #lastId = 0;

  constructor(parts: LoopParts) {
    this.#parts = parts;
    this.#random = parts.random;
    this.#hasTokens = parts.random.chance(0.5);
  }

  /** Resolves when the socket is gone. */
  async connect(): Promise<void> {
    const { context, lane, worker } = this.#parts;
    const url = this.#random.pick(context.config.urls);
    const socket = await Socket.open({ url, board: context.config.board, key: lane.key }, (frame) =>
      this.#receive(frame),
    );
    if (socket === null) return;
    this.#socket = socket;
    this.#url = url;
    socket.send({ type: 'hello', id: 'hello', lane: lane.name, worker, tokens: this.#hasTokens });
    this.#grant();
    const drop = setTimeout(() => socket.terminate(), this.#random.between(...SOCKET_MS));
    const stopGranting = (): void => {
      if (this.held === 0) socket.terminate();
      else this.#credit(0);
    };
    context.quiet.addEventListener('abort', stopGranting);
    const leave = (): void => socket.terminate();
    context.leaving.addEventListener('abort', leave);
    await socket.closed;
    clearTimeout(drop);
    context.quiet.removeEventListener('abort', stopGranting);
    context.leaving.removeEventListener('abort', leave);
    for (const answer of [...this.#answers.values()]) answer(NO_ANSWER);
  }

  #receive(frame: Frame): void {
    if (frame.type === 'claim') this.#take(readClaim(frame['claim']));
    else if (frame.type === 'reply' && typeof frame['id'] === 'string') {
      const { ok, problem, id } = frame;
      const refusal = (problem ?? {}) as Body;
      this.#answers.get(String(id))?.(
        ok === true
          ? { ending: 'ok', status: null, body: frame, isReplay: false }
          : { ...NO_ANSWER, ending: endingOf(refusal), ...problemOf(refusal) },
      );
    }
  }

  #take(claim: HeldClaim): void {
    const { context, lane, worker } = this.#parts;
    const { recorder } = context;
    recorder.begin({ kind: 'claim', lane: lane.name, worker, claims: [recordedClaim(claim)] })({
      ending: 'ok',
      via: this.#url,
    });
    if (this.#random.chance(UNACKNOWLEDGED_SHARE))
      recorder.note({ note: 'unacknowledged', runId: claim.runId });
    else this.#socket?.send({ type: 'claim_ack', run_id: claim.runId });
    this.held += 1;
    const isByToken = claim.token !== null && this.#random.chance(0.5);
    const write: Write = isByToken
      ? writeOverHttp(recorder, claim, () => this.#random.pick(context.config.urls))
      : recorded(recorder, claim, (kind, body) => this.#ask(wireNameOf(kind), claim, body));
    void context.work(this.#parts, claim, write).then(() => {
      this.held -= 1;
      if (context.quiet.aborted) {
        if (this.held === 0) this.#socket?.terminate();
      } else this.#grant();
    });
  }

  #grant(): void {
    this.#credit(Math.max(0, CREDITS - this.held));
  }

  #credit(credits: number): void {
    const { lane, context } = this.#parts;
    const wanted = context.quiet.aborted ? 0 : credits;
    this.#socket?.send({ type: 'credit', id: this.#nextId(), lane: lane.name, credits: wanted });
  }

  async #ask(kind: string, claim: HeldClaim, body: Body): Promise<CallAnswer> {
    const socket = this.#socket;
    if (socket === null || !socket.isOpen) return NO_ANSWER;
    const id = this.#nextId();
    const via = this.#url;
    const answer = await new Promise<CallAnswer>((resolve) => {
      const timer = setTimeout(() => resolve(NO_ANSWER), ANSWER_WITHIN_MS);
      this.#answers.set(id, (answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
      const token = claim.token === null ? {} : { token: claim.token };
      socket.send({ type: kind, id, run_id: claim.runId, ...token, ...body });
    });
    this.#answers.delete(id);
    return { ...answer, via };
  }

  #nextId(): string {
    this.#lastId += 1;
    return String(this.#lastId);
  }
}

/** As an HTTP status would say it. */
function endingOf({ status }: Body): CallAnswer['ending'] {
  return typeof status === 'number' && status < 500 ? 'fail' : 'unknown';
}
