/**
 * A text message as it lies on the wire: made once, written to any number of sockets. A server's frames are not masked and this server's
 * are never compressed or in parts, so the bytes are the same for every peer (RFC 6455, 5.2).
 */

const FINAL_TEXT = 0x81;
/** Longer payloads have their length in 2 or in 8 bytes (RFC 6455, 5.2). */
const SHORT_BYTES_MAX = 125;
const LENGTH_16_BITS = 126;
const LENGTH_64_BITS = 127;
const LENGTH_16_BITS_MAX = 0xffff;

export class PreparedFrame {
  readonly wire: Buffer;

  constructor(text: string) {
    const bytes = Buffer.byteLength(text);
    const headBytes = headBytesOf(bytes);
    const wire = Buffer.allocUnsafe(headBytes + bytes);
    wire[0] = FINAL_TEXT;
    if (bytes <= SHORT_BYTES_MAX) wire[1] = bytes;
    else if (bytes <= LENGTH_16_BITS_MAX) {
      wire[1] = LENGTH_16_BITS;
      wire.writeUInt16BE(bytes, 2);
    } else {
      wire[1] = LENGTH_64_BITS;
      wire.writeUIntBE(0, 2, 2);
      wire.writeUIntBE(bytes, 4, 6);
    }
    wire.write(text, headBytes);
    this.wire = wire;
  }
}

function headBytesOf(payloadBytes: number): number {
  if (payloadBytes <= SHORT_BYTES_MAX) return 2;
  return payloadBytes <= LENGTH_16_BITS_MAX ? 4 : 10;
}
