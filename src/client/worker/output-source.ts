/** Prints a text or a stream line by line, no faster than the lines leave. */
import { LineSplitter } from './line-splitter.ts';
import type { RunOutput } from './output-relay.ts';

type Chunk = string | Uint8Array;

/** The part of a web stream that is used: not all of them can be iterated. */
interface ReadableLike {
  getReader(): { read(): Promise<{ readonly done: boolean; readonly value?: Chunk | undefined }> };
}

/** A text, or a stream of text or bytes (UTF-8): a web stream, a Node stream, or any async iterable. */
export type OutputSource = string | AsyncIterable<Chunk> | ReadableLike;

/** What comes last ends its line, whether it says so or not. */
export async function printAll(source: OutputSource, output: RunOutput): Promise<void> {
  const splitter = new LineSplitter();
  for await (const chunk of chunksOf(source)) await print(splitter.push(chunk), output);
  const rest = splitter.rest();
  if (rest !== '') await print([rest], output);
}

async function print(lines: readonly string[], output: RunOutput): Promise<void> {
  for (let start = 0; start < lines.length; ) {
    start += output.appendSome(lines, start);
    if (start < lines.length) await output.untilRoom();
  }
}

async function* chunksOf(source: OutputSource): AsyncGenerator<Chunk, void, undefined> {
  if (typeof source === 'string') {
    yield source;
  } else if (Symbol.asyncIterator in source) {
    yield* source;
  } else {
    const reader = source.getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value ?? '';
  }
}
