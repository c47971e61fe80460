// The whole demo as one object, for `npm run demo` and for the screenshots.

import { connect } from 'lanekeeper/client';
import { startDemoServer } from './demo-server.mjs';
import { startLanes } from './lane-workers.mjs';
import { beginWork, keepAlive } from './life.mjs';

/**
 * @typedef {object} Demo
 * @property {string} url
 * @property {string} adminKey
 * @property {string} adminKeyFile
 * @property {import('lanekeeper/client').Client} client speaks as admin of the board
 * @property {() => Promise<string>} createSignInLink
 * @property {() => Promise<void>} stop
 */

/**
 * @param {{ port: number | null }} options see startDemoServer
 * @returns {Promise<Demo>} once the lanes work and the first tasks are there
 */
export async function startDemo(options) {
  const server = await startDemoServer(options);
  const ending = new AbortController();
  const client = connect({ url: server.url, token: server.adminKey });
  /** @type {Promise<unknown>[]} */
  const running = [];
  const stop = async () => {
    ending.abort();
    await Promise.allSettled(running);
    await server.stop();
  };
  try {
    await client.boards.patch(client.board, { title: 'An atlas of lighthouses' });
    await client.keys.create({ role: 'observer', name: 'the screen in the hall' });
    await client.keys.create({ role: 'orchestrator', name: 'the newsroom' });
    running.push(...(await startLanes(client, ending.signal)));
    await beginWork(client);
    running.push(keepAlive(client, ending.signal));
  } catch (error) {
    await stop();
    throw error;
  }
  const createSignInLink = async () => (await client.keys.createSignInCode()).url;
  const { url, adminKey, adminKeyFile } = server;
  return { url, adminKey, adminKeyFile, client, createSignInLink, stop };
}
