/**
 * Which socket is which worker's. Each hello is written to the worker's row, and of two sockets with one worker name the newer wins: the
 * row names it, whatever server it is on, and the server of the older one closes that. Hellos of a board are gathered into one
 * statement, because a restart brings thousands at once.
 * Never ends a claim itself: that a worker's socket has closed is handed to Departures, which decides by the row.
 */
import { CLOSE_CODES } from '../../../contract/constants.ts';
import type { Sql } from '../../db/client.ts';
import { isDatabaseAway } from '../../db/failures.ts';
import { retriedStatement, withinDeadline } from '../../db/tx.ts';
import { Batcher, type Settled } from '../../kernel/batcher.ts';
import type { Uuid } from '../../kernel/ids.ts';
import type { BoardRef } from '../boards/service.ts';
import { laneNotFound, listNewestSockets, openWorkerSockets, type SocketOpening } from '../lanes/service.ts';
import type { CloseCause, WorkerCompanion, WorkerGreeting, WorkerPort } from '../watch/service.ts';
import type { Departures } from './departures.ts';

interface AttendanceParts {
  readonly sql: Sql;
  readonly departures: Departures;
}

/** One row each, found by key: some 10 ms. */
const GATHERED_HELLOS_MAX = 500;
/** All sockets of a server (10,000), each for two lanes; of one lane half of that. */
const WAITING_HELLOS_MAX = 20_000;
/** Workers that one socket has been, at a hundred lanes and as many renames: of the oldest it is forgotten when it closes. */
const NAMES_MAX = 200;
/** A hello is committed within this of the time that its row says. */
const COMMIT_SECONDS_MAX = 2;
/** Should one have taken longer after all: how often all rows are looked at. */
const LOOK_AT_ALL_INTERVAL_MS = 10_000;
/** No socket of this server has been open for longer without being seen. */
const ALL_SECONDS = 86_400;

interface Named {
  readonly lane: string;
  readonly worker: string;
}

interface Greeted {
  /** As whom it has said hello. */
  readonly names: Map<string, Named>;
  /** Null while it is open. */
  cause: CloseCause | null;
}

/** The newest socket of a worker, as far as this server knows. */
interface Standing {
  readonly port: WorkerPort;
  readonly openedUs: number;
}

/** When the hello was written; null: a newer one came in the same moment. */
type Opened = number | null;

export class Attendance implements WorkerCompanion {
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
    this.#sockets.set(socketId, socket);
    const openedUs = await this.#hellos.submit(board, { lane, worker, version, socketId });
    const key = keyOf(board.id, lane, worker);
    const standing = this.#standing.get(key);
    if (openedUs === null || (standing !== undefined && standing.openedUs > openedUs)) {
      supersede(port);
      return;
    }
    if (standing !== undefined && standing.port !== port) supersede(standing.port);
    if (socket.cause !== null) {
      // It closed while the hello was on its way, and nobody else will say so.
      this.#standing.delete(key);
      this.#parts.departures.leave({ board, lane, worker, socketId, isLost: socket.cause === 'lost' });
      return;
    }
    this.#standing.set(key, { port, openedUs });
    socket.names.delete(key);
    socket.names.set(key, { lane, worker });
    const [oldest] = socket.names.keys();
    if (socket.names.size > NAMES_MAX && oldest !== undefined) socket.names.delete(oldest);
  }

  onClose(port: WorkerPort, cause: CloseCause): void {
    const { board, socketId } = port;
    const socket = this.#sockets.get(socketId);
    if (socket === undefined) return;
    this.#sockets.delete(socketId);
    socket.cause = cause;
    for (const [key, { lane, worker }] of socket.names) {
      if (this.#standing.get(key)?.port === port) this.#standing.delete(key);
      this.#parts.departures.leave({ board, lane, worker, socketId, isLost: cause === 'lost' });
    }
  }

  /** Closes sockets here whose worker has said hello to another server since. Called twice a second: the promise is a second. */
  async sweep(): Promise<void> {
    if (this.#standing.size === 0) {
      this.#lookedAtMs = performance.now();
      return;
    }
    const boardIds = new Set<number>();
    for (const { port } of this.#standing.values()) boardIds.add(port.board.id);
    const nowMs = performance.now();
    const isForAll = nowMs - this.#lookedAtAllAtMs >= LOOK_AT_ALL_INTERVAL_MS;
    const seconds = isForAll ? ALL_SECONDS : (nowMs - this.#lookedAtMs) / 1000 + COMMIT_SECONDS_MAX;
    for (const row of await withinDeadline(listNewestSockets(this.#parts.sql, [...boardIds], seconds))) {
      const standing = this.#standing.get(keyOf(row.board_id, row.lane, row.worker));
      if (standing === undefined || standing.port.socketId === row.socket_id) continue;
      // A look may be older than a hello that has been answered meanwhile.
      if (row.opened_us > standing.openedUs) supersede(standing.port);
    }
    this.#lookedAtMs = nowMs;
    if (isForAll) this.#lookedAtAllAtMs = nowMs;
  }

  drain(): Promise<void> {
    return this.#hellos.drain();
  }

  /** Of several hellos as one worker the last counts. */
  async #openGathered(board: BoardRef, openings: readonly SocketOpening[]): Promise<Settled<Opened>[]> {
    const latest = new Map(
      openings.map((opening) => [keyOf(board.id, opening.lane, opening.worker), opening]),
    );
    const rows = await retriedStatement(() =>
      openWorkerSockets(this.#parts.sql, board.id, [...latest.values()]),
    );
    const openedUs = new Map(rows.map((row) => [keyOf(board.id, row.lane, row.worker), row.opened_us]));
    return openings.map((opening): Settled<Opened> => {
      const key = keyOf(board.id, opening.lane, opening.worker);
      const written = openedUs.get(key);
      if (written === undefined) return { ok: false, error: laneNotFound(board.name, opening.lane) };
      const isCounted = latest.get(key)?.socketId === opening.socketId;
      return { ok: true, value: isCounted ? written : null };
    });
  }
}

/** Names of lanes have no spaces. */
function keyOf(boardId: number, lane: string, worker: string): string {
  return `${boardId} ${lane} ${worker}`;
}

function supersede(port: WorkerPort): void {
  port.end(CLOSE_CODES.superseded, 'a newer socket has said hello as this worker');
}
