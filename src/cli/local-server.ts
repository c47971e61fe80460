/**
 * The server that runs on this machine out of a data directory, and its admin key. The key is read for that
 * server's own loopback address only: whoever else listens somewhere must never be sent it.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseObject } from '../client/errors.ts';
import type { Environment } from './environment.ts';

export interface LocalServer {
  readonly url: string;
  readonly dataDirectory: string;
  /** Whose the note of it is: its key is read from a file of the same account only. */
  readonly owner: number;
}

export function dataDirectoryOf(env: Environment, workingDirectory: string): string {
  return resolve(workingDirectory, env['LANEKEEPER_DATA_DIR'] || '.lanekeeper');
}

/** The running server of a data directory, as it has noted in server.json; nothing when it has died or is elsewhere. */
export async function findLocalServer(dataDirectory: string): Promise<LocalServer | undefined> {
  const note = await readPlainFile(join(dataDirectory, 'server.json'));
  const { url, pid } = parseObject(note?.text ?? '') ?? {};
  if (note === undefined || typeof url !== 'string' || typeof pid !== 'number') return undefined;
  // A server that was killed cannot take its note back, and anyone may have its port by now.
  if (!isLoopback(url) || !isRunning(pid)) return undefined;
  return { url, dataDirectory, owner: note.owner };
}

export async function readAdminKey({ dataDirectory, owner }: LocalServer): Promise<string | undefined> {
  const file = await readPlainFile(join(dataDirectory, 'admin-key'));
  const key = file?.owner === owner ? file.text.trim() : '';
  return key === '' ? undefined : key;
}

/** Not through a link: one to somebody's key, beside a note of one's own, would have that key sent to whoever wrote the note. */
async function readPlainFile(path: string): Promise<{ text: string; owner: number } | undefined> {
  const file = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0)).catch(() => null);
  if (file === null) return undefined;
  try {
    return { text: await file.readFile('utf8'), owner: (await file.stat()).uid };
  } catch {
    return undefined;
  } finally {
    await file.close();
  }
}

export function isLoopback(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { hostname } = new URL(url);
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

/** As a process that we may signal: any other is not the server whose key we could read, and may have got the number of one that is gone. */
function isRunning(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
