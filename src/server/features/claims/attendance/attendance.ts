/**
 * Which socket is which worker's. Each hello is written to the worker's row, and of two sockets with one worker name the newer wins: the
 * row names it, whatever server it is on, and the server of the older one closes that. Hellos of a board are gathered into one
 * statement, because a restart brings thousands at once.
 * Never ends a claim itself: that a worker's socket has closed is handed to Departures, which decides by the row.
 */
import { CLOSE_CODES } from '../../../../contract/constants.ts';
import type { Sql } from '../../../db/client.ts';
import { isDatabaseAway } from '../../../db/failures.ts';
import { retriedStatement, withinDeadline } from '../../../db/tx.ts';
import { Batcher, type Settled } from '../../../kernel/batcher.ts';
import type { Uuid } from '../../../kernel/ids.ts';
import { ProblemError } from '../../../kernel/problem-error.ts';
import type { BoardRef } from '../../boards/service.ts';
import {
  laneNotFound,
  listNewerSockets,
  listNewestSockets,
  type NewestSocketRow,
  openWorkerSockets,
  type SocketOpening,
} from '../../lanes/service.ts';
import type { CloseCause, WorkerGreeting, WorkerPort, WorkerSocketListener } from '../../watch/service.ts';
import type { Departures } from './departures.ts';

interface AttendanceParts {
  readonly sql: Sql;
  readonly departures: Departures;
}

/** One row each, found by key: some 10 ms. */
const GATHERED_HELLOS_MAX = 500;
/** All sockets of a server (10,000), each for two lanes; of one lane half of that. */
const WAITING_HELLOS_MAX = 20_000;
/** Workers of one lane that one socket has been. Each keeps a row, and is asked about; who is more of them opens more sockets. */
const NAMES_PER_LANE_MAX = 20;
/** Asked about in one statement when all are looked at: some 2 ms. */
const LOOKED_AT_MAX = 1000;
/** A hello is committed within this of the time that its row says. */
const COMMIT_SECONDS_MAX = 2;
/** Should one have taken longer after all: how often all rows are looked at. */
const LOOK_AT_ALL_INTERVAL_MS = 10_000;

interface Named {
  readonly lane: string;
  readonly worker: string;
}

interface Said extends Named {
  /** Hellos whose answer has not come yet, or never will: each of them may still be written. */
  unanswered: number;
}

interface Greeted {
  /** As whom it has said hello, or is just doing so. */
  readonly names: Map<string, Said>;
  /** Null while it is open. */
  cause: CloseCause | null;
}

/** The newest socket of a worker, as far as this server knows. */
interface Standing extends Named {
  readonly port: WorkerPort;
  readonly openedUs: number;
}

/** When the hello was written; null: it was not, because its socket had closed or a newer one came in the same moment. */
type Opened = number | null;

export class Attendance implements WorkerSocketListener {
  readonly #parts: AttendanceParts;
  readonly #hellos: Batcher<BoardRef, SocketOpening, Opened>;
  readonly #sockets = new Map<Uuid, Greeted>();
  readonly #standing = new Map<string, Standing>();
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #lookedAtAllAtMs = Number.NEGATIVE_INFINITY;

  constructor(parts: AttendanceParts) {
    this.#parts = parts;
    this.#hellos = new Batcher({
      sizeMax: GATHERED_HELLOS_MAX,
      waitingMax: WAITING_HELLOS_MAX,
      fairBy: ({ lane }) => lane,
      mayRunAlone: (error) => !isDatabaseAway(error),
      run: (board, openings) => this.#openGathered(board, openings),
    });
  }

  async onHello(port: WorkerPort, { lane, worker, version }: WorkerGreeting): Promise<void> {
    const { board, socketId } = port;
    const socket = this.#sockets.get(socketId) ?? { names: new Map(), cause: null };
    const key = keyOf(board.id, lane, worker);
    const known = socket.names.get(key);
    if (known === undefined) assertMayBeOneMore(socket, lane);
    const said = known ?? { lane, worker, unanswered: 0 };
    this.#sockets.set(socketId, socket);
    socket.names.set(key, said);
    said.unanswered += 1;
    let openedUs: Opened;
    try {
      openedUs = await this.#hellos.submit(board, { lane, worker, version, socketId });
    } catch (error) {
      if (!isDatabaseAway(error)) {
        said.unanswered -= 1;
        // What was said before is written, and stays so.
        if (known === undefined) socket.names.delete(key);
      }
      throw error;
    }
    said.unanswered -= 1;
    // It closed before the hello was written, and its close has been told.
    if (openedUs === null && socket.cause !== null) return;
    const standing = this.#standing.get(key);
    if (openedUs === null || (standing !== undefined && standing.openedUs > openedUs)) {
      supersede(port);
      return;
    }
    if (standing !== undefined && standing.port !== port) supersede(standing.port);
    if (socket.cause !== null) {
      // It closed while the hello was being written, and nobody else will say so.
      this.#standing.delete(key);
      const isLost = socket.cause === 'lost';
      this.#parts.departures.leave({ board, lane, worker, socketId, isLost, mayCrashAtOnce: false });
      return;
    }
    this.#standing.set(key, { port, lane, worker, openedUs });
  }

  onClose(port: WorkerPort, cause: CloseCause): void {
    const { board, socketId } = port;
    const socket = this.#sockets.get(socketId);
    if (socket === undefined) return;
    this.#sockets.delete(socketId);
    socket.cause = cause;
    const isLost = cause === 'lost';
    for (const [key, { lane, worker, unanswered }] of socket.names) {
      if (this.#standing.get(key)?.port === port) this.#standing.delete(key);
      const mayCrashAtOnce = unanswered === 0;
      this.#parts.departures.leave({ board, lane, worker, socketId, isLost, mayCrashAtOnce });
    }
  }

  /** Closes sockets here whose worker has said hello to another server since. Called twice a second: the promise is a second. */
  async sweep(): Promise<void> {
    if (this.#standing.size === 0) {
      this.#lookedAtMs = performance.now();
      return;
    }
    const nowMs = performance.now();
    if (nowMs - this.#lookedAtAllAtMs >= LOOK_AT_ALL_INTERVAL_MS) {
      await this.#lookAtAll();
      this.#lookedAtAllAtMs = nowMs;
    } else {
      const boardIds = new Set<number>();
      for (const { port } of this.#standing.values()) boardIds.add(port.board.id);
      const seconds = (nowMs - this.#lookedAtMs) / 1000 + COMMIT_SECONDS_MAX;
      this.#compare(await withinDeadline(listNewestSockets(this.#parts.sql, [...boardIds], seconds)));
    }
    this.#lookedAtMs = nowMs;
  }

  /** Only those here are asked about: how many others there are is anybody's choice. */
  async #lookAtAll(): Promise<void> {
    const all = [...this.#standing.values()].map(({ port, lane, worker }) => {
      return { boardId: port.board.id, lane, worker, socketId: port.socketId };
    });
    while (all.length > 0)
      this.#compare(await withinDeadline(listNewerSockets(this.#parts.sql, all.splice(0, LOOKED_AT_MAX))));
  }

  #compare(rows: readonly NewestSocketRow[]): void {
    for (const row of rows) {
      const standing = this.#standing.get(keyOf(row.board_id, row.lane, row.worker));
      if (standing === undefined || standing.port.socketId === row.socket_id) continue;
      // A look may be older than a hello that has been answered meanwhile.
      if (row.opened_us > standing.openedUs) supersede(standing.port);
    }
  }

  drain(): Promise<void> {
    return this.#hellos.drain();
  }

  /**
   * Of several hellos as one worker the last counts. One whose socket has closed while it waited is not written: its worker has come back
   * meanwhile, perhaps on another server, and would be sent away for a socket that is no more.
   */
  async #openGathered(board: BoardRef, openings: readonly SocketOpening[]): Promise<Settled<Opened>[]> {
    const latest = new Map<string, SocketOpening>();
    const rows = await retriedStatement(async () => {
      latest.clear();
      for (const opening of openings)
        if (this.#sockets.has(opening.socketId))
          latest.set(keyOf(board.id, opening.lane, opening.worker), opening);
      return latest.size === 0 ? [] : openWorkerSockets(this.#parts.sql, board.id, [...latest.values()]);
    });
    const openedUs = new Map(rows.map((row) => [keyOf(board.id, row.lane, row.worker), row.opened_us]));
    return openings.map((opening): Settled<Opened> => {
      const key = keyOf(board.id, opening.lane, opening.worker);
      const counted = latest.get(key);
      if (counted === undefined) return { ok: true, value: null };
      const written = openedUs.get(key);
      if (written === undefined) return { ok: false, error: laneNotFound(board.name, opening.lane) };
      return { ok: true, value: counted.socketId === opening.socketId ? written : null };
    });
  }
}

/** Names of lanes have no spaces. */
function keyOf(boardId: number, lane: string, worker: string): string {
  return `${boardId} ${lane} ${worker}`;
}

function assertMayBeOneMore({ names }: Greeted, lane: string): void {
  let count = 0;
  for (const named of names.values()) if (named.lane === lane) count += 1;
  if (count >= NAMES_PER_LANE_MAX)
    throw new ProblemError(
      'rate_limited',
      `This socket has been ${count} workers of lane ${JSON.stringify(lane)}; open another one.`,
      { headers: { 'Retry-After': '1' } },
    );
}

function supersede(port: WorkerPort): void {
  port.end(CLOSE_CODES.superseded, 'a newer socket has said hello as this worker');
}
