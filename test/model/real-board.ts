/**
 * A board of a real server, as the model's commands use it: over the wire, on connections that stay open, because they ask tens of thousands
 * of times. Time does not pass by itself: what is due or overdue is made so in the rows, and the sweeps of the server are then run.
 */
import { Agent, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll } from 'vitest';
import type { Task } from '../../src/contract/tasks.ts';
import { openDatabase } from '../../src/server/db/client.ts';
import type { Wake } from '../../src/server/db/wake.ts';
import { Reaper } from '../../src/server/features/claims/service.ts';
import { Scheduler } from '../../src/server/features/tasks/service.ts';
import { parseId } from '../../src/server/kernel/ids.ts';
import { expectStatus, makeBoard, type TestBoard } from '../fixtures/board.ts';
import { createTestDatabase, type TestDatabase } from '../fixtures/database.ts';
import { ADMIN_KEY, type CallAnswer, startTestServer, type TestServer } from '../fixtures/server.ts';

/** What a server of the model's never comes to by itself: longer than any test. */
export const LATER_SECONDS = 86_400;
/** Of one sweep that finds nothing because somebody else is at it. */
const LOOK_AGAIN_MS = 5;
const SWEPT_WITHIN_MS = 15_000;
const NEVER = new AbortController().signal;
const SILENT: Wake = {
  ring: () => undefined,
  subscribe: () => () => undefined,
  nudge: () => undefined,
  subscribeNudges: () => () => undefined,
  run: () => Promise.resolve(),
  close: () => Promise.resolve(),
  pollAgeMs: () => 0,
};

export interface Asked {
  readonly method: string;
  /** Below the board, or from /v1 on. */
  readonly path: string;
  readonly token?: string;
  readonly body?: unknown;
}

type Answered = Pick<CallAnswer, 'status' | 'body'>;

/** Servers, sweeps and connections for any number of boards. */
export class RealServers {
  readonly servers: readonly TestServer[];
  readonly #database: TestDatabase;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 });
  readonly #client;
  readonly #reaper;
  readonly #scheduler;
  #turn = 0;

  constructor(database: TestDatabase, servers: readonly TestServer[]) {
    this.#database = database;
    this.servers = servers;
    this.#client = openDatabase({ url: database.url });
    this.#reaper = new Reaper(this.#client.sweeps, SILENT, () => undefined);
    this.#scheduler = new Scheduler({ sql: this.#client.sweeps, wake: SILENT });
  }

  async board(lanes: ReadonlyMap<string, number | null>): Promise<RealBoard> {
    const [server] = this.servers;
    if (server === undefined) throw new Error('a board is on a server');
    const board = await makeBoard(server);
    for (const [lane, cap] of lanes) await board.lane(lane, { max_concurrent_claims: cap });
    return new RealBoard(this, board);
  }

  /** The servers take turns: what holds on one of them holds between them. */
  async ask({ method, path, token = ADMIN_KEY, body }: Asked): Promise<Answered> {
    const server = this.servers[this.#turn++ % this.servers.length];
    const text = body === undefined ? undefined : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const sent = request(
        `${server?.url}${path}`,
        {
          method,
          agent: this.#agent,
          headers: {
            Authorization: `Bearer ${token}`,
            ...(text === undefined
              ? {}
              : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) }),
          },
        },
        (answer) => {
          let received = '';
          answer.setEncoding('utf8');
          answer.on('data', (part: string) => {
            received += part;
          });
          answer.on('end', () =>
            resolve({ status: answer.statusCode ?? 0, body: received === '' ? null : JSON.parse(received) }),
          );
          answer.on('error', reject);
        },
      );
      sent.on('error', reject);
      sent.end(text);
    });
  }

  get sql() {
    return this.#database.sql;
  }

  /** The holder was last heard of an hour ago. */
  async lapse(taskId: string): Promise<void> {
    const id = parseId('task', taskId);
    await this
      .sql`UPDATE claims SET lease_expires_at = clock_timestamp() - interval '1 hour' WHERE task_id = ${id}`;
  }

  async crash(taskId: string): Promise<void> {
    await this.lapse(taskId);
    await this.#sweptUntil('running', taskId, () => this.#reaper.sweep(NEVER));
    await this.postpone(taskId);
  }

  /** A pause is drawn by lot, and the draw may be nothing. */
  async postpone(taskId: string): Promise<void> {
    await this.sql`
      UPDATE tasks SET run_at = clock_timestamp() + make_interval(secs => ${LATER_SECONDS})
      WHERE id = ${parseId('task', taskId)} AND status = 'scheduled'`;
  }

  async timeComes(taskId: string): Promise<void> {
    await this.sql`
      UPDATE tasks SET run_at = clock_timestamp() - interval '1 second' WHERE id = ${parseId('task', taskId)} AND run_at IS NOT NULL`;
    await this.#sweptUntil('scheduled', taskId, () => this.#scheduler.sweep(NEVER));
  }

  /** Another server's sweep may have it locked. */
  async #sweptUntil(statusBefore: string, taskId: string, sweep: () => Promise<void>): Promise<void> {
    const deadline = performance.now() + SWEPT_WITHIN_MS;
    for (;;) {
      await sweep();
      const [row] = await this.sql`SELECT status FROM tasks WHERE id = ${parseId('task', taskId)}`;
      if (row?.['status'] !== statusBefore) return;
      if (performance.now() > deadline) throw new Error(`${taskId} stays ${statusBefore}`);
      await delay(LOOK_AGAIN_MS);
    }
  }

  async close(): Promise<void> {
    this.#agent.destroy();
    await this.#client.close();
  }
}

export class RealBoard {
  readonly servers: RealServers;
  readonly board: TestBoard;
  /** Of the model's. */
  commands = 0;
  #answered: Task | null = null;

  constructor(servers: RealServers, board: TestBoard) {
    this.servers = servers;
    this.board = board;
  }

  /** The task that the last answer showed. */
  get answered(): Task | null {
    return this.#answered;
  }

  forgetAnswer(): void {
    this.#answered = null;
  }

  async ask(asked: Asked): Promise<Answered> {
    const path = asked.path.startsWith('/v1/') ? asked.path : this.board.path(asked.path);
    const answer = await this.servers.ask({ ...asked, path });
    this.#answered = answer.body?.task ?? null;
    return answer;
  }

  /** All of them, whatever their status. */
  async readAll(): Promise<Task[]> {
    const statuses = 'triage,todo,scheduled,ready,running,blocked,review,done,cancelled,archived';
    return (await this.#get(`/tasks?limit=200&status=${statuses}`)).tasks;
  }

  async #get(path: string) {
    const answer = await this.ask({ method: 'GET', path });
    return expectStatus({ ...answer, headers: new Headers(), code: undefined }, 200).body;
  }

  /** Tasks that wait although all they wait for is done. */
  async stranded(): Promise<string[]> {
    const rows = await this.servers.sql<{ id: string }[]>`
      SELECT t.id FROM tasks t JOIN boards b ON b.id = t.board_id
      WHERE b.name = ${this.board.name} AND t.status = 'todo' AND NOT EXISTS (
        SELECT FROM links l JOIN tasks p ON p.board_id = l.board_id AND p.id = l.parent_id
        WHERE l.board_id = t.board_id AND l.child_id = t.id AND p.status <> 'done' AND p.archived_from IS DISTINCT FROM 'done')`;
    return rows.map((row) => row.id);
  }
}

/** Two servers on a database of their own, for a whole test file. */
export function useRealServers(): { readonly real: RealServers; readonly database: TestDatabase } {
  let database: TestDatabase;
  let servers: TestServer[];
  let real: RealServers;
  beforeAll(async () => {
    database = await createTestDatabase();
    servers = [await startTestServer(database.url), await startTestServer(database.url)];
    real = new RealServers(database, servers);
  });
  afterAll(async () => {
    await real.close();
    await Promise.all(servers.map((server) => server.stop()));
    await database.drop();
  });
  return {
    get real() {
      return real;
    },
    get database() {
      return database;
    },
  };
}
