/**
 * What the conformance tests run against: the server that LANEKEEPER_URL and LANEKEEPER_TOKEN name, else one of their own.
 * They use boards with names of their own and delete them, so any server will do; the token must be an admin's for every board.
 */
import { afterAll, beforeAll } from 'vitest';
import { type CheckedClient, checkedClient } from '../fixtures/checked-client.ts';
import { createTestDatabase } from '../fixtures/database.ts';
import { ADMIN_KEY, startTestServer } from '../fixtures/server.ts';

export interface Target {
  readonly url: string;
  readonly token: string;
  readonly api: CheckedClient;
}

export function useTarget(): Target {
  let url = process.env['LANEKEEPER_URL'] ?? '';
  let token = process.env['LANEKEEPER_TOKEN'] ?? '';
  let stop = async (): Promise<void> => undefined;
  beforeAll(async () => {
    if (url !== '') return;
    const database = await createTestDatabase();
    const server = await startTestServer(database.url);
    [url, token] = [server.url, ADMIN_KEY];
    stop = async () => {
      await server.stop();
      await database.drop();
    };
  });
  afterAll(() => stop());
  return {
    get url() {
      return url;
    },
    get token() {
      return token;
    },
    get api() {
      return checkedClient(url, token);
    },
  };
}
