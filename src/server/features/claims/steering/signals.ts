/**
 * Tells the workers behind this server's sockets what they should hear while they work: that a claim of theirs is to be cancelled, and
 * what people say to its holder. A nudge brings the look, and whoever nudges has committed; the poll under it makes up for a lost one.
 * Never decides anything: the claim's row does, heartbeats repeat what it says, and the reaper acts on it.
 * The alternative, to find them among the events, has every server with workers read the whole log of a busy board.
 */
import type { Sql } from '../../../db/client.ts';
import { withinDeadline } from '../../../db/tx.ts';
import type { Wake } from '../../../db/wake.ts';
import { formatId, type Uuid } from '../../../kernel/ids.ts';
import type { BoardRef } from '../../boards/service.ts';
import type { WorkerGreeting, WorkerPort, WorkerSocketListener } from '../../watch/service.ts';
import { findSignals, type SignalRow } from '../store/signal.ts';
import { toldMessageOf } from '../view.ts';
import type { Inbox } from './inbox.ts';
import { LookLoop } from './look-loop.ts';

interface SignalsParts {
  readonly sql: Sql;
  readonly wake: Wake;
  readonly inbox: Inbox;
  readonly onError: (error: unknown) => void;
}

/** Claims with a signal in one page: a fleet that is cancelled at once is told in a few. */
const PAGE_ROWS = 1000;

export class Signals implements WorkerSocketListener {
  readonly #parts: SignalsParts;
  readonly #boards = new Map<number, BoardSignals>();

  constructor(parts: SignalsParts) {
    this.#parts = parts;
  }

  async onHello(port: WorkerPort, greeting: WorkerGreeting): Promise<void> {
    let board = this.#boards.get(port.board.id);
    if (board === undefined) {
      board = new BoardSignals(port.board, this.#parts);
      this.#boards.set(port.board.id, board);
    }
    board.attach(port, greeting);
  }

  onClose(port: WorkerPort): void {
    const board = this.#boards.get(port.board.id);
    board?.detach(port);
    if (board?.isEmpty) {
      board.stop();
      this.#boards.delete(port.board.id);
    }
  }
}

/** One worker of one lane, on the socket that said hello for it last. */
class AttachedWorker {
  readonly port: WorkerPort;
  readonly lane: string;
  readonly worker: string;
  /** It has not been told yet what was open when it came. */
  isNew = true;
  /** In the look that is under way it had no room for messages: at a later one. */
  isHeldBack = false;
  /** By run: the deadline it was told. */
  readonly #cancels = new Map<Uuid, string>();
  /** By run: the messages it was told. */
  readonly #messages = new Map<Uuid, Set<Uuid>>();

  constructor(port: WorkerPort, { lane, worker }: WorkerGreeting) {
    this.port = port;
    this.lane = lane;
    this.worker = worker;
  }

  cancel({ run_id: runId, cancel_deadline_at: deadlineAt, cancel_reason: reason }: SignalRow): void {
    if (deadlineAt === null || this.#cancels.get(runId) === deadlineAt) return;
    this.#cancels.set(runId, deadlineAt);
    this.port.send({ type: 'cancel', run_id: formatId('run', runId), deadline_at: deadlineAt, reason });
  }

  steer(runId: Uuid, message: Parameters<typeof toldMessageOf>[0]): void {
    const told = this.#messages.get(runId) ?? new Set();
    if (told.has(message.id)) return;
    this.#messages.set(runId, told.add(message.id));
    this.port.send({ type: 'steer', run_id: formatId('run', runId), message: toldMessageOf(message) });
  }

  /** What is over need not be remembered. */
  keepOnly(runIds: ReadonlySet<Uuid>): void {
    for (const runId of this.#cancels.keys()) if (!runIds.has(runId)) this.#cancels.delete(runId);
    for (const runId of this.#messages.keys()) if (!runIds.has(runId)) this.#messages.delete(runId);
  }
}

/** A row whose holder is here, and that has messages to tell. */
interface Telling {
  readonly taskId: Uuid;
  readonly runId: Uuid;
  readonly worker: AttachedWorker;
}

class BoardSignals {
  readonly #board: BoardRef;
  readonly #parts: SignalsParts;
  /** By lane and worker. */
  readonly #workers = new Map<string, AttachedWorker>();
  /** By socket: what it said hello as, by lane. Another socket may be that worker since. */
  readonly #keys = new Map<WorkerPort, Map<string, string>>();
  readonly #looks: LookLoop;
  readonly #unsubscribe: () => void;

  constructor(board: BoardRef, parts: SignalsParts) {
    this.#board = board;
    this.#parts = parts;
    this.#looks = new LookLoop(() => this.#lookOnce(), parts.onError);
    this.#unsubscribe = parts.wake.subscribeNudges(board.id, () => this.#looks.look());
  }

  get isEmpty(): boolean {
    return this.#workers.size === 0;
  }

  attach(port: WorkerPort, greeting: WorkerGreeting): void {
    const key = keyOf(greeting);
    const keys = this.#keys.get(port) ?? new Map<string, string>();
    const former = keys.get(greeting.lane);
    if (former !== key) this.#remove(port, former);
    this.#keys.set(port, keys.set(greeting.lane, key));
    // A repeated hello brings nothing again: the socket has heard it.
    if (this.#workers.get(key)?.port !== port) this.#workers.set(key, new AttachedWorker(port, greeting));
    this.#looks.look();
  }

  detach(port: WorkerPort): void {
    for (const key of this.#keys.get(port)?.values() ?? []) this.#remove(port, key);
    this.#keys.delete(port);
  }

  #remove(port: WorkerPort, key: string | undefined): void {
    if (key !== undefined && this.#workers.get(key)?.port === port) this.#workers.delete(key);
  }

  stop(): void {
    this.#looks.stop();
    this.#unsubscribe();
  }

  async #lookOnce(): Promise<void> {
    const lanes = [...new Set([...this.#workers.values()].map(({ lane }) => lane))];
    const newcomers = [...this.#workers.values()].filter(({ isNew }) => isNew);
    for (const worker of newcomers) worker.isHeldBack = false;
    const live = new Set<Uuid>();
    let after: Uuid | null = null;
    for (let isMore = lanes.length > 0; isMore && !this.#looks.isStopped; ) {
      const found: Promise<SignalRow[]> = findSignals(
        this.#parts.sql,
        this.#board.id,
        lanes,
        after,
        PAGE_ROWS,
      );
      const rows: SignalRow[] = await withinDeadline(found);
      for (const { run_id } of rows) live.add(run_id);
      await this.#tell(this.#pass(rows));
      after = rows.at(-1)?.task_id ?? null;
      isMore = rows.length === PAGE_ROWS;
    }
    for (const worker of newcomers) worker.isNew = worker.isHeldBack;
    for (const worker of this.#workers.values()) worker.keepOnly(live);
  }

  /** Passes cancels on, and returns whom to tell messages. Cancels are small; messages wait for room. */
  #pass(rows: readonly SignalRow[]): Telling[] {
    return rows.flatMap((row) => {
      const worker = this.#workers.get(keyOf(row));
      if (worker === undefined) return [];
      worker.cancel(row);
      if (!row.has_untold && !(row.has_messages && worker.isNew)) return [];
      if (worker.port.hasRoom()) return [{ taskId: row.task_id, runId: row.run_id, worker }];
      worker.isHeldBack = true;
      return [];
    });
  }

  async #tell(tellings: readonly Telling[]): Promise<void> {
    const messages = await this.#parts.inbox.tell(this.#board, tellings);
    for (const { taskId, runId, worker } of tellings) {
      // A socket that has gone since is followed by one that is new.
      if (this.#workers.get(keyOf(worker)) !== worker) continue;
      for (const message of messages.get(taskId) ?? []) worker.steer(runId, message);
    }
  }
}

/** Names of lanes hold no space. */
function keyOf({ lane, worker }: { readonly lane: string; readonly worker: string }): string {
  return `${lane} ${worker}`;
}
