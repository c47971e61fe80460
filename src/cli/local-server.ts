/**
 * The server that runs on this machine out of a data directory, and its admin key. The key is read for that
 * server's own loopback address only: whoever else listens somewhere must never be sent it.
 */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseObject } from '../client/errors.ts';
import type { Environment } from './environment.ts';

export interface LocalServer {
  readonly url: string;
  readonly dataDirectory: string;
}

export function dataDirectoryOf(env: Environment, workingDirectory: string): string {
  return resolve(workingDirectory, env['LANEKEEPER_DATA_DIR'] || '.lanekeeper');
}

/** The running server of a data directory, as it has noted in server.json; nothing when it has died or is elsewhere. */
export async function findLocalServer(dataDirectory: string): Promise<LocalServer | undefined> {
  const text = await readFile(join(dataDirectory, 'server.json'), 'utf8').catch(() => '');
  const noted = parseObject(text);
  const { url, pid } = noted ?? {};
  if (typeof url !== 'string' || typeof pid !== 'number') return undefined;
  // A server that was killed cannot take its note back, and anyone may have its port by now.
  if (!isLoopback(url) || !isRunning(pid)) return undefined;
  return { url, dataDirectory };
}

export async function readAdminKey(server: LocalServer): Promise<string | undefined> {
  const text = await readFile(join(server.dataDirectory, 'admin-key'), 'utf8').catch(() => '');
  return text.trim() === '' ? undefined : text.trim();
}

export function isLoopback(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { hostname } = new URL(url);
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

function isRunning(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // EPERM: it runs, as somebody else.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
