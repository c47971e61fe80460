/**
 * Brings a copy of an SQLite file up to date with its write-ahead log, as the file format describes both (sqlite.org/fileformat2.html,
 * section 4). sql.js sees nothing but the main file, and a board that is in use has its newest tasks in the log. Asking people to
 * checkpoint first was the alternative; it writes to a file that an import must only read.
 */
const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
/** What a page may measure, by the file format; a power of two. Whatever else a header says is no log of SQLite's. */
const PAGE_BYTES_MIN = 512;
const PAGE_BYTES_MAX = 65_536;
/** The last bit says in which order the words of the checksums are read. */
const MAGIC_LITTLE_ENDIAN = 0x377f0682;
const MAGIC_BIG_ENDIAN = 0x377f0683;

type Checksum = readonly [number, number];

/**
 * The main file as the last committed transaction left it. What comes after that, or does not add up, was never committed.
 *
 * @param bytesMax How large the result may be.
 * @throws RangeError The log says that the database is larger.
 */
export function applyWal(main: Uint8Array, wal: Uint8Array, bytesMax: number): Uint8Array {
  const committed = committedPages(wal);
  if (committed === null) return main;
  const { pages, pageBytes, pageCount } = committed;
  if (pageCount * pageBytes > bytesMax) throw new RangeError(`a database of ${pageCount * pageBytes} bytes`);
  const merged = new Uint8Array(pageCount * pageBytes);
  merged.set(main.subarray(0, merged.length));
  for (const [number, page] of pages) {
    // A page that a later transaction has cut off again. Pages count from one.
    if (number >= 1 && number <= pageCount) merged.set(page, (number - 1) * pageBytes);
  }
  return merged;
}

interface CommittedPages {
  readonly pages: ReadonlyMap<number, Uint8Array>;
  readonly pageBytes: number;
  readonly pageCount: number;
}

/** Null: the log holds no whole transaction. */
function committedPages(wal: Uint8Array): CommittedPages | null {
  if (wal.length < HEADER_BYTES) return null;
  const view = new DataView(wal.buffer, wal.byteOffset, wal.byteLength);
  const magic = view.getUint32(0);
  if (magic !== MAGIC_LITTLE_ENDIAN && magic !== MAGIC_BIG_ENDIAN) return null;
  const isLittleEndian = magic === MAGIC_LITTLE_ENDIAN;
  const sum = (from: number, to: number, start: Checksum) => checksum(view, from, to, start, isLittleEndian);
  const isSaid = (at: number, said: Checksum): boolean =>
    view.getUint32(at) === said[0] && view.getUint32(at + 4) === said[1];
  let running = sum(0, 24, [0, 0]);
  if (!isSaid(24, running)) return null;
  const pageBytes = view.getUint32(8);
  if (!isPageSize(pageBytes)) return null;
  const pages = new Map<number, Uint8Array>();
  let uncommitted = new Map<number, Uint8Array>();
  let pageCount = 0;
  const frameBytes = FRAME_HEADER_BYTES + pageBytes;
  for (let at = HEADER_BYTES; at + frameBytes <= wal.length; at += frameBytes) {
    const isOfThisLog =
      view.getUint32(at + 8) === view.getUint32(16) && view.getUint32(at + 12) === view.getUint32(20);
    running = sum(at + FRAME_HEADER_BYTES, at + frameBytes, sum(at, at + 8, running));
    if (!isOfThisLog || !isSaid(at + 16, running)) break;
    uncommitted.set(view.getUint32(at), wal.subarray(at + FRAME_HEADER_BYTES, at + frameBytes));
    const sizeAfterCommit = view.getUint32(at + 4);
    if (sizeAfterCommit === 0) continue;
    for (const [number, page] of uncommitted) pages.set(number, page);
    uncommitted = new Map();
    pageCount = sizeAfterCommit;
  }
  return pageCount === 0 ? null : { pages, pageBytes, pageCount };
}

function isPageSize(bytes: number): boolean {
  return bytes >= PAGE_BYTES_MIN && bytes <= PAGE_BYTES_MAX && (bytes & (bytes - 1)) === 0;
}

function checksum(
  view: DataView,
  from: number,
  to: number,
  [first, second]: Checksum,
  isLittleEndian: boolean,
): Checksum {
  let [s0, s1] = [first, second];
  for (let at = from; at < to; at += 8) {
    s0 = (s0 + view.getUint32(at, isLittleEndian) + s1) >>> 0;
    s1 = (s1 + view.getUint32(at + 4, isLittleEndian) + s0) >>> 0;
  }
  return [s0, s1];
}
