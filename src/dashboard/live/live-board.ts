/**
 * One board, kept current: a snapshot, then every event after it. Views subscribe; they are told at most once a frame, however many events
 * come. What events do not say is read from the server, a few tasks at a time. Must never poll, and never show a state that the log
 * contradicts: when the log cannot be followed any further, everything is read anew.
 */
import type { Client, Event, Task } from '../../client/index.ts';
import { type Card, cardOf, type TaskStatus } from './card.ts';
import { FinishedPages } from './finished-pages.ts';
import { foldEvent } from './fold.ts';
import { LiveCards } from './live-cards.ts';
import { type Counts, LiveCounts } from './live-counts.ts';
import { type Lanes, LiveLanes } from './live-lanes.ts';
import { type Connection, LogFollower } from './log-follower.ts';
import { type Paint, paint } from './paint.ts';
import { type FinishedStatus, isFinishedStatus } from './statuses.ts';
import { TaskReads } from './task-reads.ts';
import { WaitingTasks } from './waiting-tasks.ts';

export interface BoardView {
  readonly connection: Connection;
  /** Rises whenever everything was read anew. */
  readonly epoch: number;
  /** Rises with every change of any card. */
  readonly revision: number;
  readonly counts: Counts | null;
  readonly title: string | null;
  readonly isBoardPaused: boolean;
  /** There are more unfinished tasks than a snapshot holds. */
  readonly isTruncated: boolean;
  readonly lanes: Lanes;
  /** Why the board cannot be shown at all. */
  readonly problem: Error | null;
}

/** Everything was read anew while somebody asked for older tasks: asked for again, but not for ever. */
const OLDER_TRIES = 3;

const INITIAL: BoardView = {
  connection: 'connecting',
  epoch: 0,
  revision: 0,
  counts: null,
  title: null,
  isBoardPaused: false,
  isTruncated: false,
  lanes: new Map(),
  problem: null,
};

export class LiveBoard {
  readonly #client: Client;
  readonly #listeners = new Set<() => void>();
  readonly #eventListeners = new Set<(events: readonly Event[]) => void>();
  readonly #reads: TaskReads;
  readonly #lanes: LiveLanes;
  readonly #pages: FinishedPages;
  readonly #waiting: WaitingTasks;
  readonly #paint: Paint;
  readonly #counts = new LiveCounts();
  readonly #cards = new LiveCards(() => {
    this.#hasChangedCards = true;
  });
  #view: BoardView = INITIAL;
  #next: Partial<BoardView> = {};
  #hasChangedCards = false;
  #arrived: Event[] = [];
  readonly #follower: LogFollower;
  #isPaused = false;
  /** Rises when what is known is thrown away: answers to what was asked before are dropped. */
  #generation = 0;
  /** Tasks that were deleted while older ones are read, of which there are so many reads under way. */
  readonly #deleted = new Set<string>();
  #olderReads = 0;

  constructor(client: Client, serverNow: () => number, makePaint: (draw: () => void) => Paint = paint) {
    this.#paint = makePaint(() => this.#publish());
    this.#client = client;
    this.#reads = new TaskReads(client, (task) => this.#onRead(task));
    this.#waiting = new WaitingTasks(client, (task) => this.#onWaiting(task));
    this.#pages = new FinishedPages(client);
    this.#lanes = new LiveLanes(client, (lanes) => this.#change({ lanes }));
    this.#follower = new LogFollower(client, serverNow, {
      readAll: (signal) => this.#readAll(signal),
      onEvent: (event) => this.#onEvent(event),
      onConnection: (connection, problem) =>
        this.#change(problem === undefined ? { connection } : { connection, problem }),
    });
  }

  get view(): BoardView {
    return this.#view;
  }

  column(status: TaskStatus): readonly Card[] {
    return this.#cards.column(status);
  }

  card(id: string): Card | undefined {
    return this.#cards.get(id);
  }

  /** All that are known, in no order. */
  cards(): IterableIterator<Card> {
    return this.#cards.all();
  }

  /** Whether the server has older tasks of the status than the board shows. */
  hasOlder(status: FinishedStatus): boolean {
    return this.#pages.hasOlder(status);
  }

  /** Reads the next page of finished tasks; the first, of a status that was not shown before. */
  async readOlder(status: FinishedStatus): Promise<void> {
    this.#olderReads += 1;
    try {
      for (let tries = 0; tries < OLDER_TRIES; tries += 1) if (await this.#readOlderOnce(status)) return;
    } finally {
      this.#olderReads -= 1;
      if (this.#olderReads === 0) this.#deleted.clear();
    }
  }

  /** false: meanwhile everything was read anew, and the answer belongs to what was before. */
  async #readOlderOnce(status: FinishedStatus): Promise<boolean> {
    const generation = this.#generation;
    const page = await this.#pages.readOlder(status);
    if (generation !== this.#generation) return false;
    this.#pages.keep(page);
    this.#cards.keepOlder(status, page.tasks.length);
    for (const task of page.tasks) if (!this.#deleted.has(task.id)) this.#cards.putNewer(cardOf(task));
    this.#paint.request();
    return true;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Each event once and in order, in groups of a frame. */
  onEvents(listener: (events: readonly Event[]) => void): () => void {
    this.#eventListeners.add(listener);
    return () => this.#eventListeners.delete(listener);
  }

  /** By the person who looks. */
  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Until `stop`. */
  start(): void {
    this.#follower.start();
  }

  stop(): void {
    this.#follower.stop();
    this.#dropAnswers();
    this.#paint.cancel();
  }

  /** Shows no change any more until it is resumed, which reads everything anew. */
  pause(isPaused: boolean): void {
    if (this.#isPaused === isPaused) return;
    this.#isPaused = isPaused;
    this.stop();
    if (isPaused) this.#change({ connection: 'paused' });
    else this.start();
  }

  #dropAnswers(): void {
    this.#generation += 1;
    this.#reads.clear();
    this.#waiting.stop();
    this.#lanes.dropAnswers();
  }

  async #readAll(signal: AbortSignal): Promise<string> {
    const snapshot = await this.#client.snapshot({ signal });
    // After the snapshot: what finished between the two stands in both, and one that is in neither would never be heard of. So do the counts,
    // because those of an earlier instant could not be brought up to it.
    const [{ board: facts }, finished] = await Promise.all([
      this.#client.boards.get(this.#client.board, { signal }),
      this.#pages.readFirst(signal),
    ]);
    this.#dropAnswers();
    this.#cards.reset(snapshot.tasks.map(cardOf));
    for (const page of finished) {
      this.#pages.keep(page);
      for (const task of page.tasks) this.#cards.putNewer(cardOf(task));
    }
    this.#counts.reset(facts.counts, facts.cursor, snapshot.cursor);
    this.#lanes.reset(snapshot.lanes);
    this.#change({
      epoch: this.#view.epoch + 1,
      title: facts.title,
      isBoardPaused: facts.settings.paused,
      isTruncated: snapshot.truncated,
      problem: null,
    });
    return snapshot.cursor;
  }

  #onEvent(event: Event): void {
    this.#arrived.push(event);
    if (event.kind.startsWith('task.')) this.#onTaskEvent(event);
    else if (event.kind.startsWith('lane.')) this.#lanes.onEvent(event);
    else if (event.kind === 'board.updated') this.#onBoardEvent(event);
    this.#paint.request();
  }

  #onTaskEvent(event: Event): void {
    if (this.#counts.onEvent(event)) this.#hasChangedCards = true;
    const id = event.task_id ?? '';
    const before = this.#cards.get(id);
    if (this.#cards.sizeOf('todo') > 0) this.#waiting.onEvent(event);
    if (event.kind === 'task.deleted') this.#onDeleted(id);
    const folded = foldEvent(before, event);
    if (folded.type === 'gone') this.#cards.put(before, undefined);
    else if (folded.type === 'card') {
      this.#cards.put(before, folded.card);
      if (folded.needsRead) this.#read(id);
    } else if (before === undefined && !isFinished(event)) this.#read(id);
  }

  /** What the server said of it before may still be under way. */
  #onDeleted(id: string): void {
    this.#reads.forget(id);
    if (this.#olderReads > 0) this.#deleted.add(id);
  }

  #onBoardEvent({ data }: Event): void {
    const settings = data['settings'] as { readonly paused?: boolean } | undefined;
    const title = data['title'];
    this.#change({
      ...(settings?.paused === undefined ? {} : { isBoardPaused: settings.paused }),
      ...(typeof title === 'string' || title === null ? { title } : {}),
    });
  }

  /** Reads a task itself, soon. */
  #read(id: string): void {
    if (!this.#reads.ask(id)) this.#follower.resync();
  }

  #onRead(task: Task): void {
    this.#cards.putNewer(cardOf(task));
    this.#paint.request();
  }

  /** One that has moved on, or gone, since it was listed is left as the log has it. */
  #onWaiting(task: Task): void {
    if (this.#cards.get(task.id)?.status === 'todo') this.#onRead(task);
  }

  #change(change: Partial<BoardView>): void {
    this.#next = { ...this.#next, ...change };
    this.#paint.request();
  }

  #publish(): void {
    const events = this.#arrived;
    this.#arrived = [];
    const revision = this.#view.revision + Number(this.#hasChangedCards);
    const counts = this.#hasChangedCards ? this.#counts.read() : this.#view.counts;
    this.#hasChangedCards = false;
    this.#view = { ...this.#view, ...this.#next, revision, counts };
    this.#next = {};
    for (const listener of this.#listeners) listener();
    if (events.length > 0) for (const listener of this.#eventListeners) listener(events);
  }
}

function isFinished({ data }: Event): boolean {
  const after = data['status_after'];
  return typeof after !== 'string' || isFinishedStatus(after as TaskStatus);
}
