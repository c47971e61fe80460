/**
 * The limit that our batch cycle is held against: the very statements of claim and completion, on the very connections that the
 * server opens, without HTTP, authority, tokens, the batcher or answers. pgbench could not do it: a completion names the runs that
 * the claim before it returned, as arrays.
 */
import { fileURLToPath } from 'node:url';
import { type Database, openDatabase, type Sql } from '../../src/server/db/client.ts';
import { migrateDatabase } from '../../src/server/db/migrate.ts';
import { findBoard, insertBoard } from '../../src/server/features/boards/store.ts';
import { claimReady } from '../../src/server/features/claims/store/claim.ts';
import { completeRuns } from '../../src/server/features/claims/store/complete.ts';
import type { Slot } from '../../src/server/features/claims/store/slot.ts';
import { insertTasks, type NewTask } from '../../src/server/features/tasks/store/create.ts';
import { IdSource } from '../../src/server/kernel/ids.ts';
import type { CycleInput, CycleResult, Driver, DriverTarget } from '../driver.ts';
import { serveDriver } from '../driver.ts';
import { measureLoops, measureWindow } from '../window.ts';

const MIGRATIONS_DIR = fileURLToPath(new URL('../../drizzle', import.meta.url));
const BOARD = 'bench';
const LANE = 'factory';
const TASKS_PER_INSERT = 1000;
/** More than any scenario opens. */
const CONNECTIONS_MAX = 16;

class RawClient implements Pick<Driver, 'fill' | 'runCycles' | 'close'> {
  readonly #database: Database;
  readonly #boardId: number;
  readonly #ids = new IdSource({ now: () => Date.now() });

  private constructor(database: Database, boardId: number) {
    this.#database = database;
    this.#boardId = boardId;
  }

  static async open({ urls: [url = ''] }: DriverTarget): Promise<RawClient> {
    await migrateDatabase(url, MIGRATIONS_DIR);
    const database = openDatabase({ url, hotConnectionsMax: CONNECTIONS_MAX });
    const known = await findBoard(database.cold, BOARD);
    const boardId = known?.id ?? (await makeBoard(database.cold));
    return new RawClient(database, boardId);
  }

  async fill({ pieces }: { pieces: number }): Promise<void> {
    const { ready } = await this.#counts();
    for (let missing = pieces - ready; missing > 0; missing -= TASKS_PER_INSERT) {
      const tasks = Array.from({ length: Math.min(missing, TASKS_PER_INSERT) }, () => this.#task());
      await insertTasks(this.#database.hot, this.#boardId, tasks);
    }
  }

  async runCycles(input: CycleInput): Promise<CycleResult> {
    const before = await this.#counts();
    const size = input.manner.kind === 'batch' ? input.manner.size : 1;
    const progress = { ended: 0, isStopping: false };
    const loops = Array.from({ length: input.concurrency }, async (_, index) => {
      while (!progress.isStopping) {
        const claimed = await this.#cycle(before.config_version, `worker-${index}`, size);
        if (claimed === 0) return;
        progress.ended += claimed;
      }
    });
    const result = await measureLoops(
      loops,
      measureWindow(input, before.ready, () => progress.ended),
    );
    progress.isStopping = true;
    await Promise.all(loops);
    const after = await this.#counts();
    if (after.done - before.done !== progress.ended || after.running !== 0)
      throw new Error(`counted ${progress.ended} cycles, the board says ${after.done - before.done}`);
    return result;
  }

  async close(): Promise<void> {
    await this.#database.close();
  }

  async #cycle(configVersion: number, worker: string, size: number): Promise<number> {
    const { hot } = this.#database;
    const slots = Array.from({ length: size }, () => this.#slot(worker));
    const rows = await claimReady(hot, this.#boardId, configVersion, slots);
    const completions = rows
      .map((row) => ({
        taskId: row.id,
        runId: row.run_id,
        attempt: row.attempt,
        actorId: row.run_id,
        fingerprint: 'complete',
        summary: null,
        result: null,
        metadata: null,
      }))
      .sort((left, right) => (left.taskId < right.taskId ? -1 : 1));
    if (completions.length === 0) return 0;
    const completed = await completeRuns(hot, this.#boardId, completions);
    if (completed.length !== rows.length)
      throw new Error(`${completed.length} of ${rows.length} were completed`);
    return completed.length;
  }

  #slot(worker: string): Slot {
    return {
      lane: LANE,
      runId: this.#ids.next(this.#boardId),
      worker,
      keyId: 'raw',
      leaseSeconds: 900,
      maxRuntimeSeconds: null,
      noProgressSeconds: null,
    };
  }

  #task(): NewTask {
    return {
      id: this.#ids.next(),
      title: 'a task',
      body: null,
      status: 'ready',
      lane: LANE,
      priority: 0,
      payload: null,
      labels: {},
      backoff: null,
      tenant: null,
      external_ref: null,
      idempotency_key: null,
      traceparent: null,
      max_failures: 2,
      max_runtime_seconds: null,
      no_progress_seconds: null,
      run_at: null,
      blocked_kind: null,
      actor: { type: 'key', id: 'raw' },
      created_by_run: null,
      delegation_id: null,
      delegation_depth: 0,
      is_followed: false,
      is_system: false,
      origin: null,
      unmet_parents: 0,
      parents: [],
    };
  }

  async #counts() {
    const board = await findBoard(this.#database.cold, BOARD);
    if (board === null) throw new Error('the board was made at the start');
    return board;
  }
}

async function makeBoard(sql: Sql): Promise<number> {
  const id = await sql.begin((tx) =>
    insertBoard(tx, BOARD, 'raw', { title: null, description: null, settings: {} }),
  );
  if (id === null) throw new Error('the board was not there a moment ago');
  return id;
}

serveDriver((target) => RawClient.open(target));
