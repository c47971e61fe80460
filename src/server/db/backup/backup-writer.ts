/** Writes a backup file under a name of its own and gives it its real one when it is complete and on disk: there is never half a backup. */
import { createHash, type Hash, randomBytes } from 'node:crypto';
import { type FileHandle, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { deflateRaw } from 'node:zlib';
import { syncFile } from '../embedded/durable-file.ts';
import { BackupError, isOutOfRoom } from './backup-error.ts';
import {
  countRows,
  encodeRecord,
  type Header,
  MAGIC,
  type Manifest,
  PART_BYTES_MAX,
  PART_LENGTH_BYTES,
  RECORD_TYPES,
  type TableBegin,
} from './records.ts';

const deflate = promisify(deflateRaw);

const OWNER_ONLY = 0o600;
/** The lowest: rows of text shrink to a fifth by it, and the higher ones take several times the processor for a few percent. */
const COMPRESSION_LEVEL = 1;
/** A file that is synced all at once at its end makes the database's own syncs wait for all of it. */
const SYNC_EVERY_BYTES = 8 * 1024 * 1024;
/** What stands between the file's name and the end of a partial's: no two writers have the same, on whatever machine or in whatever container. */
const PARTIAL_END = /^\.[0-9a-f]{1,12}\.partial$/;
/** One that is being written grows by the second. */
const LEFTOVER_AGE_MS = 86_400_000;

export interface WrittenBackup {
  readonly bytes: number;
  readonly sha256: string;
  readonly manifest: Manifest;
}

export class BackupWriter {
  readonly #path: string;
  readonly #partialPath: string;
  readonly #handle: FileHandle;
  readonly #hash: Hash = createHash('sha256');
  readonly #tables: Manifest['tables'] = [];
  #table: { readonly name: string; rows: number; bytes: number } | null = null;
  #bytes = 0;
  #unsyncedBytes = 0;

  private constructor(path: string, partialPath: string, handle: FileHandle) {
    this.#path = path;
    this.#partialPath = partialPath;
    this.#handle = handle;
  }

  /** Refuses a name that is taken, unless it may be replaced; nothing is replaced before the end. */
  static async create(path: string, mayReplace: boolean): Promise<BackupWriter> {
    await refuseTaken(path, mayReplace);
    await removeLeftovers(path);
    const partialPath = `${path}.${randomBytes(6).toString('hex')}.partial`;
    const handle = await open(partialPath, 'wx', OWNER_ONLY).catch((error: unknown) => {
      throw cannotWrite(path, error);
    });
    return new BackupWriter(path, partialPath, handle);
  }

  get bytes(): number {
    return this.#bytes;
  }

  async writeHeader(header: Header): Promise<void> {
    await this.#append(MAGIC);
    await this.#appendJson(RECORD_TYPES.header, header);
  }

  async beginTable(table: TableBegin): Promise<void> {
    this.#table = { name: table.name, rows: 0, bytes: 0 };
    await this.#appendJson(RECORD_TYPES.tableBegin, table);
  }

  /** Some of the table's rows, cut anywhere. */
  async writeRows(rows: Buffer): Promise<void> {
    for (let at = 0; at < rows.length; at += PART_BYTES_MAX)
      await this.#writePart(rows.subarray(at, at + PART_BYTES_MAX));
  }

  async #writePart(part: Buffer): Promise<void> {
    const table = this.#currentTable();
    table.rows += countRows(part);
    table.bytes += part.length;
    const length = Buffer.allocUnsafe(PART_LENGTH_BYTES);
    length.writeUInt32BE(part.length);
    const compressed = await deflate(part, { level: COMPRESSION_LEVEL });
    await this.#append(encodeRecord(RECORD_TYPES.rows, Buffer.concat([length, compressed])));
  }

  async endTable(): Promise<{ readonly rows: number }> {
    const { name, rows, bytes } = this.#currentTable();
    this.#table = null;
    this.#tables.push({ name, rows, bytes });
    await this.#appendJson(RECORD_TYPES.tableEnd, { rows, bytes });
    return { rows };
  }

  #currentTable() {
    if (this.#table === null) throw new Error('rows belong to a table');
    return this.#table;
  }

  /** The backup is complete: it is on disk and has its name when this resolves. */
  async finish(mayReplace: boolean): Promise<WrittenBackup> {
    const manifest = { tables: this.#tables };
    await this.#appendJson(RECORD_TYPES.manifest, manifest);
    const sha256 = this.#hash.digest();
    await this.#write(encodeRecord(RECORD_TYPES.hash, sha256));
    await this.#handle.sync().catch((error: unknown) => {
      throw cannotWrite(this.#path, error);
    });
    await this.#refuseReplaced();
    await this.#handle.close();
    await refuseTaken(this.#path, mayReplace);
    await rename(this.#partialPath, this.#path);
    await syncFile(dirname(this.#path));
    return { bytes: this.#bytes, sha256: sha256.toString('hex'), manifest };
  }

  /** What gets the backup's name must be what was written, not what somebody has put in its place meanwhile. */
  async #refuseReplaced(): Promise<void> {
    const [written, found] = await Promise.all([
      this.#handle.stat({ bigint: true }),
      stat(this.#partialPath, { bigint: true }).catch(() => null),
    ]);
    if (found?.ino === written.ino && found.dev === written.dev) return;
    throw new BackupError(
      `${this.#partialPath}, where the backup was being written, was removed or replaced. There is no backup. Take it again.`,
    );
  }

  /** Leaves nothing behind. */
  async discard(): Promise<void> {
    await this.#handle.close().catch(() => undefined);
    await rm(this.#partialPath, { force: true });
  }

  #appendJson(type: number, value: object): Promise<void> {
    return this.#append(encodeRecord(type, Buffer.from(JSON.stringify(value))));
  }

  async #append(bytes: Buffer): Promise<void> {
    this.#hash.update(bytes);
    await this.#write(bytes);
  }

  async #write(bytes: Buffer): Promise<void> {
    try {
      await this.#handle.writeFile(bytes);
      this.#bytes += bytes.length;
      this.#unsyncedBytes += bytes.length;
      if (this.#unsyncedBytes < SYNC_EVERY_BYTES) return;
      this.#unsyncedBytes = 0;
      await this.#handle.datasync();
    } catch (error) {
      throw cannotWrite(this.#path, error);
    }
  }
}

async function refuseTaken(path: string, mayReplace: boolean): Promise<void> {
  const found = await stat(path).catch(() => null);
  if (found === null) return;
  if (!found.isFile()) throw new BackupError(`${path} is not a file. Name one that can be written.`);
  if (!mayReplace) throw new BackupError(`${path} exists. Name another file, or replace it with --force.`);
}

/** What backups to this file left behind that were killed. By age: a process's number says nothing about another container's. */
async function removeLeftovers(path: string): Promise<void> {
  for (const name of await readdir(dirname(path)).catch(() => [])) {
    if (!name.startsWith(basename(path)) || !PARTIAL_END.test(name.slice(basename(path).length))) continue;
    const partialPath = join(dirname(path), name);
    const found = await stat(partialPath).catch(() => null);
    if (found !== null && Date.now() - found.mtimeMs > LEFTOVER_AGE_MS)
      await rm(partialPath, { force: true });
  }
}

function cannotWrite(path: string, error: unknown): Error {
  if (error instanceof BackupError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return isOutOfRoom(error)
    ? new BackupError(
        `There is no room left for ${path} (${reason}). What had been written of it is removed; free some space, or name a file elsewhere.`,
        { cause: error },
      )
    : new BackupError(`${path} cannot be written: ${reason}.`, { cause: error });
}
