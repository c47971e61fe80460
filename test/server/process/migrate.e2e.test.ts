/** What `lanekeeper migrate --dry-run` looks at stays as it is. */
import { readdir } from 'node:fs/promises';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { runCommand, useDataDir } from '../../fixtures/server-command.ts';
import { buildServer, startServerProcess } from '../../fixtures/server-process.ts';

beforeAll(buildServer);

test('a dry run makes no database in a data dir that is empty, and looks at one beside the server that runs it', async () => {
  const dataDir = await useDataDir();
  const first = await runCommand(dataDir, 'migrate', '--dry-run');
  expect(first).toMatchObject({ code: 0, stderr: '' });
  expect(first.stdout).toMatch(/^Would apply (\d+) of \1 migrations[\s\S]*Nothing was changed/);
  expect(await readdir(dataDir)).toEqual([]);

  const server = await startServerProcess(dataDir);
  onTestFinished(async () => void (await server.stop()));
  expect(await runCommand(dataDir, 'migrate', '--dry-run')).toMatchObject({
    code: 0,
    stderr: '',
    stdout: expect.stringContaining('The schema is current'),
  });
});
