/** The README's own commands, run in order by a shell, as a newcomer would type them. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { call } from '../fixtures/server.ts';
import {
  buildServer,
  makeDataDir,
  type ServerProcess,
  startServerProcess,
} from '../fixtures/server-process.ts';
import { readWalk, runWalk } from '../fixtures/walk.ts';

let server: ServerProcess;
let removeDataDir: () => Promise<void>;

beforeAll(async () => {
  buildServer();
  const dataDir = await makeDataDir();
  removeDataDir = dataDir.remove;
  server = await startServerProcess(dataDir.path);
});
afterAll(async () => {
  await server?.stop();
  await removeDataDir?.();
});

/** Some fifty processes one after the other, each of which takes a second while other tests have the machine. */
const WALK_MS_MAX = 300_000;

test(
  'the README walk registers a lane, works 20 tasks, refuses a stranger, has work reviewed, and leaves a log without a gap',
  async () => {
    const blocks = readWalk('README.md');
    expect(blocks.length).toBeGreaterThanOrEqual(8);
    const directory = join(server.dataDir, 'walk');
    const output = await runWalk({ server, blocks, directory });

    const token = await server.adminKey();
    const { body: done } = await call(
      server.url,
      'GET',
      '/v1/boards/default/tasks?lane=factory&status=done',
      {
        token,
      },
    );
    expect(done.tasks).toHaveLength(20);
    expect(
      done.tasks.every((task: { summary: string; id: string }) => task.summary.includes(`built ${task.id}`)),
    ).toBe(true);
    expect(output).toContain('claim_token_required');
    expect(output).toContain('claim_lost');
    // `task messages`, `task output` and the stream of server-sent events.
    expect(output).toMatch(/acknowledged.*that will do/);
    expect(output).toContain('"text":"that will do"}');
    expect(output).toContain('event: task.steered');
    // The review that sends work back, the person that accepts it, and the child that was waiting.
    expect(output).toMatch(/What the review asks for\s+> the tests are missing/);
    expect(output).toMatch(/review_waiting .*accept/);
    expect(output).toMatch(/Tasks that this one builds on[\s\S]*built, with tests/);
    const { body: built } = await call(server.url, 'GET', '/v1/boards/default/tasks?lane=builder', { token });
    expect(
      built.tasks.map((task: { external_ref: string; status: string }) => [task.external_ref, task.status]),
    ).toEqual([
      ['sweep', 'cancelled'],
      ['ship', 'ready'],
      ['build', 'done'],
    ]);
    const { body: byHand } = await call(server.url, 'GET', '/v1/boards/default/tasks?lane=by-hand', {
      token,
    });
    expect(byHand.tasks[0]).toMatchObject({ status: 'done', summary: 'done by hand' });
    const { body: log } = await call(server.url, 'GET', '/v1/boards/default/events?limit=1000', { token });
    expect(log.events.map((event: { seq: number }) => event.seq)).toEqual(
      log.events.map((_: unknown, index: number) => index + 1),
    );
    const watched = await readFile(join(directory, 'background-1'), 'utf8');
    expect(watched.match(/task\.completed/g)?.length ?? 0).toBeGreaterThanOrEqual(20);
  },
  WALK_MS_MAX,
);
