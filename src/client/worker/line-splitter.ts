/** Lines out of a stream of bytes or text, whatever the pieces in which it comes. */

/** A line without an end is passed on in pieces of about this size. */
const LINE_CHARACTERS_MAX = 8 * 1024;

export class LineSplitter {
  /** Made for the first bytes: most runs print none, and one costs more than all else of a run. */
  #decoder: ReturnType<typeof makeDecoder> | undefined;
  #rest = '';

  push(chunk: Uint8Array | string): string[] {
    const text = typeof chunk === 'string' ? chunk : this.#decode(chunk);
    const lines = (this.#rest + text).split(/\r?\n/);
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length > LINE_CHARACTERS_MAX) lines.push(this.rest());
    return lines;
  }

  #decode(chunk: Uint8Array): string {
    this.#decoder ??= makeDecoder();
    return this.#decoder.decode(chunk, { stream: true });
  }

  /** What came last without the end of a line; empty: nothing. */
  rest(): string {
    const rest = this.#rest;
    this.#rest = '';
    return rest;
  }
}

/** A mark at the beginning is text like any other. */
function makeDecoder() {
  return new TextDecoder('utf-8', { ignoreBOM: true });
}
