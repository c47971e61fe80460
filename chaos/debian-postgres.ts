/**
 * Postgres nodes from Debian's programs, for what the embedded one cannot do: it carries no pg_basebackup. A node is a data directory and
 * a port that it keeps; a standby is a copy of another node that follows it.
 */
import { existsSync, readdirSync } from 'node:fs';
import { chown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { chooseAccount, type RunAs } from '../src/server/db/embedded/account.ts';
import { openBoundedLog } from '../src/server/db/embedded/bounded-log.ts';
import { findFreePort, LOOPBACK_ADDRESS } from '../src/server/db/embedded/free-port.ts';
import { startPostmaster } from '../src/server/db/embedded/postmaster.ts';
import { watchPostmaster } from '../src/server/db/embedded/postmaster-watch.ts';
import { runToCompletion } from '../src/server/db/embedded/run-to-completion.ts';
import type { PostgresNode } from './cluster.ts';

const PLACE = '/usr/lib/postgresql';
const PROGRAMS = ['postgres', 'initdb', 'pg_basebackup'] as const;
/** The oldest that Lanekeeper supports. */
const MAJOR_MIN = 15;
const OWNER = 'lanekeeper';

export interface DebianPostgres {
  readonly major: number;
  readonly directory: string;
}

/** The newest of those that are installed; null: none is. */
export function findDebianPostgres(): DebianPostgres | null {
  const majors = (existsSync(PLACE) ? readdirSync(PLACE) : []).map(Number).sort((one, other) => other - one);
  const major = majors.find(
    (number) =>
      number >= MAJOR_MIN &&
      PROGRAMS.every((program) => existsSync(join(PLACE, String(number), 'bin', program))),
  );
  return major === undefined ? null : { major, directory: join(PLACE, String(major), 'bin') };
}

export class DebianNodes {
  readonly #postgres: DebianPostgres;
  readonly #directory: string;
  readonly #settings: Readonly<Record<string, string>>;
  readonly #runAs: RunAs;
  #made = 0;

  private constructor(
    postgres: DebianPostgres,
    directory: string,
    settings: Readonly<Record<string, string>>,
    runAs: RunAs,
  ) {
    this.#postgres = postgres;
    this.#directory = directory;
    this.#settings = settings;
    this.#runAs = runAs;
  }

  static async in(
    directory: string,
    postgres: DebianPostgres,
    settings: Readonly<Record<string, string>>,
  ): Promise<DebianNodes> {
    await mkdir(directory, { recursive: true, mode: 0o711 });
    return new DebianNodes(postgres, directory, settings, await chooseAccount());
  }

  /** Empty. Whoever reaches its port may enter: it listens on loopback and holds a test's data. */
  async makePrimary(): Promise<PostgresNode> {
    const clusterDir = await this.#makeDirectory();
    await this.#run('initdb', [
      ...['-D', clusterDir, '-U', OWNER, '--auth=trust', '--no-sync', '--no-instructions'],
      ...['--encoding=UTF8', '--locale=C'],
    ]);
    return this.#open(clusterDir, null);
  }

  /** A copy of the other one as it is now, which follows it. */
  async makeStandby({ url }: PostgresNode): Promise<PostgresNode> {
    const clusterDir = await this.#makeDirectory();
    const { port } = new URL(url);
    await this.#run('pg_basebackup', [
      ...['-D', clusterDir, '-U', OWNER, '-h', LOOPBACK_ADDRESS, '-p', port, '--no-password'],
      ...['--write-recovery-conf', '--wal-method=stream', '--checkpoint=fast', '--no-sync'],
    ]);
    return this.#open(clusterDir, null);
  }

  async #makeDirectory(): Promise<string> {
    this.#made += 1;
    const path = join(this.#directory, `node-${this.#made}`);
    await mkdir(path, { mode: 0o700 });
    if (this.#runAs !== null) await chown(path, this.#runAs.uid, this.#runAs.gid);
    return path;
  }

  async #run(program: 'initdb' | 'pg_basebackup', parameters: readonly string[]): Promise<void> {
    const result = await runToCompletion({
      file: join(this.#postgres.directory, program),
      arguments: [...parameters],
      runAs: this.#runAs,
      signal: undefined,
    });
    if (result.kind === 'failed') throw new Error(`${program}: ${result.reason}`);
  }

  async #open(clusterDir: string, knownPort: number | null): Promise<PostgresNode> {
    const log = await openBoundedLog(`${clusterDir}.log`);
    const postmaster = await startPostmaster({
      binaries: {
        postgres: join(this.#postgres.directory, 'postgres'),
        initdb: join(this.#postgres.directory, 'initdb'),
        version: String(this.#postgres.major),
        major: this.#postgres.major,
      },
      clusterDir,
      runAs: this.#runAs,
      settings: this.#settings,
      choosePort: (attempt) => findFreePort(attempt === 0 ? knownPort : null),
      log,
      signal: undefined,
    });
    const { port } = postmaster;
    return {
      url: `postgres://${OWNER}@${LOOPBACK_ADDRESS}:${port}/postgres`,
      clusterDir,
      ...watchPostmaster(postmaster, clusterDir, () => log.close()),
      reopen: () => this.#open(clusterDir, port),
    };
  }
}
