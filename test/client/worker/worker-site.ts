/** Boards of a real server on which workers of the SDK are tried. */
import { onTestFinished } from 'vitest';
import { type Client, connect } from '../../../src/client/client.ts';
import type { Handler } from '../../../src/client/worker/handler-run.ts';
import type { TaskAbortedError } from '../../../src/client/worker/task-aborted.ts';
import type { Worker, WorkerOptions } from '../../../src/client/worker/worker.ts';
import { useBench } from '../../fixtures/bench.ts';
import { makeBoard, type TestBoard } from '../../fixtures/board.ts';
import { ADMIN_KEY, type TestServer } from '../../fixtures/server.ts';

/** Over which a worker hears at once of what others do to its claims. */
export const modesWithSocket = ['pull-or-watch', 'push'] as const;

type OpenSite = (lane?: Readonly<Record<string, unknown>>) => Promise<Site>;

/** One server for the tests of the file. */
export function useWorkerSites(): { readonly openSite: OpenSite; readonly url: () => string } {
  const bench = useBench();
  return { openSite: (lane) => openSite(bench.server, lane), url: () => bench.server.url };
}

interface Site {
  readonly board: TestBoard;
  readonly client: Client;
  /** Runs until the test is over, if it has not been stopped by then. */
  readonly start: (handler: Handler, options?: Partial<WorkerOptions>) => Started;
}

interface Started {
  readonly worker: Worker;
  readonly ended: Promise<unknown>;
  readonly log: string[];
}

async function openSite(server: TestServer, lane: Readonly<Record<string, unknown>> = {}): Promise<Site> {
  const board = await makeBoard(server);
  await board.lane('work', lane);
  const client = connect({ url: server.url, token: ADMIN_KEY, board: board.name });
  const start: Site['start'] = (handler, options = {}) => {
    const log: string[] = [];
    const logger = { info: (text: string) => log.push(text), warn: (text: string) => log.push(text) };
    const worker = client.worker({ lane: 'work', logger, ...options }, handler);
    const ended = worker.run().then(
      () => 'ended',
      (error: unknown) => error,
    );
    onTestFinished(() => worker.stop({ hard: true }));
    return { worker, ended, log };
  };
  return { board, client, start };
}

export function promised<T = void>() {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((yes) => {
    resolve = yes;
  });
  return { promise, resolve };
}

export const aborted = (signal: AbortSignal): Promise<TaskAbortedError> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve(signal.reason);
    signal.addEventListener('abort', () => resolve(signal.reason));
  });
