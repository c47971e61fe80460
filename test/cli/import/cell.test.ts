/** Whatever a cell holds, it is read as something that can be stored, or as nothing. */
import { describe, expect, test } from 'vitest';
import {
  cutJsonText,
  cutText,
  integerOf,
  jsonOf,
  objectOf,
  textOf,
  timeOf,
} from '../../../src/cli/import/cell.ts';

test('times come as seconds, fractions, milliseconds, digits or ISO text, and as nothing when they are none', () => {
  const noon = '2026-05-01T12:00:00.000Z';
  const same = [
    1_777_636_800, '1777636800', 1_777_636_800_000, '2026-05-01T12:00:00Z', '2026-05-01 12:00:00',
    '2026-05-01T14:00:00+02:00', ' 2026-05-01T12:00:00.000 ', new TextEncoder().encode('1777636800'),
  ]; // biome-ignore format: one list
  for (const cell of same) expect(timeOf(cell), String(cell)).toBe(noon);
  expect(timeOf(1_777_636_800.25)).toBe('2026-05-01T12:00:00.250Z');
  expect(timeOf('2026-05-01')).toBe('2026-05-01T00:00:00.000Z');
  for (const cell of [null, undefined, '', ' ', 0, -5, 'yesterday', '5 May', '2026-99-99', Number.NaN, 1e300])
    expect(timeOf(cell), String(cell)).toBeNull();
});

test('numbers come as numbers or digits', () => {
  expect([7, 7.4, '7', ' 7 ', new TextEncoder().encode('7')].map(integerOf)).toEqual([7, 7, 7, 7, 7]);
  for (const cell of [null, undefined, '', 'seven', Number.POSITIVE_INFINITY])
    expect(integerOf(cell)).toBeNull();
});

describe('texts', () => {
  test('never hold what cannot be stored', () => {
    expect(textOf('a\0b')).toBe('a\ufffdb');
    expect(textOf('\ud800x')).toBe('\ufffdx');
    expect(textOf(new Uint8Array([0x61, 0xff]))).toBe('a\ufffd');
  });

  test('are cut between characters', () => {
    expect(cutText('äöü', 4)).toEqual({ text: 'äö', isCut: true });
    expect(cutText('äöü', 5)).toEqual({ text: 'äö', isCut: true });
    expect(cutText('äöü', 6)).toEqual({ text: 'äöü', isCut: false });
    expect(cutText('😀😀', 100, 3)).toMatchObject({ isCut: true });
    expect(cutText('😀😀', 100, 3).text.isWellFormed()).toBe(true);
    expect(cutJsonText('\u0001'.repeat(100), 62)).toEqual({ text: '\u0001'.repeat(7), isCut: true });
  });
});

test('JSON is read where it is some that can be kept, and stays text otherwise', () => {
  expect(jsonOf('{"a":[1]}')).toEqual({ a: [1] });
  expect(jsonOf('[]')).toEqual([]);
  const deep = '['.repeat(200) + ']'.repeat(200);
  for (const text of ['{broken', 'plain', '12', deep, '{"__proto__":{}}', '["\\u0000"]', '[1e999]'])
    expect(jsonOf(text)).toBe(text);
  expect(jsonOf(new Uint8Array([1, 2]))).toEqual({ base64: 'AQI=' });
  expect([objectOf('[1]'), objectOf('null'), objectOf('{'), objectOf(undefined)]).toEqual([
    null,
    null,
    null,
    null,
  ]);
});
