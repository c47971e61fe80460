/** Lines out of a stream of bytes, whatever the chunks in which it comes. */
import { StringDecoder } from 'node:string_decoder';

/** A line without an end is passed on in pieces of about this size. */
const LINE_CHARACTERS_MAX = 8 * 1024;

export class LineSplitter {
  readonly #decoder = new StringDecoder('utf8');
  #rest = '';

  push(chunk: Uint8Array): string[] {
    const lines = (this.#rest + this.#decoder.write(Buffer.from(chunk))).split(/\r?\n/);
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length > LINE_CHARACTERS_MAX) lines.push(this.rest());
    return lines;
  }

  /** What came last without the end of a line; empty: nothing. */
  rest(): string {
    const rest = this.#rest;
    this.#rest = '';
    return rest;
  }
}
