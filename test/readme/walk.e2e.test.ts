/** The README's own commands, run in order by a shell, as a newcomer would type them. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { call } from '../fixtures/server.ts';
import {
  buildServer,
  makeDataDir,
  ROOT,
  type ServerProcess,
  startServerProcess,
} from '../fixtures/server-process.ts';

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

interface Block {
  readonly isBackground: boolean;
  readonly commands: string;
}

async function readBlocks(): Promise<Block[]> {
  const readme = await readFile(join(ROOT, 'README.md'), 'utf8');
  return [...readme.matchAll(/^```sh walk( background)?\n([\s\S]*?)^```$/gm)].map((match) => ({
    isBackground: match[1] !== undefined,
    commands: match[2] ?? '',
  }));
}

/** One shell for all blocks, because later ones use variables of earlier ones; what runs beside it is ended with it. */
function scriptOf(blocks: readonly Block[]): string {
  const steps = blocks.map(({ isBackground, commands }, index) =>
    isBackground
      ? `( ${commands.trim()} ) > "$OUT/background-${index}" 2>&1 &\nPIDS="$PIDS $!"`
      : `${commands}`,
  );
  return ['set -eu', "PIDS=''", ...steps, 'kill -INT $PIDS 2>/dev/null || true'].join('\n');
}

/** Whatever the script left running belongs to its own process group; when nothing is left, there is none. */
function endGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGTERM');
  } catch (error) {
    expect(error).toMatchObject({ code: 'ESRCH' });
  }
}

test(
  'the README walk registers a lane, works 20 tasks, refuses a stranger, has work reviewed, and leaves a log without a gap',
  async () => {
    const blocks = await readBlocks();
    expect(blocks.length).toBeGreaterThanOrEqual(8);
    const script = scriptOf(blocks)
      .replaceAll('http://127.0.0.1:7420', server.url)
      .replaceAll('.lanekeeper/admin-key', join(server.dataDir, 'admin-key'));
    const shell = spawn('bash', ['-c', script], {
      cwd: ROOT,
      env: {
        PATH: process.env['PATH'],
        HOME: server.dataDir,
        LANEKEEPER_DATA_DIR: server.dataDir,
        LANEKEEPER_NO_BUILD: '1',
        OUT: server.dataDir,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    onTestFinished(() => endGroup(shell.pid));
    const chunks: Buffer[] = [];
    shell.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    shell.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
    const [code] = (await once(shell, 'exit')) as [number | null];
    endGroup(shell.pid);
    const output = Buffer.concat(chunks).toString('utf8');
    expect(code, output).toBe(0);

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
    const watched = await readFile(join(server.dataDir, 'background-1'), 'utf8');
    expect(watched.match(/task\.completed/g)?.length ?? 0).toBeGreaterThanOrEqual(20);
  },
  WALK_MS_MAX,
);
