/**
 * The form of a backup file, in one place for its writer and its reader.
 *
 *     "LANEKEEPER BACKUP 1\n"
 *     records: type (1 byte), length of the payload (4 bytes, big endian), payload, CRC-32 of all three (4 bytes)
 *       H  header: JSON
 *       T  a table begins: JSON
 *       D  a part of its rows: length of the part (4 bytes), then the part as raw DEFLATE (RFC 1951)
 *       E  the table ends: JSON
 *       M  manifest: JSON
 *       F  SHA-256 of everything before this record; nothing follows
 *
 * Rows are those of COPY in text form, which every version of Postgres reads: a backup outlives the major version that it was made on. A
 * part ends anywhere, also within a row. A CRC finds the damage and says where; the hash at the end says that the file is whole. Neither
 * keeps out somebody who can write the file, so the reader believes nothing that it has not compared with this program's own schema.
 */
import { crc32 } from 'node:zlib';
import { z } from 'zod';

export const MAGIC = Buffer.from('LANEKEEPER BACKUP 1\n', 'latin1');
const OTHER_FORM = /^LANEKEEPER BACKUP \d[\d\n]/;

export const RECORD_TYPES = {
  header: 0x48,
  tableBegin: 0x54,
  rows: 0x44,
  tableEnd: 0x45,
  manifest: 0x4d,
  hash: 0x46,
} as const;

export const RECORD_FRAME_BYTES = 5;
export const CRC_BYTES = 4;
export const HASH_BYTES = 32;
export const PART_LENGTH_BYTES = 4;
/** Of rows before compression: large enough to compress well, small enough to hold a few of. */
export const PART_BYTES_MAX = 1024 * 1024;
/** What DEFLATE adds to what it cannot compress is far below a part; a header lists some hundred migrations and tables. */
export const PAYLOAD_BYTES_MAX = 2 * PART_BYTES_MAX;
/** Far above what the schema will ever have. */
const TABLES_MAX = 500;
const COLUMNS_MAX = 500;
const MIGRATIONS_MAX = 10_000;

/** Every name of ours; nothing that needs care in a statement. */
const Name = z.string().regex(/^[a-z_][a-z0-9_]{0,62}$/);
const Count = z.int().min(0);
/** Shown to people as it is: nothing that a terminal takes for a command. */
const Version = z.string().regex(/^[\x20-\x7e]{0,100}$/);

export const Header = z.object({
  /** Of Lanekeeper, which made it. */
  lanekeeper: Version,
  postgres: Version,
  /** The moment of the snapshot, or a little before; of the database's clock. */
  taken_at: z.iso.datetime(),
  boards: Count,
  /** The times that the migrations were given when they were written, in order: which schema the rows are of. */
  migrations: z.array(Count).min(1).max(MIGRATIONS_MAX),
  /** What the next board is numbered by; null: there was none yet. */
  last_board_id: Count.nullable(),
  /** Tables of the database that are somebody else's. */
  left_out: z.array(z.string().max(200)).max(10_000),
});
export type Header = z.infer<typeof Header>;

export const TableBegin = z.object({ name: Name, columns: z.array(Name).min(1).max(COLUMNS_MAX) });
export type TableBegin = z.infer<typeof TableBegin>;

/** Bytes are those of the rows before compression. */
export const TableEnd = z.object({ rows: Count, bytes: Count });
export type TableEnd = z.infer<typeof TableEnd>;

export const Manifest = z.object({
  tables: z.array(z.object({ name: Name, rows: Count, bytes: Count })).max(TABLES_MAX),
});
export type Manifest = z.infer<typeof Manifest>;

/** What the beginning of a file says of it: one of ours, one of a later form, or none at all. */
export function judgeMagic(start: Buffer): 'ours' | 'newer' | 'foreign' {
  if (start.equals(MAGIC)) return 'ours';
  return OTHER_FORM.test(start.toString('latin1')) ? 'newer' : 'foreign';
}

export function encodeRecord(type: number, payload: Buffer): Buffer {
  const record = Buffer.allocUnsafe(RECORD_FRAME_BYTES + payload.length + CRC_BYTES);
  record.writeUInt8(type, 0);
  record.writeUInt32BE(payload.length, 1);
  payload.copy(record, RECORD_FRAME_BYTES);
  const crcAt = RECORD_FRAME_BYTES + payload.length;
  record.writeUInt32BE(crc32(record.subarray(0, crcAt)), crcAt);
  return record;
}

/** In text form a row ends with a line feed, and no row has one within. */
export function countRows(part: Buffer): number {
  let rows = 0;
  for (let at = part.indexOf(0x0a); at !== -1; at = part.indexOf(0x0a, at + 1)) rows += 1;
  return rows;
}
