/** A client per lane where each has a key of its own, in a file LANE.key. A key that appears later, or is another, is found at the next look. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Client, connect } from '../../client/client.ts';

/** As it goes into a header. Anything else would fail with every request, in words that show the key. */
const TOKEN = /^[\x21-\x7e]+$/;

export class LaneKeys {
  readonly #reader: Client;
  readonly #directory: string;
  readonly #known = new Map<string, Client>();

  /** `reader`: for its server and board. */
  constructor(reader: Client, directory: string) {
    this.#reader = reader;
    this.#directory = directory;
  }

  /** null: there is none for this lane. Throws why the one that there is cannot be used. */
  clientFor(lane: string): Client | null {
    const file = join(this.#directory, `${lane}.key`);
    const text = readOrNull(file);
    if (text === null) return null;
    const token = text.trim();
    if (!TOKEN.test(token)) throw new Error(`${file} does not hold one key`);
    const before = this.#known.get(lane);
    if (before?.transport.token === token) return before;
    const { url, board } = this.#reader;
    const made = connect({ url, board, token });
    this.#known.set(lane, made);
    return made;
  }
}

function readOrNull(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw new Error(`${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}
