/**
 * What one socket follows of its board: its watches, each a place in the log, their output, and the lanes that it hears hints of. Events go out
 * live while the peer keeps up; when it does not, the subscription is parked where it stands and catches up from the log, so nothing is
 * dropped and nothing piles up here. Knows nothing of workers, but for the lanes that they said hello for.
 * Thousands of sockets are idle at any time: what only few need is made when it is needed, and nothing here has a timer of its own.
 */
import { CLOSE_CODES } from '../../../contract/constants.ts';
import type { ServerFrame, WatchFrame } from '../../../contract/frames.ts';
import type { Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { Connection } from '../../ws/connection.ts';
import { type PreparedFrame, prepareFrame } from '../../ws/prepared-frame.ts';
import type { BoardRef } from '../boards/service.ts';
import type { EventBatch, EventsPortion } from './event-batch.ts';
import type { BatchFollower, EndCause } from './followers.ts';
import type { HintListener, LaneHints } from './hints.ts';
import type { FollowOutput } from './output-link.ts';
import { type BoardFeeds, isStart } from './service.ts';
import { Subscription, type SubscriptionOwner } from './subscription.ts';
import { cursorAt, type EventFilter, kindsOf, setOf, sharedFilter, visibleTo } from './view.ts';
import type { WatchPlaces } from './watch-places.ts';

/** What the watches of all sockets of a server share. */
export interface WatchServices {
  readonly feeds: BoardFeeds;
  readonly hints: LaneHints;
  readonly places: WatchPlaces;
  readonly followOutput: FollowOutput;
  readonly onError: (error: unknown) => void;
}

/** What the socket lends to its watches. */
export interface WatchPort {
  readonly board: BoardRef;
  readonly caller: Principal;
  readonly connection: Connection;
  /** Taken whatever lies unsent. */
  answer(frame: ServerFrame): void;
  sendError(id: string, problem: ProblemError): void;
  end(code: number, reason: string): void;
}

/** Watches on one socket; a client that needs more opens another. */
const SUBSCRIPTIONS_MAX = 100;
/** Of them with output: one filter says all that somebody wants to see, and every line is written for each of them. */
const OUTPUTS_MAX = 4;

export class SessionWatches implements BatchFollower, HintListener, SubscriptionOwner {
  readonly #services: WatchServices;
  readonly #port: WatchPort;
  readonly #subscriptions = new Map<string, Subscription>();
  /** By watch: how to give its place back. */
  readonly #places = new Map<string, () => void>();
  /** By watch: how to leave its output. */
  #outputs: Map<string, () => void> | undefined;
  /** Lanes with hints: of each watch by its id, and those it said hello for. */
  #watchedLanes: Map<string, readonly string[]> | undefined;
  #greetedLanes: Set<string> | undefined;
  #leaveFeed: (() => void) | undefined;
  #following: Promise<void> | undefined;
  #isStopped = false;

  constructor(services: WatchServices, port: WatchPort) {
    this.#services = services;
    this.#port = port;
  }

  get board(): BoardRef {
    return this.#port.board;
  }

  get feeds(): BoardFeeds {
    return this.#services.feeds;
  }

  async watch(frame: WatchFrame): Promise<void> {
    const { caller } = this.#port;
    if (this.#subscriptions.has(frame.id))
      throw new ProblemError(
        'invalid_request',
        `This socket has a watch ${JSON.stringify(frame.id)} already.`,
      );
    if (this.#subscriptions.size >= SUBSCRIPTIONS_MAX)
      throw new ProblemError('invalid_request', `A socket has at most ${SUBSCRIPTIONS_MAX} watches.`);
    const filter = sharedFilter(
      visibleTo(caller, {
        kinds: kindsOf(frame.kinds),
        lanes: setOf(frame.lanes),
        tasks: setOf(frame.tasks),
      }),
    );
    if (frame.output && (this.#outputs?.size ?? 0) >= OUTPUTS_MAX)
      throw new ProblemError('invalid_request', `A socket has at most ${OUTPUTS_MAX} watches with output.`);
    const leavePlace = this.#services.places.take(caller, {
      words: wordsOf(filter),
      hasOutput: frame.output === true,
    });
    try {
      await this.#begin(frame, filter);
    } finally {
      if (this.#subscriptions.has(frame.id)) this.#places.set(frame.id, leavePlace);
      else leavePlace();
    }
  }

  async #begin(frame: WatchFrame, filter: EventFilter): Promise<void> {
    const { board, caller } = this.#port;
    await this.#follow();
    const after = frame.after ?? 'now';
    const afterSeq = await this.feeds.position(board, after);
    if (frame.output) await this.#followOutput(frame.id, filter);
    if (this.#isStopped) return;
    const subscription = new Subscription(this, frame.id, filter, {
      afterSeq,
      isFromStart: isStart(after),
    });
    this.#subscriptions.set(frame.id, subscription);
    this.#port.answer({ type: 'watching', id: frame.id, cursor: cursorAt(board, afterSeq) });
    subscription.start();
    // A claim token has its own task and no business with what waits elsewhere.
    if (!frame.lanes || caller.kind !== 'key') return;
    this.#watchedLanes ??= new Map();
    this.#watchedLanes.set(frame.id, frame.lanes);
    this.#services.hints.add(board, frame.lanes, this);
  }

  /** Joins the board's feed once per socket; later calls wait for the same. */
  async #follow(): Promise<void> {
    this.#following ??= this.#join();
    try {
      await this.#following;
    } catch (error) {
      this.#following = undefined;
      throw error;
    }
  }

  async #join(): Promise<void> {
    const { leave } = await this.feeds.follow(this.board, this);
    this.#leaveFeed = leave;
    if (this.#isStopped) leave();
  }

  async #followOutput(id: string, filter: EventFilter): Promise<void> {
    const { board, connection } = this.#port;
    const begin = `{"type":"output","id":${JSON.stringify(id)},`;
    const leave = await this.#services.followOutput({
      board,
      filter,
      hasRoom: () => connection.hasRoom(),
      send: (tail, dropped) =>
        connection.send(tail.frameAfter(dropped > 0 ? `${begin}"dropped":${dropped},` : begin)),
      end: () =>
        this.#port.end(CLOSE_CODES.tooSlow, 'the peer reads more slowly than it can be told what it misses'),
    });
    this.#outputs ??= new Map();
    if (this.#isStopped) leave();
    else this.#outputs.set(id, leave);
  }

  unwatch(id: string): void {
    if (!this.#drop(id))
      throw new ProblemError('not_found', `This socket has no watch ${JSON.stringify(id)}.`, {
        extensions: { resource: 'watch' },
      });
    this.#port.answer({ type: 'reply', id, ok: true });
  }

  #drop(id: string): boolean {
    this.#subscriptions.get(id)?.stop();
    this.#outputs?.get(id)?.();
    this.#outputs?.delete(id);
    this.#dropHints(id);
    this.#places.get(id)?.();
    this.#places.delete(id);
    return this.#subscriptions.delete(id);
  }

  /** Those that no other watch of the socket has, nor a hello. */
  #dropHints(id: string): void {
    const lanes = this.#watchedLanes?.get(id);
    if (lanes === undefined) return;
    this.#watchedLanes?.delete(id);
    const kept = this.#hintedLanes();
    const dropped = lanes.filter((lane) => !kept.has(lane));
    this.#services.hints.remove(this.board, dropped, this);
  }

  #hintedLanes(): Set<string> {
    return new Set(
      [...(this.#watchedLanes?.values() ?? []), this.#greetedLanes ?? []].flatMap((lanes) => [...lanes]),
    );
  }

  /** The socket is a worker of that lane, and hears of its work until it closes, whatever it watches. */
  addGreetedLane(lane: string): void {
    this.#greetedLanes ??= new Set();
    this.#greetedLanes.add(lane);
    this.#services.hints.add(this.board, [lane], this);
  }

  /** There is room again. */
  resume(): void {
    for (const subscription of this.#subscriptions.values()) subscription.resume();
  }

  bookmark(): void {
    for (const subscription of this.#subscriptions.values()) subscription.bookmark();
  }

  /** For good: nothing is followed or sent any more, also by a watch that is just being begun. */
  stop(): void {
    this.#isStopped = true;
    for (const subscription of this.#subscriptions.values()) subscription.stop();
    this.#subscriptions.clear();
    for (const leave of this.#outputs?.values() ?? []) leave();
    this.#outputs?.clear();
    for (const leavePlace of this.#places.values()) leavePlace();
    this.#places.clear();
    this.#services.hints.remove(this.board, this.#hintedLanes(), this);
    this.#leaveFeed?.();
  }

  onBatch(batch: EventBatch): void {
    for (const subscription of this.#subscriptions.values()) subscription.onBatch(batch);
  }

  onEnd(cause: EndCause): void {
    if (cause === 'gone') this.#port.end(CLOSE_CODES.policy, 'the board is gone');
    // On a new connection its cursor is refused, and it knows to begin anew: unless a log that was cut back has grown past it.
    else this.#port.end(CLOSE_CODES.drain, 'the log was replaced');
  }

  onHint(frame: PreparedFrame): void {
    this.#port.connection.send(frame);
  }

  sendEvents(id: string, portion: EventsPortion): boolean {
    const { connection } = this.#port;
    // Asked before the frame is made: of a burst most would be made in vain for sockets that are full.
    return connection.hasRoom() && connection.send(portion.frameFor(id));
  }

  sendBookmark(id: string, cursor: string): void {
    this.#port.connection.send(prepareFrame({ type: 'bookmark', id, cursor }));
  }

  onExpired(id: string, problem: ProblemError): void {
    this.#drop(id);
    this.#port.sendError(id, problem);
  }

  onOverload(): void {
    this.#port.end(CLOSE_CODES.overload, 'the server has too much to do');
  }

  onError(error: unknown): void {
    this.#services.onError(error);
  }
}

function wordsOf({ kinds, lanes, tasks }: EventFilter): number {
  return (kinds?.size ?? 0) + (lanes?.size ?? 0) + (tasks?.size ?? 0);
}
