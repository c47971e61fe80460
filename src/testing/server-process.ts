/**
 * A server for tests, as the process of its own that users run too. It ends with this process, whichever way that ends, and does not keep
 * it from ending. Starting the server inside this process was the alternative: it would bring its dependencies, its timers and its signal
 * handlers into every test.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inheritedEnvironment } from './environment.ts';
import type { Order, Report } from './supervisor.ts';

export interface ServerProcess {
  readonly url: string;
  readonly hasEnded: () => boolean;
  /** Resolves once it has ended and its data is gone. */
  end(): Promise<void>;
}

/** The database's account may pass through, so the cluster stays inside, and goes with it; nobody else may list. */
const DATA_DIR_MODE = 0o711;

function packageRoot(): string {
  for (let dir = dirname(fileURLToPath(import.meta.url)); ; dir = dirname(dir)) {
    if (existsSync(join(dir, 'package.json'))) return dir;
    if (dir === dirname(dir)) throw new Error('There is no package.json above lanekeeper/testing');
  }
}

/** Rejects with what the server had to say when it is not ready in time. `settings` are environment variables of the server. */
export async function startServerProcess(
  settings: Readonly<Record<string, string>>,
  startTimeoutMs: number,
): Promise<ServerProcess> {
  const root = packageRoot();
  const supervisor = join(root, 'dist/testing/supervisor.js');
  if (!existsSync(supervisor)) throw new Error(`lanekeeper is not built: there is no ${supervisor}`);
  const dataDir = await mkdtemp(join(tmpdir(), 'lanekeeper-testing-'));
  await chmod(dataDir, DATA_DIR_MODE);
  const child = fork(supervisor, [], {
    // Of its own group: a Ctrl-C in the terminal is the parent's to answer.
    detached: true,
    execArgv: [],
    env: {
      ...inheritedEnvironment(),
      HOST: '127.0.0.1',
      PORT: '0',
      ...settings,
      LANEKEEPER_DATA_DIR: dataDir,
    },
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  const order: Order = { program: join(root, 'bin/lanekeeper.js'), dataDir, startTimeoutMs };
  child.send(order);
  const report = await firstReport(child);
  if ('failure' in report) throw new Error(`The server for tests did not start: ${report.failure}`);
  child.unref();
  child.channel?.unref();
  return {
    url: report.url,
    hasEnded: () => child.exitCode !== null || child.signalCode !== null,
    end: () => endOf(child),
  };
}

function firstReport(child: ChildProcess): Promise<Report> {
  return new Promise((resolve) => {
    // The supervisor sends nothing else.
    child.once('message', (report) => resolve(report as Report));
    child.once('exit', () => resolve({ failure: 'the process that was to start it died' }));
    child.on('error', (error) => resolve({ failure: error.message }));
  });
}

async function endOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.ref();
  const exited = once(child, 'exit');
  if (child.connected) child.disconnect();
  await exited;
}
