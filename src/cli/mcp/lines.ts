/**
 * Lines out of stdin, each bounded. A line that is too long is dropped as it comes, never kept, and reported as null. The splitter of
 * the workers' output passes such lines on in pieces, which is right for what people read and wrong for messages.
 */

const LINE_END = 0x0a;

export async function* readLines(
  source: AsyncIterable<Uint8Array>,
  bytesMax: number,
): AsyncGenerator<string | null> {
  let parts: Uint8Array[] = [];
  let bytes = 0;
  const add = (part: Uint8Array): void => {
    bytes += part.length;
    if (bytes > bytesMax) parts = [];
    else if (part.length > 0) parts.push(part);
  };
  const take = (): string | null => {
    const line = bytes > bytesMax ? null : Buffer.concat(parts).toString('utf8').trim();
    parts = [];
    bytes = 0;
    return line;
  };
  for await (const chunk of source) {
    let from = 0;
    for (let end = chunk.indexOf(LINE_END); end !== -1; end = chunk.indexOf(LINE_END, from)) {
      add(chunk.subarray(from, end));
      from = end + 1;
      const line = take();
      if (line !== '') yield line;
    }
    add(chunk.subarray(from));
  }
  const last = take();
  if (last !== '') yield last;
}
