/** Requests that stand behind another one on their connection: when it is cut, Node tells their responses nothing. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import type { TestBoard } from '../../../fixtures/board.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import { ADMIN_KEY } from '../../../fixtures/server.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();

async function connection(board: TestBoard): Promise<Socket> {
  const { port } = new URL(board.server.url);
  const socket = connect(Number(port), '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  return socket;
}

function requestOf(board: TestBoard, path: string, headers = '', method = 'POST'): string {
  const body = method === 'POST' ? '{}' : '';
  const type = `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n`;
  return `${method} ${board.path(path)} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${ADMIN_KEY}\r\n${type}${headers}\r\n${body}`;
}

/** Waits on a lane where nothing comes, so that what is sent behind it has no answer before it. */
const waiting = (board: TestBoard): string => requestOf(board, '/lanes/empty/claims', 'Prefer: wait=60\r\n');

test('claims made behind a long poll are given back when their connection is cut', async () => {
  const [board] = await servers.board();
  await board.lane('empty');
  await board.lane('work');
  const tasks = await board.tasks('work', 12);
  const socket = await connection(board);
  socket.write(waiting(board) + tasks.map(() => requestOf(board, '/lanes/work/claims')).join(''));
  const running = async () => (await board.call('GET', '')).body.board.counts.running;
  await eventually('all are claimed', async () => (await running()) === tasks.length);
  socket.destroy();
  await eventually('all are given back', async () => (await running()) === 0);
  expect(await board.events('&kinds=task.released')).toHaveLength(tasks.length);
});

test('a long poll behind another one ends with its connection, and claims nothing any more', async () => {
  const [board] = await servers.board();
  await board.lane('empty');
  await board.lane('work');
  const waiters = async () => {
    const { body } = await servers.first.call('GET', '/metrics');
    return Number(/^lanekeeper_claim_waiters(?:\{[^}]*\})? (\d+)$/m.exec(body)?.[1]);
  };
  const socket = await connection(board);
  socket.write(waiting(board) + requestOf(board, '/lanes/work/claims', 'Prefer: wait=60\r\n'));
  await eventually('both wait', async () => (await waiters()) === 2);
  socket.destroy();
  // Well before it would look for work by itself.
  await eventually('none waits', async () => (await waiters()) === 0, 3000);
});
