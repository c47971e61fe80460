/**
 * One watch socket: its subscriptions, its place in the log, its hints. Events go out live while the peer keeps up; when it does
 * not, the subscription is parked where it stands and catches up from the log, so nothing is dropped and nothing piles up here.
 */
import { CLOSE_CODES } from '../../../contract/constants.ts';
import type { Event } from '../../../contract/events.ts';
import { ClientFrame, type HelloFrame, type ServerFrame, type WatchFrame } from '../../../contract/frames.ts';
import { PROBLEMS } from '../../../contract/problems.ts';
import { asProblem } from '../../http/on-error.ts';
import type { Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { Connection } from '../../ws/connection.ts';
import type { BoardRef } from '../boards/service.ts';
import { Hints } from './hints.ts';
import { type BoardFeeds, cursorAt } from './service.ts';
import { Subscription } from './subscription.ts';
import { kindsOf, setOf, visibleTo } from './view.ts';

export interface SessionParts {
  readonly board: BoardRef;
  readonly caller: Principal;
  readonly connection: Connection;
  readonly feeds: BoardFeeds;
  /** How many tasks wait for these lanes, for hints. */
  readonly countReady: (lanes: readonly string[]) => Promise<ReadonlyMap<string, number>>;
  readonly onHello: (lane: string, worker: string, version: string | null) => void;
  readonly onError: (error: unknown) => void;
}

/** Watches on one socket; a client that needs more opens another. */
const SUBSCRIPTIONS_MAX = 100;
/** Frames that wait to be handled; a peer that sends faster than we answer is not a client of ours. */
const PENDING_FRAMES_MAX = 1000;
/** Pinned by the wire contract: a bookmark at least this often while nothing happens. */
const BOOKMARK_INTERVAL_MS = 10_000;
/** A peer that makes no progress for this long is ended (4408). */
const STALLED_MS = 60_000;

export class WatchSession {
  readonly #parts: SessionParts;
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #hints: Hints;
  readonly #timer: NodeJS.Timeout;
  #leaveFeed: (() => void) | undefined;
  #following: Promise<number> | undefined;
  #handled: Promise<void> = Promise.resolve();
  #pendingFrames = 0;
  #isClosed = false;
  #hello: { readonly lane: string; readonly worker: string; readonly version: string | null } | null = null;

  constructor(parts: SessionParts) {
    this.#parts = parts;
    this.#hints = new Hints({
      countReady: parts.countReady,
      send: (frame) => this.#send(frame),
      onError: parts.onError,
    });
    this.#timer = setInterval(() => this.#tick(), BOOKMARK_INTERVAL_MS);
    const { connection } = parts;
    connection.onMessage((text) => this.#receive(text));
    connection.onWritable(() => {
      for (const subscription of this.#subscriptions.values()) subscription.resume();
    });
    connection.onClose(() => this.#close());
  }

  get worker(): { readonly lane: string; readonly worker: string; readonly version: string | null } | null {
    return this.#hello;
  }

  get caller(): Principal {
    return this.#parts.caller;
  }

  end(code: number, reason: string): void {
    this.#parts.connection.close(code, reason);
  }

  drain(reconnectAfterMs: number): void {
    this.#answer({ type: 'drain', reconnect_after_ms: reconnectAfterMs });
    this.end(CLOSE_CODES.drain, 'the server is restarting');
  }

  #receive(text: string): void {
    this.#pendingFrames += 1;
    if (this.#pendingFrames > PENDING_FRAMES_MAX) {
      this.end(CLOSE_CODES.policy, 'too many frames at once');
      return;
    }
    // One after the other: a watch that is still being set up is there before its unwatch.
    this.#handled = this.#handled
      .then(() => this.#handle(text))
      .finally(() => {
        this.#pendingFrames -= 1;
      });
  }

  async #handle(text: string): Promise<void> {
    if (this.#isClosed) return;
    const frame = parseFrame(text);
    if (!frame.ok) {
      this.#sendError(frame.id, new ProblemError('invalid_request', frame.detail), true);
      this.end(CLOSE_CODES.badFrame, frame.detail);
      return;
    }
    try {
      switch (frame.value.type) {
        case 'watch':
          await this.#watch(frame.value);
          break;
        case 'unwatch':
          this.#unwatch(frame.value.id);
          break;
        case 'hello':
          this.#greet(frame.value);
          break;
      }
    } catch (error) {
      const problem = asProblem(error);
      if (problem.code === 'internal') this.#parts.onError(error);
      this.#sendError(frame.value.id, problem, false);
    }
  }

  async #watch(frame: WatchFrame): Promise<void> {
    const { board, caller, feeds } = this.#parts;
    if (this.#subscriptions.has(frame.id))
      throw new ProblemError(
        'invalid_request',
        `This socket has a watch ${JSON.stringify(frame.id)} already.`,
      );
    if (this.#subscriptions.size >= SUBSCRIPTIONS_MAX)
      throw new ProblemError('invalid_request', `A socket has at most ${SUBSCRIPTIONS_MAX} watches.`);
    const filter = visibleTo(caller, {
      kinds: kindsOf(frame.kinds),
      lanes: setOf(frame.lanes),
      tasks: setOf(frame.tasks),
    });
    await this.#follow();
    const seq = await feeds.position(board, frame.after ?? 'now');
    if (this.#isClosed) return;
    const subscription = new Subscription(
      { id: frame.id, filter, feeds, board, send: (out) => this.#send(out), onError: this.#parts.onError },
      seq,
    );
    this.#subscriptions.set(frame.id, subscription);
    this.#answer({ type: 'watching', id: frame.id, cursor: cursorAt(board, seq) });
    subscription.resume();
    // A claim token has its own task and no business with what waits elsewhere.
    if (frame.lanes && caller.kind === 'key') this.#hints.add(frame.lanes);
  }

  #unwatch(id: string): void {
    const subscription = this.#subscriptions.get(id);
    if (subscription === undefined)
      throw new ProblemError('not_found', `This socket has no watch ${JSON.stringify(id)}.`, {
        extensions: { resource: 'watch' },
      });
    subscription.stop();
    this.#subscriptions.delete(id);
    this.#answer({ type: 'reply', id, ok: true });
  }

  #greet(frame: HelloFrame): void {
    const { caller, onHello } = this.#parts;
    const mayGreet =
      caller.kind === 'key' &&
      (caller.role === 'admin' || (caller.role === 'lane' && caller.lane === frame.lane));
    if (!mayGreet)
      throw new ProblemError(
        'forbidden',
        'Only a key of that lane, or an admin, may say hello as one of its workers.',
      );
    this.#hello = { lane: frame.lane, worker: frame.worker, version: frame.version ?? null };
    onHello(frame.lane, frame.worker, frame.version ?? null);
    this.#answer({ type: 'reply', id: frame.id, ok: true });
    void this.#follow().catch(this.#parts.onError);
    this.#hints.add([frame.lane]);
  }

  /** Joins the board's feed once per socket; later calls wait for the same. */
  async #follow(): Promise<number> {
    this.#following ??= this.#parts.feeds
      .follow(this.#parts.board, {
        onEvents: (events, seq) => this.#onEvents(events, seq),
        onEnd: () => this.end(CLOSE_CODES.policy, 'the board is gone'),
      })
      .then(({ seq, leave }) => {
        this.#leaveFeed = leave;
        if (this.#isClosed) leave();
        return seq;
      });
    try {
      return await this.#following;
    } catch (error) {
      this.#following = undefined;
      throw error;
    }
  }

  #onEvents(events: readonly Event[], seq: number): void {
    for (const subscription of this.#subscriptions.values()) subscription.onEvents(events, seq);
    this.#hints.onEvents(events);
  }

  #tick(): void {
    for (const subscription of this.#subscriptions.values()) {
      if (subscription.stalledMs() > STALLED_MS) {
        this.end(CLOSE_CODES.tooSlow, 'the peer has not read for a minute');
        return;
      }
      subscription.bookmark();
    }
    if (this.#hello !== null) this.#parts.onHello(this.#hello.lane, this.#hello.worker, this.#hello.version);
  }

  #send(frame: ServerFrame): boolean {
    return this.#parts.connection.send(JSON.stringify(frame));
  }

  #answer(frame: ServerFrame): void {
    this.#parts.connection.answer(JSON.stringify(frame));
  }

  #sendError(id: string | undefined, problem: ProblemError, isFatal: boolean): void {
    const { code } = problem;
    this.#answer({
      type: 'error',
      ...(id === undefined ? {} : { id }),
      code,
      title: PROBLEMS[code].title,
      detail: problem.message,
      fatal: isFatal,
    });
  }

  #close(): void {
    this.#isClosed = true;
    clearInterval(this.#timer);
    this.#hints.stop();
    for (const subscription of this.#subscriptions.values()) subscription.stop();
    this.#subscriptions.clear();
    this.#leaveFeed?.();
  }
}

type ParsedFrame =
  | { readonly ok: true; readonly value: ClientFrame }
  | { readonly ok: false; readonly id: string | undefined; readonly detail: string };

function parseFrame(text: string): ParsedFrame {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { ok: false, id: undefined, detail: 'a frame must be one JSON object in a text message' };
  }
  const parsed = ClientFrame.safeParse(value);
  if (parsed.success) return { ok: true, value: parsed.data };
  const id =
    typeof value === 'object' && value !== null && 'id' in value && typeof value.id === 'string'
      ? value.id.slice(0, 64)
      : undefined;
  const [issue] = parsed.error.issues;
  return {
    ok: false,
    id,
    detail: `the frame is not valid: ${[...(issue?.path ?? []), issue?.message ?? 'wrong shape'].join(' ')}`,
  };
}
