/**
 * Bounds what the bodies of all requests under way hold together, from their first byte until the answer: while they arrive, while they wait
 * to be gathered, while a transaction writes them. Without it a few thousand requests of a megabyte that wait for a busy database
 * are the end of the process. Small bodies are always taken: a connection costs as much, and nobody who sends large ones may
 * keep claims and heartbeats out.
 */
import { assert } from '../kernel/assert.ts';
import { ProblemError } from '../kernel/problem-error.ts';

/** As it came over the wire; parsed it takes a few times as much, which a process with the usual 2 GB of heap still bears. */
const HELD_BYTES_MAX = 128 * 1024 * 1024;
/** The size of a socket's own buffers. */
const SMALL_BODY_BYTES = 64 * 1024;

export class BodyRoom {
  #freeBytes: number;

  constructor(bytesMax: number = HELD_BYTES_MAX) {
    this.#freeBytes = bytesMax;
  }

  /** For one request: `end` must follow. */
  begin(): HeldBody {
    return new HeldBody(this);
  }

  /** Negative gives back. */
  take(bytes: number): void {
    if (bytes > this.#freeBytes) {
      throw new ProblemError(
        'rate_limited',
        'The server holds as many large requests as it can; retry shortly.',
        // The rest of the body is not read.
        { headers: { 'Retry-After': '1', Connection: 'close' } },
      );
    }
    this.#freeBytes -= bytes;
  }
}

export class HeldBody {
  readonly #room: BodyRoom;
  #bytes = 0;

  constructor(room: BodyRoom) {
    this.#room = room;
  }

  /** What has come of the body. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Throws rate_limited when there is none at the moment; keeps nothing free. */
  assertRoomFor(bytes: number): void {
    this.#room.take(countedOf(bytes));
    this.#room.take(-countedOf(bytes));
  }

  /** Throws rate_limited, and then holds no more than before. */
  grow(bytes: number): void {
    assert(bytes >= 0, 'a body only grows');
    this.#room.take(countedOf(this.#bytes + bytes) - countedOf(this.#bytes));
    this.#bytes += bytes;
  }

  end(): void {
    this.#room.take(-countedOf(this.#bytes));
    this.#bytes = 0;
  }
}

function countedOf(bytes: number): number {
  return bytes <= SMALL_BODY_BYTES ? 0 : bytes;
}
