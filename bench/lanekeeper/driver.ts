/** Our contender: lanes that work over HTTP, each step with the credential that it needs in earnest. */
import type { CycleInput, CycleResult, Driver, DriverTarget, LatencyInput } from '../driver.ts';
import { LatencyProbe, measureWindow, serveDriver } from '../driver.ts';
import { HttpConnection } from './http-connection.ts';

const BOARD = '/v1/boards/bench';
const LANE = `${BOARD}/lanes/factory`;
/** What the API allows in one call. */
const TASKS_PER_BATCH = 1000;
/** Long enough that an idle lane asks rarely, below the contract's 60 s. */
const WAIT_HEADER = 'Prefer: wait=30\r\n';

interface ClaimsAnswer {
  readonly claims: readonly { readonly run_id: string; readonly token: string }[];
}

interface BoardAnswer {
  readonly board: {
    readonly counts: { readonly ready: number; readonly running: number; readonly done: number };
  };
}

class LanekeeperDriver implements Driver {
  readonly #url: string;
  readonly #adminKey: string;
  readonly #admin: HttpConnection;
  readonly #laneKey: string;

  private constructor(target: DriverTarget, admin: HttpConnection, laneKey: string) {
    this.#url = target.url;
    this.#adminKey = target.adminKey;
    this.#admin = admin;
    this.#laneKey = laneKey;
  }

  static async open(target: DriverTarget): Promise<LanekeeperDriver> {
    const admin = await HttpConnection.open(target.url);
    const token = target.adminKey;
    await admin.call({ method: 'PUT', path: BOARD, token, body: {} });
    await admin.call({
      method: 'PUT',
      path: LANE,
      token,
      body: { kind: 'persistent', claim_mode: 'pull-or-watch', allowed_status_mutations: 'own-claimed-only' },
    });
    const key = await admin.call<{ secret: string }>({
      method: 'POST',
      path: `${LANE}/keys`,
      token,
      body: { name: 'bench' },
    });
    return new LanekeeperDriver(target, admin, key.secret);
  }

  async fill(pieces: number): Promise<void> {
    for (let missing = pieces - (await this.#counts()).ready; missing > 0; missing -= TASKS_PER_BATCH) {
      const tasks = Array.from({ length: Math.min(missing, TASKS_PER_BATCH) }, () => ({
        title: 'a task',
        lane: 'factory',
      }));
      await this.#admin.call({
        method: 'POST',
        path: `${BOARD}/tasks/batch`,
        token: this.#adminKey,
        body: { tasks },
      });
    }
  }

  async runCycles(input: CycleInput): Promise<CycleResult> {
    const before = await this.#counts();
    const connections = await this.#openConnections(input.concurrency);
    const progress = { ended: 0, isStopping: false };
    const loops = connections.map(async (connection, index) => {
      while (!progress.isStopping) {
        const run = await this.#claim(connection, `worker-${index}`, '');
        if (run === undefined) return;
        await complete(connection, run);
        progress.ended += 1;
      }
    });
    const all = Promise.all(loops);
    const result = await Promise.race([
      measureWindow(input, before.ready, () => progress.ended),
      // A loop that fails ends the measurement; loops that found nothing left do not.
      all.then(() => new Promise<never>(() => undefined)),
    ]);
    progress.isStopping = true;
    await all;
    for (const connection of connections) connection.close();
    const after = await this.#counts();
    if (after.done - before.done !== progress.ended || after.running !== 0)
      throw new Error(`counted ${progress.ended} cycles, the board says ${after.done - before.done}`);
    return result;
  }

  async sampleLatency(input: LatencyInput): Promise<number[]> {
    await this.#workOff();
    const [connection] = await this.#openConnections(1);
    if (connection === undefined) throw new Error('a connection was opened');
    const probe = new LatencyProbe();
    let isStopping = false;
    let isAsking = deferred();
    const lane = async (): Promise<void> => {
      while (!isStopping) {
        const claiming = this.#claim(connection, 'worker-0', WAIT_HEADER);
        isAsking.resolve();
        const run = await claiming;
        if (run === undefined) continue;
        probe.arrived();
        await complete(connection, run);
      }
    };
    const working = lane().catch((error: unknown) => {
      if (!isStopping) throw error;
    });
    const add = (): Promise<unknown> => {
      isAsking = deferred();
      return this.#admin.call({
        method: 'POST',
        path: `${BOARD}/tasks`,
        token: this.#adminKey,
        body: { title: 'a task', lane: 'factory' },
      });
    };
    try {
      return await Promise.race([
        probe.sample(input, add, () => isAsking.promise),
        working.then(() => new Promise<never>(() => undefined)),
      ]);
    } finally {
      isStopping = true;
      connection.close();
      await working;
    }
  }

  async close(): Promise<void> {
    this.#admin.close();
  }

  async #claim(
    connection: HttpConnection,
    worker: string,
    headers: string,
  ): Promise<ClaimsAnswer['claims'][number] | undefined> {
    const { claims } = await connection.call<ClaimsAnswer>({
      method: 'POST',
      path: `${LANE}/claims`,
      token: this.#laneKey,
      headers,
      body: { worker },
    });
    return claims[0];
  }

  /** An earlier scenario may have left a backlog, which would be handed out first. */
  async #workOff(): Promise<void> {
    const connections = await this.#openConnections(64);
    await Promise.all(
      connections.map(async (connection) => {
        for (;;) {
          const run = await this.#claim(connection, 'cleaner', '');
          if (run === undefined) return;
          await complete(connection, run);
        }
      }),
    );
    for (const connection of connections) connection.close();
  }

  #openConnections(count: number): Promise<HttpConnection[]> {
    return Promise.all(Array.from({ length: count }, () => HttpConnection.open(this.#url)));
  }

  async #counts(): Promise<BoardAnswer['board']['counts']> {
    const answer = await this.#admin.call<BoardAnswer>({ method: 'GET', path: BOARD, token: this.#adminKey });
    return answer.board.counts;
  }
}

async function complete(connection: HttpConnection, run: ClaimsAnswer['claims'][number]): Promise<void> {
  await connection.call({
    method: 'POST',
    path: `/v1/runs/${run.run_id}/complete`,
    token: run.token,
    body: {},
  });
}

function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

serveDriver((target) => LanekeeperDriver.open(target));
