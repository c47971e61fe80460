/** What `npm pack` makes works where it is installed: the command, the server, the client with its types, the testing entry, in a browser. */
import { type ChildProcess, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import { publint } from 'publint';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkContent } from '../../scripts/release/pack.ts';
import { eventually } from '../fixtures/eventually.ts';
import { ROOT } from '../fixtures/server-process.ts';
import { InstalledPackage } from './installed-package.ts';

/** It makes a database first, on a machine that other tests use too. */
const SERVES_WITHIN_MS = 30_000;

let installed: InstalledPackage;
let server: ChildProcess | undefined;

beforeAll(async () => {
  // With the declarations, which the build of the other tests leaves out.
  if (process.env['LANEKEEPER_NO_BUILD'] !== '1' || !existsSync(join(ROOT, 'dist/types')))
    execFileSync(process.execPath, [join(ROOT, 'scripts/build.mjs'), '--declarations'], { stdio: 'pipe' });
  installed = await InstalledPackage.install();
});
afterAll(async () => {
  if (server !== undefined && server.exitCode === null) {
    server.kill('SIGTERM');
    await once(server, 'exit');
  }
  await installed?.remove();
});

test('the package is well formed, and has nothing in it that nobody needs', async () => {
  const { messages } = await publint({ pkgDir: installed.root, pack: false, strict: true });
  expect(messages).toEqual([]);
  // Throws with what is wrong; the rules have tests of their own.
  expect(checkContent(installed.root, installed.packedBytes, ROOT)).toBeGreaterThan(100);
  expect(existsSync(join(installed.root, 'docs/screenshots'))).toBe(false);
});

test('the command helps, serves and works, and what docs/sdk.md shows runs against it', async () => {
  const help = await installed.run(['help']);
  expect(help).toMatchObject({ code: 0, stdout: expect.stringContaining('lanekeeper serve'), stderr: '' });
  const { stdout } = await installed.run(['--version']);
  expect(stdout.trim()).toBe(installed.manifest.version);

  server = installed.start(['serve']);
  const announced = join(installed.dataDir, 'server.json');
  const text = await eventually(
    'it serves',
    () => readFile(announced, 'utf8').catch(() => null),
    SERVES_WITHIN_MS,
  );
  const { url } = JSON.parse(text) as { url: string };
  expect((await installed.run(['task', 'add', 'try it', '--lane', 'factory'])).code).toBe(0);
  const worked = await installed.run(['work', 'factory', '--register', '--once', '--', 'echo', 'built']);
  expect(worked, worked.stderr).toMatchObject({ code: 0 });

  const token = (await readFile(join(installed.dataDir, 'admin-key'), 'utf8')).trim();
  const page = await readFile(join(ROOT, 'docs/sdk.md'), 'utf8');
  const blocks = [...page.matchAll(/^```js\n([\s\S]*?)^```$/gm)].map(([, block = '']) => block);
  expect(blocks.length).toBeGreaterThan(5);
  await installed.write('tour.mjs', blocks.join('\n'));
  const tour = await installed.node(['tour.mjs'], { LANEKEEPER_URL: url, LANEKEEPER_TOKEN: token });
  expect(tour, tour.stderr).toMatchObject({ code: 0, stderr: '' });
  for (const seen of ['task.created', 'Build 2.0', 'completed ', 'built'])
    expect(tour.stdout).toContain(seen);
});

test('the example of docs/testing.md passes as it stands there, and leaves nothing behind', async () => {
  const page = await readFile(join(ROOT, 'docs/testing.md'), 'utf8');
  const [, example = ''] = /```js\n(\/\/ crawler\.test\.mjs[\s\S]*?)```/.exec(page) ?? [];
  expect(example).toContain('lanekeeper/testing');
  await installed.write('crawler.test.mjs', example);
  const { code, stdout } = await installed.node(['--test', 'crawler.test.mjs']);
  expect(code, stdout).toBe(0);
  expect(stdout).toMatch(/^[ℹ#] pass 1$/m);
  await eventually('its server and files are gone', async () => {
    const names = await readdir(installed.directory);
    return !names.some((name) => name.startsWith('lanekeeper-testing-'));
  });
});

test('a compiler finds the types of every entry, in a browser as on Node', async () => {
  await installed.write(
    'consumer.ts',
    `import { connect, type Task, type Delegation } from 'lanekeeper/client';
    import { testServer, type TestServer } from 'lanekeeper/testing';
    const client = connect({ url: 'http://127.0.0.1:7420', token: 'lk_…' });
    // What a declaration that cannot be found would be, any, lets the marked mistakes pass: then the marks are the errors.
    export async function titles(): Promise<string[]> {
      const found: string[] = [];
      for await (const task of client.tasks.list({ status: ['ready'] })) found.push(task.title);
      const { task }: { task: Task } = await client.tasks.create({ title: 'typed', priority: 1 });
      const { delegation }: { delegation: Delegation } = await client.delegate({ lane: 'qa', goal: 'test' });
      // @ts-expect-error a task has no such field
      await client.tasks.create({ title: 'x', nope: 1 });
      // @ts-expect-error a title is a text
      const wrong: number = task.title;
      return [...found, delegation.id, String(wrong)];
    }
    export const server: Promise<TestServer> = testServer();`,
  );
  await installed.write(
    'tsconfig.json',
    JSON.stringify({
      compilerOptions: {
        ...{ module: 'NodeNext', target: 'ES2022', strict: true, noEmit: true, skipLibCheck: true },
        ...{ lib: ['ES2023', 'DOM', 'DOM.Iterable', 'DOM.AsyncIterable'], types: [] },
      },
      include: ['consumer.ts'],
    }),
  );
  const { code, stdout } = await installed.node([join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', '.']);
  expect([code, stdout]).toEqual([0, '']);
});

test('a bundler for browsers takes the client, whole and alone', async () => {
  await installed.write(
    'page.js',
    `import { connect } from 'lanekeeper/client'; globalThis.client = connect;`,
  );
  const { metafile } = await build({
    absWorkingDir: installed.directory,
    entryPoints: ['page.js'],
    ...{ bundle: true, platform: 'browser', format: 'esm', metafile: true, write: false, logLevel: 'silent' },
  });
  const inputs = Object.keys(metafile.inputs).filter((path) => path !== 'page.js');
  expect(inputs.filter((path) => !path.startsWith('node_modules/lanekeeper/dist/'))).toEqual([]);
  expect(Object.values(metafile.outputs).flatMap((output) => output.imports)).toEqual([]);
});
