import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ANSI_COLOURS, ansiPieces, plainText } from '../../src/dashboard/task/ansi.ts';
import {
  LINES_KEPT,
  OutputBuffer,
  type OutputLine,
  outputRows,
} from '../../src/dashboard/task/output-buffer.ts';
import { findMatches, MATCHES_MAX, markPieces } from '../../src/dashboard/task/output-search.ts';

const ESC = '\u001b';

const line = (number: number, more: Partial<OutputLine> = {}): OutputLine => ({
  number,
  runId: 'run_a',
  atMs: 0,
  text: `line ${number}`,
  ...more,
});
const lines = (from: number, to: number): OutputLine[] =>
  Array.from({ length: to - from + 1 }, (_, index) => line(from + index));
const numbersOf = (buffer: OutputBuffer): number[] => buffer.lines.map(({ number }) => number);

describe('lines of an output', () => {
  test('are there once and in order, whichever of tail and socket brings them first', () => {
    const buffer = new OutputBuffer();
    buffer.add(lines(8, 10));
    buffer.add(lines(5, 9));
    buffer.add(lines(10, 12));
    expect(numbersOf(buffer)).toEqual([5, 6, 7, 8, 9, 10, 11, 12]);
  });

  test('are never more than the page keeps, the newest of them', () => {
    const buffer = new OutputBuffer();
    buffer.add(lines(1, LINES_KEPT));
    buffer.add(lines(LINES_KEPT + 1, LINES_KEPT + 3));
    expect(buffer.lines).toHaveLength(LINES_KEPT);
    expect(buffer.lines[0]?.number).toBe(4);
  });

  test('that a database took back are replaced by those that have their numbers now', () => {
    const buffer = new OutputBuffer();
    buffer.add(lines(1, 6));
    buffer.add([line(4, { text: 'another' }), line(5, { text: 'another' })]);
    expect(buffer.lines.map(({ number, text }) => [number, text])).toEqual([
      [1, 'line 1'],
      [2, 'line 2'],
      [3, 'line 3'],
      [4, 'another'],
      [5, 'another'],
    ]);
  });

  test('that are missing are said where they are missing, and where another run begins', () => {
    const rows = outputRows([line(3), line(4), line(7), line(8, { runId: 'run_b' })]);
    expect(rows.map((row) => (row.type === 'line' ? row.line.number : row.type))).toEqual([
      'run',
      3,
      4,
      'gap',
      7,
      'run',
      8,
    ]);
    expect(rows.find((row) => row.type === 'gap')).toMatchObject({ count: 2 });
  });
});

describe('colours', () => {
  const classes = (text: string): (readonly [string, string])[] =>
    ansiPieces(text).map((piece) => [piece.text, piece.className]);

  test('of every kind become one of the families that the page has', () => {
    expect(classes(`plain ${ESC}[31mred${ESC}[0m ${ESC}[1;92mgreen${ESC}[m`)).toEqual([
      ['plain ', ''],
      ['red', 'ansi-red'],
      [' ', ''],
      ['green', 'ansi-green ansi-bold'],
    ]);
    expect(classes(`${ESC}[38;5;208morange`)).toEqual([['orange', 'ansi-yellow']]);
    expect(classes(`${ESC}[38;2;20;40;240mblue`)).toEqual([['blue', 'ansi-blue']]);
    expect(classes(`${ESC}[38;5;240mgrey`)).toEqual([['grey', 'ansi-black']]);
    expect(classes(`${ESC}[37;41mloud`)).toEqual([['loud', 'ansi-white ansi-on-red']]);
    for (let index = 0; index < 256; index += 1)
      expect(classes(`${ESC}[38;5;${index}mx`)[0]?.[1]).toMatch(/^ansi-[a-z]+$/);
  });

  test('are never markup, and what moves a cursor is left out', () => {
    expect(classes('<b onclick="x">&amp;</b>')).toEqual([['<b onclick="x">&amp;</b>', '']]);
    expect(plainText(`${ESC}]0;title\u0007${ESC}[2K${ESC}[1Aa${ESC}[31mb${ESC}[0m\u0008`)).toBe('ab');
    expect(plainText(' 10 %\r 50 %\r100 %\r')).toBe('100 %');
    expect(plainText(`cut ${ESC}[3`)).toBe('cut ');
    for (const text of [`${ESC}[31mred${ESC}[0m tail`, ' 1 %\r 2 %', `${ESC}]8;;x${ESC}\\link`])
      expect(
        ansiPieces(text)
          .map((piece) => piece.text)
          .join(''),
      ).toBe(plainText(text));
  });

  const read = (path: string): string =>
    readFileSync(new URL(`../../src/dashboard/${path}`, import.meta.url), 'utf8');
  const themes = [...read('theme/tokens.css').matchAll(/\{([^{}]+)\}/g)].map(
    ([, body = '']) =>
      new Map(
        [...body.matchAll(/(--[a-z-]+): (#[0-9a-f]{6})/g)].map(([, name = '', hex = '']) => [name, hex]),
      ),
  );
  const luminance = (hex: string): number => {
    const [red = 0, green = 0, blue = 0] = [1, 3, 5]
      .map((place) => Number.parseInt(hex.slice(place, place + 2), 16) / 255)
      .map((part) => (part <= 0.039_28 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const contrast = (one: string, other: string): number => {
    const [light = 0, dark = 0] = [luminance(one), luminance(other)].sort((left, right) => right - left);
    return (light + 0.05) / (dark + 0.05);
  };
  const css = read('task/output.css');
  const tokenOf = (className: string, property: string): string =>
    new RegExp(`\\.${className} \\{[^}]*?\\b${property}: var\\((--[a-z-]+)\\)`).exec(css)?.[1] ?? '';

  test('can be read in both themes: contrast at least 4.5 on every ground', () => {
    expect(themes.length).toBeGreaterThanOrEqual(3);
    for (const theme of themes)
      for (const colour of ANSI_COLOURS) {
        const text = theme.get(tokenOf(`ansi-${colour}`, 'color')) ?? '';
        const grounds = [
          '--sunken',
          ...ANSI_COLOURS.filter((name) => name !== 'black' && name !== 'white').map((name) =>
            tokenOf(`ansi-on-${name}`, 'background'),
          ),
        ];
        for (const ground of grounds)
          expect(contrast(text, theme.get(ground) ?? ''), `${colour} on ${ground}`).toBeGreaterThanOrEqual(
            4.5,
          );
      }
  });
});

describe('a search', () => {
  const rows = outputRows([
    line(1, { text: `a ${ESC}[31mRed${ESC}[0m hat` }),
    line(2, { text: 'redder than red' }),
  ]);

  test('finds a text whatever its case and colours, and counts no further than anybody steps', () => {
    expect(findMatches(rows, 'red')).toEqual([
      { row: 1, start: 2, end: 5 },
      { row: 2, start: 0, end: 3 },
      { row: 2, start: 12, end: 15 },
    ]);
    expect(findMatches(rows, '')).toEqual([]);
    expect(findMatches(outputRows([line(1, { text: 'e'.repeat(MATCHES_MAX * 2) })]), 'e')).toHaveLength(
      MATCHES_MAX,
    );
  });

  test('marks matches across pieces of several colours, and loses no letter', () => {
    const match = { row: 0, start: 1, end: 4 };
    const pieces = [
      { text: 'ab', className: '' },
      { text: 'cdef', className: 'ansi-red' },
    ];
    const marked = markPieces(pieces, [match], match);
    expect(marked.map(({ text, className, mark }) => [text, className, mark])).toEqual([
      ['a', '', 'none'],
      ['b', '', 'current'],
      ['cd', 'ansi-red', 'current'],
      ['ef', 'ansi-red', 'none'],
    ]);
  });
});
