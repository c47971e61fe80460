/** An empty project that installs the package from its file, as a user's npm does, and tries what users do first. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

/** A first start makes a database. */
const READY_WITHIN_MS = 60_000;
const LOOK_INTERVAL_MS = 50;
/** A server says that it ends within 5 s. */
const STOPPED_WITHIN_MS = 10_000;
/** Of one command. The slowest is the installation. */
const COMMAND_MS_MAX = 300_000;
const BACKUP = 'lanes.backup';

/** Uses every entry of the package; a declaration that is not found would let the marked mistake pass, which is an error then. */
const CONSUMER = `import { connect, type Task } from 'lanekeeper/client';
import { testServer, type TestServer } from 'lanekeeper/testing';
export async function first(url: string, token: string): Promise<string> {
  const { task }: { task: Task } = await connect({ url, token }).tasks.create({ title: 'typed' });
  // @ts-expect-error a title is a text
  const wrong: number = task.title;
  return String(wrong);
}
export const server: () => Promise<TestServer> = () => testServer();
`;
const COMPILER_OPTIONS = {
  ...{ module: 'NodeNext', target: 'ES2022', strict: true, noEmit: true, skipLibCheck: true },
  ...{ lib: ['ES2023', 'DOM', 'DOM.Iterable', 'DOM.AsyncIterable'], types: [] },
};

export class InstalledProject {
  readonly #directory: string;
  #server: ChildProcess | null = null;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** From npm's cache where it has the dependencies, else from the registry. */
  async install(tarball: string): Promise<void> {
    mkdirSync(this.#directory, { recursive: true });
    // The account of the embedded database passes through both, so the cluster stays inside, and goes with it.
    for (const path of [dirname(this.#directory), this.#directory]) chmodSync(path, 0o711);
    this.#write(
      'package.json',
      '{"name": "somebody", "version": "1.0.0", "private": true, "type": "module"}',
    );
    // With the caller's cache and registry, which are settings of his account.
    await this.#run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', tarball], process.env);
  }

  async checkVersion(version: string): Promise<void> {
    const said = (await this.#lanekeeper(['--version'])).trim();
    if (said !== version) throw new Error(`lanekeeper --version says ${said}, not ${version}`);
  }

  async startServer(): Promise<string> {
    this.#server = spawn(this.#command, ['serve'], {
      cwd: this.#directory,
      env: this.#environment,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const announced = join(this.#directory, '.lanekeeper/server.json');
    for (const deadline = performance.now() + READY_WITHIN_MS; performance.now() < deadline; ) {
      if (existsSync(announced)) return (JSON.parse(readFileSync(announced, 'utf8')) as { url: string }).url;
      if (this.#server.exitCode !== null) throw new Error(`the server ended with ${this.#server.exitCode}`);
      await delay(LOOK_INTERVAL_MS);
    }
    throw new Error(`the server was not ready within ${READY_WITHIN_MS / 1000} s`);
  }

  /** A lane, a task, a worker, and the task done. */
  async workTask(): Promise<void> {
    await this.#lanekeeper(['lane', 'register', 'factory']);
    await this.#lanekeeper(['task', 'add', 'try it', '--lane', 'factory']);
    await this.#lanekeeper(['work', 'factory', '--once', '--', 'echo', 'built']);
    const listed = await this.#lanekeeper([
      'task',
      'list',
      '--lane',
      'factory',
      '--status',
      'done',
      '--json',
    ]);
    const found: unknown = JSON.parse(listed);
    if (!JSON.stringify(found).includes('"try it"')) throw new Error(`no task is done: ${listed}`);
  }

  /** What a browser asks for first. */
  async checkPages(url: string): Promise<void> {
    for (const path of ['/', '/docs', '/openapi.json', '/asyncapi.json', '/readyz']) {
      const { status } = await fetch(new URL(path, url));
      if (status !== 200) throw new Error(`GET ${path} is answered ${status}`);
    }
  }

  /** @param compiler path of tsc */
  async checkTypes(compiler: string): Promise<void> {
    this.#write('consumer.ts', CONSUMER);
    this.#write(
      'tsconfig.json',
      JSON.stringify({ compilerOptions: COMPILER_OPTIONS, include: ['consumer.ts'] }),
    );
    await this.#run(process.execPath, [compiler, '-p', '.']);
  }

  async useClient(url: string): Promise<void> {
    this.#write(
      'use.mjs',
      `import { connect } from 'lanekeeper/client';
const client = connect({ url: process.argv[2], token: process.env.TOKEN });
const { task } = await client.tasks.create({ title: 'by the SDK', lane: 'factory' });
if ((await client.tasks.get(task.id)).task.title !== 'by the SDK') throw new Error('another task');\n`,
    );
    const token = readFileSync(join(this.#directory, '.lanekeeper/admin-key'), 'utf8').trim();
    await this.#run(process.execPath, ['use.mjs', url], { TOKEN: token });
  }

  /** Beside the running server; the file is then read as a restore would. */
  async backUp(): Promise<string> {
    await this.#lanekeeper(['backup', BACKUP]);
    const checked = await this.#lanekeeper(['restore', BACKUP, '--check', '--json']);
    const { tables } = JSON.parse(checked) as { tables: Readonly<Record<string, number>> };
    const tasks = tables['tasks'] ?? 0;
    if (tasks === 0) throw new Error(`no task is in the backup: ${checked}`);
    return `${tasks} tasks in it`;
  }

  /** As Ctrl-C does, and it must end well. */
  async stopServer(): Promise<void> {
    const server = this.#server;
    if (server === null || server.exitCode !== null) return;
    const exited = once(server, 'exit', { signal: AbortSignal.timeout(STOPPED_WITHIN_MS) });
    server.kill('SIGTERM');
    const [code] = (await exited) as [number | null];
    if (code !== 0) throw new Error(`the server ended with ${code}`);
  }

  /** Also after a step that failed. */
  async end(): Promise<void> {
    const server = this.#server;
    if (server === null || server.exitCode !== null || server.signalCode !== null) return;
    const exited = once(server, 'exit');
    server.kill('SIGTERM');
    const gaveUp = setTimeout(() => server.kill('SIGKILL'), STOPPED_WITHIN_MS);
    await exited;
    clearTimeout(gaveUp);
  }

  get #command(): string {
    return join(this.#directory, 'node_modules/.bin/lanekeeper');
  }

  /** Nothing of the checkout is in it. */
  get #environment(): NodeJS.ProcessEnv {
    return {
      PATH: `${dirname(process.execPath)}:${process.env['PATH']}`,
      HOME: this.#directory,
      PORT: '0',
      NO_COLOR: '1',
      LANEKEEPER_LOG_LEVEL: 'warn',
      LANEKEEPER_DATA_DIR: join(this.#directory, '.lanekeeper'),
    };
  }

  #lanekeeper(args: readonly string[]): Promise<string> {
    return this.#run(this.#command, args);
  }

  async #run(command: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<string> {
    const options = { cwd: this.#directory, timeout: COMMAND_MS_MAX };
    const env = { ...this.#environment, ...environment };
    try {
      return (await promisify(execFile)(command, [...args], { ...options, env })).stdout;
    } catch (error) {
      const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
      throw new Error(`${command} ${args.join(' ')} failed:\n${stdout}${stderr}`, { cause: error });
    }
  }

  #write(name: string, text: string): void {
    writeFileSync(join(this.#directory, name), text);
  }
}
