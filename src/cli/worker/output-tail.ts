/** The last bytes that a command wrote: all that is kept of its output, however much there is. */
import { cleanText } from '../../client/worker/plain-text.ts';

export class OutputTail {
  readonly #bytesMax: number;
  #chunks: Uint8Array[] = [];
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    // Whole chunks are dropped while the rest is still enough; text() cuts to the byte.
    let dropped = 0;
    for (const oldest of this.#chunks) {
      if (this.#bytes - oldest.length < this.#bytesMax) break;
      this.#bytes -= oldest.length;
      dropped += 1;
    }
    if (dropped > 0) this.#chunks = this.#chunks.slice(dropped);
  }

  /** As text that the API takes: well-formed, without NUL and without the sequences that steer a terminal. */
  text(): string {
    const all = Buffer.concat(this.#chunks);
    let start = Math.max(0, all.length - this.#bytesMax);
    // A character cut in half begins with continuation bytes (UTF-8: 10xxxxxx).
    while (start > 0 && start < all.length && ((all[start] ?? 0) & 0xc0) === 0x80) start += 1;
    return cleanText(new TextDecoder().decode(all.subarray(start)));
  }
}
