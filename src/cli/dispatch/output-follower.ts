/**
 * Reads what a process writes into its two files, as it writes. Files and no pipes: a pipe breaks with its reader, and the
 * process would die of its next line. How far it has read is on disk, so that whoever comes next repeats nothing. Output is
 * never worth a process, let alone the dispatcher: what the file system refuses is said once, and the run goes on.
 */
import { closeSync, fstatSync, ftruncateSync, openSync, readSync } from 'node:fs';
import type { OutputStream } from '../../client/worker/output-relay.ts';
import { OutputTail } from '../worker/output-tail.ts';
import type { OnOutput } from '../worker/running-process.ts';
import type { RunDirectory } from './run-directory.ts';

/** As often as lines are sent to the server. */
const LOOK_MS = 250;
const CHUNK_BYTES = 64 * 1024;
/** Of one look, so that one chatty process holds up nobody: what is left is read at the next. */
const LOOK_BYTES_MAX = 4 * 1024 * 1024;
/** A file that has grown beyond this, and was read, is emptied. Its writer appends, so it goes on at the new end. */
const READ_FILE_BYTES_MAX = 16 * 1024 * 1024;
/** One that has grown beyond this is not read as fast as it is written: all but the end of it is left out. */
const FILE_BYTES_MAX = 2 * READ_FILE_BYTES_MAX;
/** Of what is read then: half a look, so that the look reaches the end. */
const END_BYTES = LOOK_BYTES_MAX / 2;
/** The last error fits into this many times over. */
const TAIL_BYTES_MAX = 64 * 1024;

interface Source {
  readonly name: OutputStream;
  readonly descriptor: number;
  readonly tail: OutputTail;
  offset: number;
}

export interface FollowerListener {
  readonly onOutput: OnOutput;
  /** What of the output is lost, and why. */
  readonly onTrouble: (text: string) => void;
}

export class OutputFollower {
  readonly #directory: RunDirectory;
  readonly #listener: FollowerListener;
  readonly #sources: readonly Source[];
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #buffer = Buffer.alloc(CHUNK_BYTES);
  #hasComplained = false;

  /** The files must be there. Throws what the file system says, and nothing afterwards. */
  constructor(directory: RunDirectory, listener: FollowerListener) {
    this.#directory = directory;
    this.#listener = listener;
    const [stdout, stderr] = directory.readOffsets();
    this.#sources = [this.#open('stdout', stdout), this.#open('stderr', stderr)];
    this.#timer = setInterval(() => this.look(), LOOK_MS);
  }

  /** Passes on what is new; of what one look cannot hold the rest stays for the next. */
  look(bytesMax = LOOK_BYTES_MAX): void {
    const fresh = this.#sources.flatMap((source) => {
      const chunks = this.#read(source, bytesMax);
      return chunks.map((chunk) => ({ name: source.name, chunk }));
    });
    if (fresh.length === 0) return;
    // Before they are passed on: a line may be missing after a crash, but none stands there twice.
    const [stdout = 0, stderr = 0] = this.#sources.map(({ offset }) => offset);
    this.#attempt(() => this.#directory.writeOffsets(stdout, stderr));
    for (const { name, chunk } of fresh) this.#listener.onOutput(name, chunk);
  }

  /** Reads what is left, as far as a file may grow, and gives the tails. */
  close(): { readonly stdout: string; readonly stderr: string } {
    clearInterval(this.#timer);
    this.look(FILE_BYTES_MAX);
    for (const { descriptor } of this.#sources) this.#attempt(() => closeSync(descriptor));
    const [stdout = '', stderr = ''] = this.#sources.map(({ tail }) => tail.text());
    return { stdout, stderr };
  }

  /** What an earlier reader has passed on already still belongs to the tail. */
  #open(name: OutputStream, readBefore: number): Source {
    const descriptor = openSync(this.#directory.file(name), 'r+');
    // Beyond its end: it was emptied, and that was not written down any more.
    const offset = readBefore > fstatSync(descriptor).size ? 0 : readBefore;
    const source = {
      name,
      descriptor,
      tail: new OutputTail(TAIL_BYTES_MAX),
      offset: Math.max(0, offset - TAIL_BYTES_MAX),
    };
    while (source.offset < offset && this.#readChunk(source, offset - source.offset) !== null);
    return source;
  }

  #read(source: Source, bytesMax: number): Uint8Array[] {
    const chunks: Uint8Array[] = [];
    this.#attempt(() => {
      const note = skipToEnd(source);
      if (note !== null) chunks.push(Buffer.from(note));
      let chunk: Uint8Array | null = null;
      for (let total = 0; total < bytesMax; total += chunk.length) {
        chunk = this.#readChunk(source, CHUNK_BYTES);
        if (chunk === null) break;
        chunks.push(chunk);
      }
      if (chunk !== null || source.offset <= READ_FILE_BYTES_MAX) return;
      ftruncateSync(source.descriptor, 0);
      source.offset = 0;
    });
    return chunks;
  }

  /** null: there is nothing new. */
  #readChunk(source: Source, bytesMax: number): Uint8Array | null {
    const length = Math.min(CHUNK_BYTES, bytesMax);
    const bytes = readSync(source.descriptor, this.#buffer, 0, length, source.offset);
    if (bytes === 0) return null;
    const chunk = Buffer.from(this.#buffer.subarray(0, bytes));
    source.tail.push(chunk);
    source.offset += bytes;
    return chunk;
  }

  #attempt(act: () => void): void {
    try {
      act();
    } catch (error) {
      if (this.#hasComplained) return;
      this.#hasComplained = true;
      const why = error instanceof Error ? error.message : String(error);
      this.#listener.onTrouble(`some of its output may be missing, or be shown twice: ${why}`);
    }
  }
}

/** What to say of what is left out; null: nothing is. */
function skipToEnd(source: Source): string | null {
  const { size } = fstatSync(source.descriptor);
  const skipped = size - END_BYTES - source.offset;
  if (size <= FILE_BYTES_MAX || skipped <= 0) return null;
  source.offset += skipped;
  return `\n(${skipped} bytes left out)\n`;
}
