/**
 * Ids: TypeIDs on the wire (prefix, then 26 characters of base32), UUIDv7 in the database.
 *
 * A run's id finds its board: its last 32 bits are the board's number, so a route that names only the run needs no index
 * without the board in front. The alternative, a global index on the run id, would cost every claim an insert and could not be
 * sharded by board.
 */
import { randomFillSync } from 'node:crypto';
import { v7 } from 'uuid';
import { assert } from './assert.ts';
import type { Clock } from './clock.ts';

export type IdPrefix = 'task' | 'run' | 'key' | 'cmt' | 'msg';

/** A UUID in its usual text form, as the database has it. */
export type Uuid = string & { readonly uuid: unique symbol };

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const VALUES = new Map([...ALPHABET].map((character, value) => [character, value] as const));
/** 26 characters carry 130 bits: the first holds only 3 of the 128. */
const SUFFIX_CHARACTERS = 26;
const UUID_BYTES = 16;
const BOARD_BYTES_OFFSET = 12;

/** Random bytes are drawn in blocks: one system call per 256 ids. */
const RANDOM_BLOCK_BYTES = UUID_BYTES * 256;

export class IdSource {
  readonly #clock: Clock;
  readonly #random = new Uint8Array(RANDOM_BLOCK_BYTES);
  #randomUsedBytes = RANDOM_BLOCK_BYTES;
  #lastMs = 0;
  #sequence = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Ids of one source rise strictly, also within a millisecond: tasks of one batch keep their order. */
  next(boardId?: number): Uuid {
    const random = this.#takeRandom();
    const nowMs = this.#clock.now();
    if (nowMs > this.#lastMs) {
      this.#lastMs = nowMs;
      // Half of the 32-bit range is left for counting up within the millisecond.
      this.#sequence = new DataView(random.buffer).getUint32(0) >>> 1;
    } else {
      this.#sequence += 1;
      assert(this.#sequence <= 0xffffffff, 'fewer than 2^31 ids are made in a millisecond');
    }
    if (boardId !== undefined) new DataView(random.buffer).setUint32(BOARD_BYTES_OFFSET, boardId);
    return v7({ msecs: this.#lastMs, seq: this.#sequence, random }) as Uuid;
  }

  #takeRandom(): Uint8Array<ArrayBuffer> {
    if (this.#randomUsedBytes === RANDOM_BLOCK_BYTES) {
      randomFillSync(this.#random);
      this.#randomUsedBytes = 0;
    }
    const bytes = this.#random.slice(this.#randomUsedBytes, this.#randomUsedBytes + UUID_BYTES);
    this.#randomUsedBytes += UUID_BYTES;
    return bytes;
  }
}

/** `task_01h…` for a UUID. */
export function formatId(prefix: IdPrefix, uuid: string): string {
  const hex = uuid.replaceAll('-', '');
  let suffix = '';
  // 130 bits are read from the left: two leading zero bits, then the 128 of the UUID, five at a time.
  let carry = 0;
  let carryBits = 2;
  for (let index = 0; index < hex.length; index += 1) {
    carry = (carry << 4) | Number.parseInt(hex.charAt(index), 16);
    carryBits += 4;
    if (carryBits >= 5) {
      carryBits -= 5;
      suffix += ALPHABET.charAt((carry >>> carryBits) & 31);
      carry &= (1 << carryBits) - 1;
    }
  }
  return `${prefix}_${suffix}`;
}

/** The UUID of an id, or null when it is not one of this kind. */
export function parseId(prefix: IdPrefix, id: string): Uuid | null {
  if (!id.startsWith(`${prefix}_`)) return null;
  const suffix = id.slice(prefix.length + 1);
  if (suffix.length !== SUFFIX_CHARACTERS || suffix.charAt(0) > '7') return null;
  let hex = '';
  let carry = 0;
  let carryBits = -2;
  for (const character of suffix) {
    const value = VALUES.get(character);
    if (value === undefined) return null;
    carry = (carry << 5) | value;
    carryBits += 5;
    while (carryBits >= 4) {
      carryBits -= 4;
      hex += ((carry >>> carryBits) & 15).toString(16);
      carry &= (1 << carryBits) - 1;
    }
  }
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)];
  return parts.join('-') as Uuid;
}

/** The board's number inside the id of a run. Anyone can make one up: it only says where to look. */
export function boardIdOf(uuid: Uuid): number {
  return Number.parseInt(uuid.slice(-8), 16);
}
