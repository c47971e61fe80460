/**
 * Dispatchers against the server itself: one server and one build for a file, and for each test a board, a directory and
 * dispatchers of its own. So tests of one file may run at the same time: most of each is waiting.
 */
import { mkdtemp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, test as base, beforeAll, type ExpectStatic } from 'vitest';
import { type Client, connect } from '../../../src/client/client.ts';
import type { LaneBody } from '../../../src/contract/lanes.ts';
import { useServerProcess } from '../../fixtures/server-process.ts';
import { buildCli, type Cli, type CliRun, startCli } from '../fixtures/cli-process.ts';

interface Installation {
  readonly cli: Cli;
  readonly url: string;
  readonly adminKey: string;
}

interface Place {
  readonly board: string;
  readonly scratch: string;
}

/** What a test has for itself. */
export class Site {
  /** Of a board of its own. */
  readonly client: Client;
  readonly scratch: string;
  readonly adminKey: string;
  /** The home directory of dispatchers. */
  readonly home: string;
  readonly #installation: Installation;
  readonly #poll: Poll;
  readonly #started: CliRun[] = [];

  private constructor(installation: Installation, poll: Poll, { board, scratch }: Place) {
    this.#poll = poll;
    const { url, adminKey, cli } = installation;
    this.#installation = installation;
    this.client = connect({ url, token: adminKey, board });
    this.scratch = scratch;
    this.adminKey = adminKey;
    this.home = cli.directory;
  }

  static async make(installation: Installation, poll: Poll, board: string): Promise<Site> {
    const scratch = await mkdtemp(join(installation.cli.directory, 'scratch-'));
    const site = new Site(installation, poll, { board, scratch });
    await site.client.boards.put(board, {});
    return site;
  }

  /** Named "test"; in no hurry with what runs only where a test says so. */
  readonly dispatch = (flags: readonly string[] = [], env: Record<string, string> = {}): CliRun => {
    const { cli, adminKey } = this.#installation;
    const run = startCli(cli, ['dispatch', '--name', 'test', '--drain-seconds', '0', ...flags], {
      cwd: this.scratch,
      env: {
        LANEKEEPER_URL: this.client.url,
        LANEKEEPER_TOKEN: adminKey,
        LANEKEEPER_BOARD: this.client.board,
        LANEKEEPER_DATA_DIR: this.scratch,
        ...env,
      },
    });
    this.#started.push(run);
    return run;
  };

  readonly spawnLane = (name: string, spawn: NonNullable<LaneBody['spawn']>) =>
    this.client.lanes.register(name, { kind: 'spawn', spawn });

  readonly addTask = async (lane: string, more: { readonly max_failures?: number } = {}): Promise<string> =>
    (await this.client.tasks.create({ title: `for ${lane}`, lane, ...more })).task.id;

  readonly taskOf = async (id: string) => (await this.client.tasks.get(id)).task;
  readonly statusOf = async (id: string) => (await this.taskOf(id)).status;
  readonly lastRunOf = async (id: string) => (await this.client.tasks.runs(id)).runs.at(-1);
  readonly linesOf = async (id: string) => (await this.client.tasks.output(id)).lines.map(({ text }) => text);

  /** What a process has written into this file of the scratch directory. */
  readonly pidIn = async (name: string): Promise<number> => {
    const read = () => readFile(join(this.scratch, name), 'utf8').then(Number, () => 0);
    await this.#poll(read).toBeGreaterThan(0);
    return read();
  };

  /** Where the dispatcher keeps what it knows of its runs. */
  get runsDirectory(): string {
    return join(this.scratch, 'dispatch', this.client.board, 'test', 'runs');
  }

  async leave(): Promise<void> {
    for (const { child } of this.#started) child.kill('SIGINT');
    await Promise.all(
      this.#started.map(async ({ child, ended }) => {
        // A second press counts from a second after the first.
        const force = setInterval(() => child.kill('SIGINT'), 1_100);
        await ended;
        clearInterval(force);
      }),
    );
  }
}

/** Tests that have a `site`. */
export function useSites() {
  const server = useServerProcess();
  let installation: Installation | undefined;
  beforeAll(async () => {
    installation = { cli: await buildCli(), url: server.url, adminKey: await server.adminKey() };
  });
  // Without one the tests have said why.
  afterAll(() => installation?.cli.remove());
  return base.extend<{ readonly poll: Poll; readonly site: Site }>({
    poll: ({ task }, use) => use(pollOf(task.context.expect)),
    site: async ({ task, poll }, use) => {
      if (installation === undefined) throw new Error('there is no server');
      const site = await Site.make(
        installation,
        poll,
        `board-${task.id.replaceAll('_', '-').replace(/^-/, '')}`,
      );
      await use(site);
      await site.leave();
    },
  });
}

/** Of the test's own `expect`: which test a global one belongs to nobody knows while several run. */
const pollOf = (expect: ExpectStatic) => {
  return <T>(read: () => T) => expect.poll(read, { timeout: 30_000, interval: 50 });
};
type Poll = ReturnType<typeof pollOf>;

export const shell = (script: string, ...rest: string[]) => ['sh', '-c', script, ...rest];
export const node = (script: string) => [process.execPath, '-e', script];

/** Begins a script that ends its own run, as a process should. */
export const COMPLETES = `
  const { LANEKEEPER_URL: url, LANEKEEPER_RUN_ID: run, LANEKEEPER_TOKEN: token } = process.env;
  const headers = { authorization: 'Bearer ' + token, 'content-type': 'application/json' };
  const complete = (body) => fetch(url + '/v1/runs/' + run + '/complete', { method: 'POST', headers, body: JSON.stringify(body) });`;

/** Leaves its pid in a file, and stays. */
export const staysWithPidIn = (file: string) => shell(`echo $$ > ${file}; exec sleep 1000`);
