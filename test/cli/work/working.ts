/** Workers against a server that a test can take away: one build for a file, a server and workers of its own for each test. */
import { mkdtemp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, test as base, beforeAll, type ExpectStatic } from 'vitest';
import { buildCli, type Cli, type CliRun, startCli } from '../fixtures/cli-process.ts';
import { FakeLanekeeper } from '../fixtures/fake-lanekeeper.ts';

type Poll = ReturnType<typeof pollOf>;

interface Fixtures {
  readonly poll: Poll;
  readonly fake: FakeLanekeeper;
  /** Of the test alone. */
  readonly directory: string;
  /** A worker of lane factory; its lease is longer than any test unless that says otherwise. */
  readonly work: (
    flags: readonly string[],
    command: readonly string[],
    env?: Record<string, string>,
  ) => CliRun;
  /** What a command has written into this file. */
  readonly pidIn: (path: string) => Promise<number>;
}

/** Tests of workers, which may run at the same time. */
export function useWorkers() {
  let cli: Cli;
  beforeAll(async () => {
    cli = await buildCli();
  });
  afterAll(() => cli.remove());
  return base.extend<Fixtures>({
    poll: ({ task }, use) => use(pollOf(task.context.expect)),
    fake: async ({ task: _ }, use) => {
      const fake = await FakeLanekeeper.start();
      await use(fake);
      await fake.stop();
    },
    directory: async ({ task: _ }, use) => use(await mkdtemp(join(cli.directory, 'scratch-'))),
    work: async ({ fake }, use) => {
      const started: CliRun[] = [];
      await use((flags, command, env = {}) => {
        const run = startCli(cli, ['work', 'factory', '--lease', '600', ...flags, '--', ...command], {
          env: { LANEKEEPER_URL: fake.url, LANEKEEPER_TOKEN: 'lk_lane_key', ...env },
        });
        started.push(run);
        return run;
      });
      for (const { child } of started) child.kill('SIGKILL');
      await Promise.all(started.map((run) => run.ended));
    },
    pidIn: ({ poll }, use) =>
      use(async (path) => {
        const read = () => readFile(path, 'utf8').then(Number, () => 0);
        await poll(read).toBeGreaterThan(0);
        return read();
      }),
  });
}

/** Of the test's own `expect`: which test a global one belongs to nobody knows while several run. */
function pollOf(expect: ExpectStatic) {
  return <T>(read: () => T) => expect.poll(read, { timeout: 30_000, interval: 50 });
}

/** The shortest lease there is makes heartbeats frequent: three a second. */
export const SHORT_LEASE = ['--lease', '1'];

export const node = (script: string) => [process.execPath, '-e', script];
/** Prints a line and then stays. */
export const STAYS = "console.log('here'); setInterval(() => {}, 1000)";
/** Prints a line and exits when the file is there. */
export const staysUntil = (gate: string) =>
  `const { existsSync } = require('fs'); console.log('here');
   setInterval(() => existsSync(${JSON.stringify(gate)}) && process.exit(0), 10)`;
