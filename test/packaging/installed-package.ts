/**
 * The package as users get it: packed, unpacked into an empty project, with the dependencies that it declares and no other. They are linked
 * from here instead of downloaded; one that is used and not declared is missing, as it would be elsewhere.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from '../fixtures/server-process.ts';

interface Manifest {
  readonly version: string;
  readonly bin: { readonly lanekeeper: string };
  readonly dependencies: Readonly<Record<string, string>>;
  readonly optionalDependencies: Readonly<Record<string, string>>;
}

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class InstalledPackage {
  /** The project that has installed it. */
  readonly directory: string;
  readonly manifest: Manifest;
  readonly packedBytes: number;

  private constructor(directory: string, manifest: Manifest, packedBytes: number) {
    this.directory = directory;
    this.manifest = manifest;
    this.packedBytes = packedBytes;
  }

  static async install(): Promise<InstalledPackage> {
    // Its real path: what is started there finds itself by it.
    const directory = await realpath(await mkdtemp(join(tmpdir(), 'lanekeeper-installed-')));
    // As a person's own directory: the database's account may pass through.
    await chmod(directory, 0o711);
    // The build has been made: packing must not make it again under the other tests.
    const flags = ['--ignore-scripts', '--json', '--pack-destination', directory];
    const { stdout } = await promisify(execFile)('npm', ['pack', ...flags], { cwd: ROOT });
    const [{ filename, size }] = JSON.parse(stdout) as [{ filename: string; size: number }];
    const target = join(directory, 'node_modules/lanekeeper');
    await mkdir(target, { recursive: true });
    const unpack = ['-xzf', join(directory, filename), '--strip-components=1', '-C', target];
    await promisify(execFile)('tar', unpack);
    const manifest = JSON.parse(await readFile(join(target, 'package.json'), 'utf8')) as Manifest;
    for (const name of Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies }))
      await link(join(ROOT, 'node_modules', name), join(directory, 'node_modules', name));
    await link(join(target, manifest.bin.lanekeeper), join(directory, 'node_modules/.bin/lanekeeper'));
    await writeFile(
      join(directory, 'package.json'),
      '{"name": "somebody", "private": true, "type": "module"}',
    );
    return new InstalledPackage(directory, manifest, size);
  }

  get root(): string {
    return join(this.directory, 'node_modules/lanekeeper');
  }

  get dataDir(): string {
    return join(this.directory, '.lanekeeper');
  }

  /** The command that npm puts there, in the directory of the project. */
  start(args: readonly string[]): ChildProcess {
    return this.#spawn(join(this.directory, 'node_modules/.bin/lanekeeper'), args);
  }

  run(args: readonly string[]): Promise<Ended> {
    return endOf(this.start(args));
  }

  node(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Ended> {
    return endOf(this.#spawn(process.execPath, args, environment));
  }

  /** A file of the project. */
  async write(name: string, text: string): Promise<void> {
    await writeFile(join(this.directory, name), text);
  }

  remove(): Promise<void> {
    return rm(this.directory, { recursive: true, force: true, maxRetries: 3 });
  }

  #spawn(
    command: string,
    args: readonly string[],
    environment: Readonly<Record<string, string>> = {},
  ): ChildProcess {
    return spawn(command, args, {
      cwd: this.directory,
      // Nothing of this checkout is in it.
      env: {
        PATH: `${dirname(process.execPath)}:${process.env['PATH']}`,
        HOME: this.directory,
        TMPDIR: this.directory,
        PORT: '0',
        NO_COLOR: '1',
        ...environment,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }
}

async function link(target: string, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await symlink(target, path);
}

async function endOf(child: ChildProcess): Promise<Ended> {
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    stdout += chunk.toString('utf8');
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString('utf8');
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}
