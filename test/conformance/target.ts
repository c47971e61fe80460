/**
 * What the conformance tests run against: the server that LANEKEEPER_URL and LANEKEEPER_TOKEN name, else one of their own.
 * They use boards with names of their own and delete them, so any server will do; the token must be an admin's for every board.
 */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll } from 'vitest';
import { type CheckedClient, checkedClient } from '../fixtures/checked-client.ts';
import { createTestDatabase } from '../fixtures/database.ts';
import { ADMIN_KEY, startTestServer } from '../fixtures/server.ts';

export interface Target {
  readonly api: CheckedClient;
  as(token: string): CheckedClient;
  /** A board of this file's own: `/v1/boards/…`. */
  readonly board: string;
}

export function useTarget(): Target {
  const name = `conformance-${randomBytes(5).toString('hex')}`;
  let url = process.env['LANEKEEPER_URL'] ?? '';
  let token = process.env['LANEKEEPER_TOKEN'] ?? '';
  let stop = async (): Promise<void> => undefined;
  beforeAll(async () => {
    if (url === '') {
      const database = await createTestDatabase();
      const server = await startTestServer(database.url);
      [url, token] = [server.url, ADMIN_KEY];
      stop = async () => {
        await server.stop();
        await database.drop();
      };
    }
    await checkedClient(url, token).put(`/v1/boards/${name}`);
  });
  afterAll(async () => {
    await checkedClient(url, token).delete(`/v1/boards/${name}`);
    await stop();
  });
  return {
    get api() {
      return checkedClient(url, token);
    },
    as: (other) => checkedClient(url, other),
    board: `/v1/boards/${name}`,
  };
}
