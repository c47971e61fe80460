/**
 * A text message as it lies on the wire: made once, written to any number of sockets. A server's frames are not masked and this server's
 * are never compressed or in parts, so the bytes are the same for every peer (RFC 6455, 5.2).
 *
 * What goes to many peers and differs only in its first members is one head each and one tail for all. A whole frame for each would hold the same
 * text as often as there are peers: 2,000 of 250 KB took half a gigabyte and more than a second.
 */
import type { ServerFrame } from '../../contract/frames.ts';

const FINAL_TEXT = 0x81;
/** Longer payloads have their length in 2 or in 8 bytes (RFC 6455, 5.2). */
const SHORT_BYTES_MAX = 125;
const LENGTH_16_BITS = 126;
const LENGTH_64_BITS = 127;
const LENGTH_16_BITS_MAX = 0xffff;
/** Up to here a copy of the tail in each frame costs less than a second piece of each write: a few events. */
const COPIED_BYTES_MAX = 4096;
/** Frames kept of one tail: peers of one kind, such as the workers of a fleet, choose the same ids. */
const FRAMES_KEPT_MAX = 4;

export class PreparedFrame {
  readonly wire: Buffer;
  /** Shared with other frames, and written behind `wire`; null: that is all. */
  readonly tail: Buffer | null;

  constructor(text: string, tail: Buffer | null = null) {
    const textBytes = Buffer.byteLength(text);
    const payloadBytes = textBytes + (tail?.length ?? 0);
    const headBytes = headBytesOf(payloadBytes);
    const isCopied = tail !== null && tail.length <= COPIED_BYTES_MAX;
    const wire = Buffer.allocUnsafe(headBytes + (isCopied ? payloadBytes : textBytes));
    writeHead(wire, payloadBytes);
    wire.write(text, headBytes);
    if (isCopied) tail.copy(wire, headBytes + textBytes);
    this.wire = wire;
    this.tail = isCopied ? null : tail;
  }

  /** On the wire. */
  get bytes(): number {
    return this.wire.length + (this.tail?.length ?? 0);
  }
}

export function prepareFrame(frame: ServerFrame): PreparedFrame {
  return new PreparedFrame(JSON.stringify(frame));
}

/** The end of a message, and the frames that have it. */
export class SharedTail {
  readonly #tail: Buffer;
  readonly #frames = new Map<string, PreparedFrame>();

  constructor(text: string) {
    this.#tail = Buffer.from(text);
  }

  frameAfter(head: string): PreparedFrame {
    const known = this.#frames.get(head);
    if (known !== undefined) return known;
    const frame = new PreparedFrame(head, this.#tail);
    if (this.#frames.size < FRAMES_KEPT_MAX) this.#frames.set(head, frame);
    return frame;
  }
}

function writeHead(wire: Buffer, payloadBytes: number): void {
  wire[0] = FINAL_TEXT;
  if (payloadBytes <= SHORT_BYTES_MAX) wire[1] = payloadBytes;
  else if (payloadBytes <= LENGTH_16_BITS_MAX) {
    wire[1] = LENGTH_16_BITS;
    wire.writeUInt16BE(payloadBytes, 2);
  } else {
    wire[1] = LENGTH_64_BITS;
    wire.writeUIntBE(0, 2, 2);
    wire.writeUIntBE(payloadBytes, 4, 6);
  }
}

function headBytesOf(payloadBytes: number): number {
  if (payloadBytes <= SHORT_BYTES_MAX) return 2;
  return payloadBytes <= LENGTH_16_BITS_MAX ? 4 : 10;
}
