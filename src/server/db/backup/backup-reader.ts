/**
 * Reads a backup file from its first byte to its last and gives out what is in it, each part checked before it is given out. The file is
 * not trusted: lengths are bounded before anything is allocated, compressed parts may not grow beyond the length that they name, and what
 * comes in another order than a writer's is refused.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { promisify } from 'node:util';
import { crc32, inflateRaw } from 'node:zlib';
import type { z } from 'zod';
import { BackupError } from './backup-error.ts';
import {
  CRC_BYTES,
  countRows,
  HASH_BYTES,
  Header,
  judgeMagic,
  MAGIC,
  Manifest,
  PART_BYTES_MAX,
  PART_LENGTH_BYTES,
  PAYLOAD_BYTES_MAX,
  RECORD_FRAME_BYTES,
  RECORD_TYPES,
  TableBegin,
  TableEnd,
} from './records.ts';

const inflate = promisify(inflateRaw);

export type BackupItem =
  | { readonly kind: 'header'; readonly header: Header }
  | { readonly kind: 'table'; readonly table: TableBegin }
  | { readonly kind: 'rows'; readonly rows: Buffer; readonly fileBytes: number }
  | { readonly kind: 'tableEnd'; readonly end: TableEnd }
  /** Everything was there and as it was written. */
  | { readonly kind: 'whole'; readonly manifest: Manifest; readonly sha256: string };

interface RawRecord {
  readonly type: number;
  readonly payload: Buffer;
  /** All of it, as it is in the file. */
  readonly raw: Buffer;
}

/**
 * Whoever reads to the item `whole` has read a whole backup.
 * @throws BackupError where the file is not as it was written
 */
export async function* readBackup(path: string): AsyncGenerator<BackupItem, void> {
  const handle = await open(path, 'r').catch((error: unknown) => {
    throw new BackupError(
      `${path} cannot be read: ${error instanceof Error ? error.message : String(error)}.`,
    );
  });
  try {
    yield* new BackupReader(path, handle).items();
  } finally {
    await handle.close();
  }
}

class BackupReader {
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #hash = createHash('sha256');
  readonly #tables: Manifest['tables'] = [];
  #position = 0;

  constructor(path: string, handle: FileHandle) {
    this.#path = path;
    this.#handle = handle;
  }

  async *items(): AsyncGenerator<BackupItem, void> {
    await this.#readMagic();
    yield { kind: 'header', header: this.#parse(Header, await this.#expect('header')) };
    for (;;) {
      const record = await this.#next();
      if (record.type === RECORD_TYPES.manifest) {
        yield await this.#finish(this.#parse(Manifest, record));
        return;
      }
      if (record.type !== RECORD_TYPES.tableBegin) throw this.#damaged('its parts are out of order');
      yield* this.#table(this.#parse(TableBegin, record));
    }
  }

  async *#table(table: TableBegin): AsyncGenerator<BackupItem, void> {
    if (this.#tables.some(({ name }) => name === table.name))
      throw this.#damaged(`the table ${table.name} is in it twice`);
    yield { kind: 'table', table };
    let rowCount = 0;
    let bytes = 0;
    for (;;) {
      const record = await this.#next();
      if (record.type === RECORD_TYPES.rows) {
        const rows = await this.#inflate(record.payload);
        rowCount += countRows(rows);
        bytes += rows.length;
        yield { kind: 'rows', rows, fileBytes: this.#position };
        continue;
      }
      if (record.type !== RECORD_TYPES.tableEnd) throw this.#damaged('its parts are out of order');
      const end = this.#parse(TableEnd, record);
      if (end.rows !== rowCount || end.bytes !== bytes)
        throw this.#damaged(`the table ${table.name} has not as many rows as it says`);
      this.#tables.push({ name: table.name, ...end });
      yield { kind: 'tableEnd', end };
      return;
    }
  }

  async #finish(manifest: Manifest): Promise<BackupItem> {
    if (JSON.stringify(manifest.tables) !== JSON.stringify(this.#tables))
      throw this.#damaged('its manifest names other tables than there are');
    const expected = this.#hash.digest();
    const { type, payload } = await this.#readRecord();
    if (type !== RECORD_TYPES.hash || payload.length !== HASH_BYTES || !payload.equals(expected))
      throw this.#damaged('its SHA-256 is another one');
    const { bytesRead } = await this.#handle.read(Buffer.alloc(1), 0, 1, this.#position);
    if (bytesRead > 0) throw this.#damaged('something follows its end');
    return { kind: 'whole', manifest, sha256: expected.toString('hex') };
  }

  async #readMagic(): Promise<void> {
    const start = Buffer.alloc(MAGIC.length);
    await this.#handle.read(start, 0, start.length, 0).catch((error: unknown) => {
      throw new BackupError(
        `${this.#path} cannot be read: ${error instanceof Error ? error.message : String(error)}.`,
      );
    });
    const verdict = judgeMagic(start);
    if (verdict === 'foreign') throw new BackupError(`${this.#path} is not a backup of Lanekeeper.`);
    if (verdict === 'newer')
      throw new BackupError(
        `${this.#path} was made by a newer release of Lanekeeper, in a form that this one cannot read. Restore it with that release.`,
      );
    this.#position = start.length;
    this.#hash.update(start);
  }

  async #expect(type: keyof typeof RECORD_TYPES): Promise<RawRecord> {
    const record = await this.#next();
    if (record.type !== RECORD_TYPES[type]) throw this.#damaged('its parts are out of order');
    return record;
  }

  /** The next record that the hash covers. */
  async #next(): Promise<RawRecord> {
    const record = await this.#readRecord();
    this.#hash.update(record.raw);
    return record;
  }

  async #readRecord(): Promise<RawRecord> {
    const startsAt = this.#position;
    const frame = await this.#read(RECORD_FRAME_BYTES);
    const length = frame.readUInt32BE(1);
    if (length > PAYLOAD_BYTES_MAX) throw this.#damaged('a part is longer than any can be', startsAt);
    const rest = await this.#read(length + CRC_BYTES);
    const raw = Buffer.concat([frame, rest]);
    const crcAt = raw.length - CRC_BYTES;
    if (crc32(raw.subarray(0, crcAt)) !== raw.readUInt32BE(crcAt))
      throw this.#damaged('a checksum is wrong', startsAt);
    return { type: frame.readUInt8(0), payload: raw.subarray(RECORD_FRAME_BYTES, crcAt), raw };
  }

  async #read(length: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(length);
    let filled = 0;
    while (filled < length) {
      const { bytesRead } = await this.#handle.read(bytes, filled, length - filled, this.#position + filled);
      if (bytesRead === 0) throw this.#damaged('it ends too early');
      filled += bytesRead;
    }
    this.#position += length;
    return bytes;
  }

  async #inflate(payload: Buffer): Promise<Buffer> {
    const length = payload.length < PART_LENGTH_BYTES ? 0 : payload.readUInt32BE(0);
    if (length === 0 || length > PART_BYTES_MAX)
      throw this.#damaged('a part says that it is longer than any can be');
    const part = await inflate(payload.subarray(PART_LENGTH_BYTES), { maxOutputLength: length }).catch(() => {
      throw this.#damaged('a part cannot be decompressed to the length that it names');
    });
    if (part.length !== length) throw this.#damaged('a part has not the length that it names');
    return part;
  }

  #parse<T>(schema: z.ZodType<T>, { payload }: RawRecord): T {
    try {
      return schema.parse(JSON.parse(payload.toString('utf8')));
    } catch {
      throw this.#damaged('what it says of itself is not in the form of a backup');
    }
  }

  #damaged(how: string, at = this.#position): BackupError {
    return new BackupError(`${this.#path} is not whole: ${how} (at byte ${at}). Use another backup.`);
  }
}
