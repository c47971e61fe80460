import { describe, expect, test } from 'vitest';
import { readEventData } from '../../../src/cli/mcp/event-data.ts';
import { readLines } from '../../../src/cli/mcp/lines.ts';

async function* stream<T>(...parts: readonly T[]): AsyncGenerator<T> {
  for (const part of parts) yield part;
}

const bytes = (text: string): Uint8Array => Buffer.from(text, 'utf8');

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const each of source) found.push(each);
  return found;
}

async function linesOf(bytesMax: number, ...chunks: readonly Uint8Array[]): Promise<(string | null)[]> {
  return all(readLines(stream(...chunks), bytesMax));
}

describe('lines of stdin', () => {
  test('come whole, whatever the chunks, without the empty ones, the last also without its end', async () => {
    expect(await linesOf(100, bytes('{"a"'), bytes(':1}\r\n\n  \n{"b":2}\n{"c"'), bytes(':3}'))).toEqual([
      '{"a":1}',
      '{"b":2}',
      '{"c":3}',
    ]);
    const [first, second] = [bytes('é').subarray(0, 1), bytes('é').subarray(1)];
    expect(await linesOf(100, first, second)).toEqual(['é']);
  });

  test('that are too long are said to be, and the next one is read', async () => {
    expect(await linesOf(4, bytes('1234\n12345'), bytes('6789'), bytes('0\nnext'))).toEqual([
      '1234',
      null,
      'next',
    ]);
    expect(await linesOf(4, bytes('12345'))).toEqual([null]);
  });
});

describe('the data of events', () => {
  const dataOf = (charactersMax: number, ...texts: string[]) =>
    all(readEventData(stream(...texts), charactersMax));

  test('comes event by event, whatever the chunks; comments, names and ids are passed over', async () => {
    expect(
      await dataOf(
        100,
        ': hello\r\n\r\nevent: message\nid: 7\nda',
        'ta: {"a":1}\n',
        '\ndata:one\ndata: two\n\n',
      ),
    ).toEqual(['{"a":1}', 'one\ntwo']);
  });

  test('of an event that has not ended is no data', async () => {
    expect(await dataOf(100, 'data: whole\n\ndata: half\n')).toEqual(['whole']);
  });

  test('of an event without an end is not gathered for ever', async () => {
    await expect(dataOf(10, 'data: 123\n', 'data: 456\n', 'data: 789\n')).rejects.toThrow('too long');
    await expect(dataOf(10, 'data: 1234567890')).rejects.toThrow('too long');
  });
});
