/** Answers stay small, and what is long can be read on without a gap. */
import { describe, expect, test } from 'vitest';
import {
  firstFitting,
  fitted,
  inParts,
  jsonBytes,
  RESULT_BYTES_MAX,
  type ToolDocument,
  withText,
} from '../../../../src/server/features/mcp/results.ts';

const TEXTS: Readonly<Record<string, string>> = {
  plain: 'word '.repeat(20_000),
  'line ends, which JSON doubles': 'a\n'.repeat(30_000),
  'characters of three bytes': '語'.repeat(30_000),
  'pairs of surrogates': '😀'.repeat(20_000),
  'control characters, which JSON writes with six': '\u0001'.repeat(30_000),
};

function readAll(text: string, head: ToolDocument): string {
  let read = '';
  let cursor: string | null = null;
  for (let pages = 0; pages < 100; pages += 1) {
    const page = withText(head, 'text', { of: 'task', text, cursor });
    expect(jsonBytes(page)).toBeLessThanOrEqual(RESULT_BYTES_MAX);
    expect(String(page['text']).isWellFormed()).toBe(true);
    read += page['text'];
    if (page['next_cursor'] === undefined) return read;
    cursor = String(page['next_cursor']);
  }
  throw new Error('it does not end');
}

describe('a long text', () => {
  test.each(Object.entries(TEXTS))('of %s is read on to its end, none of it twice', (_, text) => {
    expect(readAll(text, { task: 'x' })).toBe(text);
  });

  test('has room beside a head of any size', () => {
    const messages = Array.from({ length: 100 }, (_, index) => ({ id: index, text: '"'.repeat(4000) }));
    expect(readAll(TEXTS['plain'] ?? '', { messages })).toBe(TEXTS['plain']);
  });

  test('that has changed is not read on, nor with the cursor of another', () => {
    const text = TEXTS['plain'] ?? '';
    const first = withText({}, 'text', { of: 'task', text, cursor: null });
    const cursor = String(first['next_cursor']);
    const refusal = expect.objectContaining({ code: 'invalid_cursor' });
    expect(() => withText({}, 'text', { of: 'task', text: `${text}!`, cursor })).toThrow(refusal);
    expect(() => withText({}, 'text', { of: 'other', text, cursor })).toThrow(refusal);
  });
});

test('a document that is too large comes in parts that make up its JSON', () => {
  const document = { task: { id: 'task', result: TEXTS['line ends, which JSON doubles'] } };
  const small = { still: { small: true }, of: 'task', head: {} };
  expect(inParts({ small: true, moves: 1 }, small, null)).toEqual({ small: true, moves: 1 });
  let json = '';
  let cursor: string | null = null;
  do {
    const part: ToolDocument = inParts(
      { ...document, moves: performance.now() },
      { still: document, of: 'task', head: { task: 'head' } },
      cursor,
    );
    json += part['json_part'];
    cursor = (part['next_cursor'] as string | undefined) ?? null;
  } while (cursor !== null);
  expect(JSON.parse(json)).toEqual(document);
});

test('what has no cursor is cut until it fits, and says so', () => {
  expect(fitted({ small: true })).toEqual({ small: true });
  for (const text of Object.values(TEXTS)) {
    const cut = fitted({ list: Array.from({ length: 50 }, () => ({ deep: [text, text] })) });
    expect(jsonBytes(cut)).toBeLessThanOrEqual(RESULT_BYTES_MAX);
    expect(cut['truncated']).toBe(true);
  }
});

test('texts are shortened before a member is left out, and ids and cursors are never cut', () => {
  const id = 'task_01jcqk0v3te8sr3x6y9m2b4n5p';
  const list = Array.from({ length: 150 }, (_, index) => ({ id: `${id}${index}`, text: 'x'.repeat(150) }));
  const cursor = 'c'.repeat(200);
  const cut = fitted({ list, next_cursor: cursor }) as { list: typeof list; next_cursor: string };
  expect(cut.list.map(({ id: kept }) => kept)).toEqual(list.map(({ id: kept }) => kept));
  expect(cut.next_cursor).toBe(cursor);
});

test('of messages the first that fit are told, and always one', () => {
  const messages = Array.from({ length: 5 }, (_, index) => ({ index, text: 'x'.repeat(100) }));
  expect(firstFitting(messages, 300)).toEqual(messages.slice(0, 2));
  expect(firstFitting(messages, 10)).toEqual(messages.slice(0, 1));
  expect(firstFitting([], 10)).toEqual([]);
});
