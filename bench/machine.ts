/** Where and with what a run was made: figures without it say nothing. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Bench } from './bench.ts';
import { findPeersNode } from './parties.ts';
import { findRedisServer } from './redis-server.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly platform: string;
  /** Before the run: other work on the machine shows here. */
  readonly loadAverage: number;
  readonly versions: Readonly<Record<string, string>>;
}

export function describeMachine(bench: Bench): Machine {
  const [first] = cpus();
  return {
    processor: first?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
    loadAverage: loadavg()[0] ?? Number.NaN,
    versions: {
      lanekeeper: [versionIn('../package.json'), ...commit()].join(' '),
      node: process.versions.node,
      postgres: bench.postgresVersion,
      'graphile-worker': versionIn('node_modules/graphile-worker/package.json'),
      'pg-boss': versionIn('node_modules/pg-boss/package.json'),
      BullMQ: versionIn('node_modules/bullmq/package.json'),
      ...redisVersion(),
      'node of the peers': execFileSync(findPeersNode(), ['--version'], { encoding: 'utf8' })
        .trim()
        .replace('v', ''),
    },
  };
}

/** Of the checkout, and whether it holds more; nothing where there is none. */
function commit(): string[] {
  try {
    const args = ['describe', '--always', '--dirty', '--exclude', '*'];
    return [
      execFileSync('git', args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim(),
    ];
  } catch {
    return [];
  }
}

/** Nothing where there is none. */
function redisVersion(): Readonly<Record<string, string>> {
  const program = findRedisServer();
  if (program === null) return {};
  const text = execFileSync(program, ['--version'], { encoding: 'utf8' });
  return { Redis: /v=(\S+)/.exec(text)?.[1] ?? 'unknown' };
}

function versionIn(path: string): string {
  const text = readFileSync(fileURLToPath(new URL(path, import.meta.url)), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
