/**
 * Reads what a process writes into its two files, as it writes. Files and no pipes: a pipe breaks with its reader, and the
 * process would die of its next line. How far it has read is on disk, so that whoever comes next repeats nothing.
 */
import { closeSync, ftruncateSync, openSync, readSync } from 'node:fs';
import { OutputTail } from '../worker/output-tail.ts';
import type { OnOutput, OutputStream } from '../worker/running-process.ts';
import type { RunDirectory } from './run-directory.ts';

/** As often as lines are sent to the server. */
const LOOK_MS = 250;
const CHUNK_BYTES = 64 * 1024;
/** Of one look, so that one chatty process holds up nobody: what is left is read at the next. */
const LOOK_BYTES_MAX = 4 * 1024 * 1024;
/** A file that has grown beyond this, and was read, is emptied. Its writer appends, so it goes on at the new end. */
const FILE_BYTES_MAX = 16 * 1024 * 1024;
/** The last error fits into this many times over. */
const TAIL_BYTES_MAX = 64 * 1024;

const STREAMS: readonly OutputStream[] = ['stdout', 'stderr'];

interface Source {
  readonly descriptor: number;
  readonly tail: OutputTail;
  offset: number;
}

export class OutputFollower {
  readonly #directory: RunDirectory;
  readonly #onOutput: OnOutput;
  readonly #sources: Record<OutputStream, Source>;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #buffer = Buffer.alloc(CHUNK_BYTES);

  /** The files must be there. */
  constructor(directory: RunDirectory, onOutput: OnOutput) {
    this.#directory = directory;
    this.#onOutput = onOutput;
    const [stdout, stderr] = directory.readOffsets();
    this.#sources = { stdout: this.#open('stdout', stdout), stderr: this.#open('stderr', stderr) };
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
  }

  /** Reads what is left, and gives the tails. */
  close(): { readonly stdout: string; readonly stderr: string } {
    clearInterval(this.#timer);
    this.#look(Number.POSITIVE_INFINITY);
    const { stdout, stderr } = this.#sources;
    for (const { descriptor } of [stdout, stderr]) closeSync(descriptor);
    return { stdout: stdout.tail.text(), stderr: stderr.tail.text() };
  }

  /** What an earlier reader has passed on already still belongs to the tail. */
  #open(name: OutputStream, offset: number): Source {
    const descriptor = openSync(this.#directory.file(name), 'r+');
    const source = {
      descriptor,
      tail: new OutputTail(TAIL_BYTES_MAX),
      offset: Math.max(0, offset - TAIL_BYTES_MAX),
    };
    while (source.offset < offset) {
      const bytes = readSync(
        descriptor,
        this.#buffer,
        0,
        Math.min(CHUNK_BYTES, offset - source.offset),
        source.offset,
      );
      if (bytes === 0) break;
      source.tail.push(Buffer.from(this.#buffer.subarray(0, bytes)));
      source.offset += bytes;
    }
    return source;
  }

  #look(bytesMax = LOOK_BYTES_MAX): void {
    const fresh = STREAMS.map((name) => ({ name, chunks: this.#read(this.#sources[name], bytesMax) }));
    if (fresh.every(({ chunks }) => chunks.length === 0)) return;
    // Before they are passed on: a line may be missing after a crash, but none stands there twice.
    this.#directory.writeOffsets(this.#sources.stdout.offset, this.#sources.stderr.offset);
    for (const { name, chunks } of fresh) for (const chunk of chunks) this.#onOutput(name, chunk);
  }

  #read(source: Source, bytesMax: number): Uint8Array[] {
    const chunks: Uint8Array[] = [];
    for (let total = 0; total < bytesMax; ) {
      const bytes = readSync(source.descriptor, this.#buffer, 0, CHUNK_BYTES, source.offset);
      if (bytes === 0) break;
      const chunk = Buffer.from(this.#buffer.subarray(0, bytes));
      source.tail.push(chunk);
      chunks.push(chunk);
      source.offset += bytes;
      total += bytes;
    }
    if (source.offset > FILE_BYTES_MAX) {
      ftruncateSync(source.descriptor, 0);
      source.offset = 0;
    }
    return chunks;
  }
}
