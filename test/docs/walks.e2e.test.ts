/** The commands of every page of the documentation, run as they stand there, each page on a board of its own. */
import { basename, join } from 'node:path';
import { expect, test } from 'vitest';
import { call } from '../fixtures/call.ts';
import { useServerProcess } from '../fixtures/server-process.ts';
import { type Block, pages, readWalk, runWalk } from '../fixtures/walk.ts';

/** A few dozen processes one after the other, while other tests have the machine. */
const WALK_MS_MAX = 180_000;

const server = useServerProcess();

const walks = pages()
  .filter((page) => page !== 'README.md')
  .map((page) => [page, readWalk(page)] as const)
  .filter(([, blocks]) => blocks.length > 0);

/** What a reader has by then: a running server, and how to reach it. */
const PREPARATION = 'URL=http://127.0.0.1:7420\nKEY=$(cat .lanekeeper/admin-key)';

test.each(walks)(
  'the commands of %s work',
  async (page, blocks) => {
    const board = page.replace(/\.md$/, '').replaceAll('/', '-').toLowerCase();
    const token = await server.adminKey();
    expect((await call(server.url, 'PUT', `/v1/boards/${board}`, { token, body: {} })).status).toBe(201);
    const onBoard = (block: Block): Block => ({
      ...block,
      text: block.text
        .replaceAll('/boards/default', `/boards/${board}`)
        .replaceAll('board set default', `board set ${board}`),
    });
    await runWalk({
      server,
      blocks: blocks.map(onBoard),
      directory: join(server.dataDir, `walk-${basename(board)}`),
      preparation: PREPARATION,
      environment: { LANEKEEPER_BOARD: board },
    });
    const { body: log } = await call(server.url, 'GET', `/v1/boards/${board}/events?limit=1000`, { token });
    expect(log.events.map((event: { seq: number }) => event.seq)).toEqual(
      log.events.map((_: unknown, index: number) => index + 1),
    );
  },
  WALK_MS_MAX,
);
