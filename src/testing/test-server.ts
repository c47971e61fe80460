/**
 * `lanekeeper/testing`: a real server for the tests of those who build on Lanekeeper, with its own Postgres or the one of DATABASE_URL. Every
 * call gets a board of its own, so tests see nothing of each other; the server behind it is one per process. Node only.
 */

import { type Client, connect } from '../client/client.ts';
import { UnreachableError } from '../client/errors.ts';
import type { BodyOf, ReplyOf } from '../client/operation-types.ts';
import { randomKey } from '../client/transport.ts';
import { unknownSettings } from './environment.ts';
import { leaseServer } from './server-lease.ts';

/** A database is made and started in about two seconds on an idle machine; a busy one with cold disks may take ten times that. */
const START_TIMEOUT_MS = 60_000;

/** A test leaves some claims behind, not thousands. */
const RECLAIM_WAIT_SECONDS = 20;

export interface TestServerOptions {
  /** A Postgres to use. Default: DATABASE_URL, else one of its own that is thrown away. */
  readonly databaseUrl?: string | undefined;
  /** Settings of the server (`LANEKEEPER_…`). With any, it is a server of this call's own, which ends with `stop`. */
  readonly environment?: Readonly<Record<string, string>> | undefined;
  /** Milliseconds until it must be ready. Default 60,000. */
  readonly startTimeoutMs?: number | undefined;
}

export interface TestLane {
  readonly name: string;
  /** A key of this lane: what its worker is given. */
  readonly key: string;
  /** Speaks with that key, on the board of the test. */
  readonly client: Client;
}

export interface TestServer {
  readonly url: string;
  /** May do everything, on every board. */
  readonly adminKey: string;
  /** The board of this call; `client` and the lanes are on it. */
  readonly board: string;
  /** Speaks with the admin key. */
  readonly client: Client;
  /** Registers a lane and issues a key for it. */
  lane(name: string, settings?: BodyOf<'putLane'>): Promise<TestLane>;
  /** Ends every call, watch and worker of its clients, and deletes the board with all that is on it. Again: the same end. */
  stop(): Promise<void>;
}

/** Starts a server, or makes a board on the one that this process has. Rejects with the reason when it is not ready in time. */
export async function testServer(options: TestServerOptions = {}): Promise<TestServer> {
  const { startTimeoutMs = START_TIMEOUT_MS, databaseUrl, environment } = options;
  for (const name of unknownSettings(environment ?? {})) {
    // biome-ignore lint/suspicious/noConsole: there is no other way to tell whoever runs the tests.
    console.warn(`lanekeeper/testing: the server has no setting ${name}`);
  }
  const { url, adminKey, release } = await leaseServer({ startTimeoutMs, databaseUrl, environment });
  const board = `test-${randomKey()}`;
  const admin = connect({ url, token: adminKey, board });
  const stopping = new AbortController();
  const speaker = (token: string): Client => connect({ url, token, board, signal: stopping.signal });
  try {
    await admin.boards.put(board);
  } catch (error) {
    await release();
    throw error;
  }
  const client = speaker(adminKey);
  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    stopping.abort(new Error('The server for tests was stopped'));
    await deleteBoard(admin, board);
    await release();
  };
  return {
    url,
    adminKey,
    board,
    client,
    lane: async (name, settings) => {
      await client.lanes.register(name, settings);
      const key = secretOf(await client.lanes.createKey(name, { name: 'testing' }));
      return { name, key, client: speaker(key) };
    },
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}

/** The claims that a test left behind would keep the board: they are taken back first. */
async function deleteBoard(admin: Client, board: string): Promise<void> {
  const once = { retry: { attemptsMax: 1 } };
  try {
    await admin.boards.patch(board, { settings: { paused: true } }, once);
    const body = { action: 'reclaim', filter: { status: 'running' } } as const;
    const { operation } = await admin.tasks.bulk(body, once);
    await admin.tasks.operation(operation.id, { ...once, waitSeconds: RECLAIM_WAIT_SECONDS });
    await admin.boards.delete(board, once);
  } catch (error) {
    // A server that a test has killed takes its data along.
    if (!(error instanceof UnreachableError)) throw error;
  }
}

function secretOf({ key, secret }: ReplyOf<'createLaneKey'>): string {
  if (secret === undefined)
    throw new Error(`The answer that held the secret of ${key.id} was lost; try again`);
  return secret;
}
