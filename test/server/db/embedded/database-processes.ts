/**
 * Which processes belong to a cluster: by their working directory, which is the cluster for every process of Postgres,
 * or by naming it on their command line, as the supervisors do. Zombies do not count.
 */
import { execFile } from 'node:child_process';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { promisify } from 'node:util';

import { waitFor } from './wait-for.ts';

export interface DatabaseProcess {
  readonly pid: number;
  readonly command: string;
}

export async function listDatabaseProcesses(clusterDir: string): Promise<DatabaseProcess[]> {
  const all = process.platform === 'linux' ? await readProc() : await readPs();
  return all.filter(({ command, workingDirectory }) => {
    return workingDirectory === clusterDir || (command.includes(clusterDir) && command.includes(' -D '));
  });
}

export async function waitUntilNoProcess(clusterDir: string, millis: number): Promise<void> {
  await waitFor(`no process on ${clusterDir}`, millis, async () => {
    const left = await listDatabaseProcesses(clusterDir);
    return left.length === 0
      ? true
      : { notYet: left.map(({ pid, command }) => `${pid} ${command}`).join('; ') };
  });
}

export async function findPostmaster(clusterDir: string): Promise<number> {
  const text = await readFile(`${clusterDir}/postmaster.pid`, 'utf8');
  return Number.parseInt(text, 10);
}

/** The two shells between a server and its Postgres. */
export async function findSupervisors(clusterDir: string): Promise<number[]> {
  const all = await listDatabaseProcesses(clusterDir);
  return all.filter(({ command }) => command.includes('lanekeeper-supervisor')).map(({ pid }) => pid);
}

/** Linux only. */
export async function listChildren(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'ascii').catch(() => '');
  return text.split(' ').filter(Boolean).map(Number);
}

interface FoundProcess extends DatabaseProcess {
  readonly workingDirectory: string;
}

async function readProc(): Promise<FoundProcess[]> {
  const names = await readdir('/proc');
  const found = await Promise.all(names.filter((name) => /^\d+$/.test(name)).map(readProcEntry));
  return found.flat();
}

async function readProcEntry(pid: string): Promise<FoundProcess[]> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'latin1');
    if (stat.slice(stat.lastIndexOf(')')).startsWith(') Z')) {
      return [];
    }
    const command = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' ').trim();
    const workingDirectory = await readlink(`/proc/${pid}/cwd`).catch(() => '');
    return [{ pid: Number.parseInt(pid, 10), command, workingDirectory }];
  } catch {
    // It ended while we looked.
    return [];
  }
}

async function readPs(): Promise<FoundProcess[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-ww', '-o', 'pid=,stat=,command=']);
  return stdout.split('\n').flatMap((line) => {
    const [, pid, state, command] = /^\s*(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
    if (pid === undefined || command === undefined || state?.startsWith('Z')) {
      return [];
    }
    return [{ pid: Number.parseInt(pid, 10), command, workingDirectory: '' }];
  });
}
