/**
 * What the data dir remembers about its cluster: the directory it lives in and the port it had. Written only under the
 * data dir's lock. A record that cannot be read stops the start: guessing would bring up an empty database where the
 * owner expects a full one.
 */
import { readFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';

import { writeDurableFile } from './durable-file.ts';
import { EmbeddedPostgresError, hasErrorCode } from './embedded-postgres-error.ts';

export interface DataDirRecord {
  /** The directory that holds the cluster; null while it is the data dir itself. */
  readonly place: string | null;
  /** False from the choice of the place until the cluster in it is complete. */
  readonly isInitialized: boolean;
  readonly port: number | null;
}

const FILE = 'postgres.json';
const EMPTY_RECORD: DataDirRecord = { place: null, isInitialized: false, port: null };

export async function readRecord(dataDir: string): Promise<DataDirRecord> {
  const path = join(dataDir, FILE);
  try {
    return parseRecord(JSON.parse(await readFile(path, 'utf8')));
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT')) {
      return EMPTY_RECORD;
    }
    throw EmbeddedPostgresError.causedBy(
      error,
      'data_dir_unusable',
      `${path} cannot be read, and it says where this data dir keeps its database. Restore it from a backup; delete it ` +
        'only if the database is in the data dir itself or no longer needed.',
    );
  }
}

export async function writeRecord(dataDir: string, record: DataDirRecord): Promise<void> {
  await writeDurableFile(join(dataDir, FILE), `${JSON.stringify(record, null, 2)}\n`);
}

function parseRecord(value: unknown): DataDirRecord {
  if (typeof value !== 'object' || value === null) {
    throw new TypeError('not an object');
  }
  const { place, isInitialized, port } = value as Partial<Record<keyof DataDirRecord, unknown>>;
  if (place !== null && (typeof place !== 'string' || !isAbsolute(place))) {
    throw new TypeError('place is neither null nor an absolute path');
  }
  return {
    place,
    isInitialized: isInitialized === true,
    port: typeof port === 'number' && Number.isInteger(port) && port > 0 && port <= 65_535 ? port : null,
  };
}
