/** The commands as an operator runs them, on the server's own Postgres: beside a server and without one, and killed in the middle. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import postgres from 'postgres';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { connect } from '../../../src/client/client.ts';
import { eventually } from '../../fixtures/eventually.ts';
import { runCommand, startCommand, useDataDir } from '../../fixtures/server-command.ts';
import { buildServer, type ServerProcess, startServerProcess } from '../../fixtures/server-process.ts';

beforeAll(buildServer);

/** What takes more than some seconds on a busy machine says how far it is. */
const quiet = expect.stringMatching(/^((check|backup|restore) \d+ %.*\n)*$/);

async function useServer(dataDir: string): Promise<ServerProcess> {
  const server = await startServerProcess(dataDir);
  onTestFinished(async () => void (await server.stop()));
  return server;
}

async function titlesOf(server: ServerProcess): Promise<string[]> {
  const client = connect({ url: server.url, token: await server.adminKey() });
  const { tasks } = await client.tasks.list();
  return tasks.map(({ title }) => title).sort();
}

/** Databases of the cluster, while something runs it. Null: nothing does yet. */
async function databasesOf(dataDir: string): Promise<string[] | null> {
  const { port } = JSON.parse(await readFile(join(dataDir, 'postgres.json'), 'utf8')) as { port: number };
  const password = (await readFile(join(dataDir, 'postgres.password'), 'utf8')).trim();
  const sql = postgres(`postgres://lanekeeper:${password}@127.0.0.1:${port}/postgres`, { max: 1 });
  try {
    return (await sql`SELECT datname FROM pg_database`).map(({ datname }) => datname);
  } catch {
    return null;
  } finally {
    await sql.end({ timeout: 1 });
  }
}

test('a backup beside the running server is restored in its place with what was there kept aside, and a killed restore changes nothing', async () => {
  const dataDir = await useDataDir();
  const server = await useServer(dataDir);
  const client = connect({ url: server.url, token: await server.adminKey() });
  await client.tasks.create({ title: 'before the backup' });
  const file = join(dataDir, 'lanes.backup');
  const taken = await runCommand(dataDir, 'backup', file, '--json');
  expect(taken).toMatchObject({ code: 0, stderr: quiet });
  expect(JSON.parse(taken.stdout)).toMatchObject({ file, boards: 1, left_out: [], tables: { tasks: 1 } });
  expect((await runCommand(dataDir, 'backup', file)).stderr).toContain(`${file} exists`);
  expect(await runCommand(dataDir, 'restore', file, '--check')).toMatchObject({
    code: 0,
    stderr: quiet,
    stdout: expect.stringContaining('is whole: 1 board,'),
  });
  await client.tasks.create({ title: 'after the backup' });

  const refused = await runCommand(dataDir, 'restore', file, '--replace');
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('already runs its database in') });
  await server.stop();
  expect(await runCommand(dataDir, 'restore', file)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('Nothing was changed.'),
  });

  const killed = startCommand(dataDir, ['restore', file, '--replace']);
  await eventually('the new database is being filled', async () =>
    (await databasesOf(dataDir))?.includes('lanekeeper_restoring'),
  );
  killed.child.kill('SIGKILL');
  await killed.ended;
  const untouched = await useServer(dataDir);
  expect(await titlesOf(untouched)).toEqual(['after the backup', 'before the backup']);
  await untouched.stop();

  const restored = await runCommand(dataDir, 'restore', file, '--replace');
  expect(restored).toMatchObject({ code: 0, stderr: quiet });
  expect(restored.stdout).toContain('is kept as the database lanekeeper_before_restore');
  const past = await useServer(dataDir);
  expect(await titlesOf(past)).toEqual(['before the backup']);
  expect((await databasesOf(dataDir))?.filter((name) => name.startsWith('lanekeeper')).sort()).toEqual([
    'lanekeeper',
    'lanekeeper_before_restore',
  ]);
  await past.stop();
  expect(await runCommand(dataDir, 'restore', '--undo')).toMatchObject({ code: 0, stderr: quiet });
  const undone = await useServer(dataDir);
  expect(await titlesOf(undone)).toEqual(['after the backup', 'before the backup']);
  await undone.stop();

  // Without a server it is started for as long as it is read; and a data dir without a database needs no --replace.
  const second = join(dataDir, 'second.backup');
  expect(await runCommand(dataDir, 'backup', second)).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/are in it as they are.*\n.*also holds the keys/),
  });
  const elsewhere = await useDataDir();
  expect(await runCommand(elsewhere, 'restore', second)).toMatchObject({ code: 0, stderr: quiet });
  expect(await titlesOf(await useServer(elsewhere))).toEqual(['after the backup', 'before the backup']);
});

test('a damaged file, or no database, is refused before anything is made', async () => {
  const dataDir = await useDataDir();
  const file = join(dataDir, 'lanes.backup');
  await writeFile(file, 'LANEKEEPER BACKUP 1\nh');
  expect(await runCommand(dataDir, 'restore', file)).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/is not whole/),
  });
  expect((await runCommand(dataDir, 'backup', join(dataDir, 'other'))).stderr).toContain(
    'There is no database in',
  );
  expect((await runCommand(dataDir, 'backup')).code).toBe(2);
  expect((await runCommand(dataDir, 'restore', file, '--undo')).code).toBe(2);
  expect((await runCommand(dataDir, 'backup', file, '--forced')).code).toBe(2);
  expect(await readdir(dataDir)).toEqual(['lanes.backup']);
});

test('an interrupted backup ends with 130 and leaves nothing', async () => {
  const dataDir = await useDataDir();
  const server = await useServer(dataDir);
  const client = connect({ url: server.url, token: await server.adminKey() });
  // Two megabytes for each second that the pace allows none: far more than passes before the signal.
  for (let batch = 0; batch < 8; batch += 1)
    await client.tasks.createBatch(
      Array.from({ length: 100 }, () => ({
        title: 'large',
        status: 'triage' as const,
        body: 'x'.repeat(60_000),
      })),
    );
  const directory = await useDataDir();
  const file = join(directory, 'lanes.backup');
  const { child, ended } = startCommand(dataDir, ['backup', file]);
  await eventually('it is being written', async () => (await readdir(directory)).length > 0);
  child.kill('SIGINT');
  expect(await ended).toMatchObject({ code: 130, stderr: expect.stringContaining('interrupted') });
  expect(await readdir(directory)).toEqual([]);
});
