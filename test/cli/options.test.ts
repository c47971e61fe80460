import { Command } from 'commander';
import { expect, test } from 'vitest';
import {
  durationUpTo,
  integerFrom,
  labelInto,
  listFrom,
  plainNoOption,
  timeFrom,
} from '../../src/cli/options.ts';

test('whole numbers are whole and within their bounds', () => {
  const parse = integerFrom(-5, 100);
  expect(['-5', '0', '100'].map(parse)).toEqual([-5, 0, 100]);
  for (const bad of ['-6', '101', '1.5', '1e1', '', 'x', '0x10'])
    expect(() => parse(bad), bad).toThrow('whole number');
});

test('durations take units or plain seconds, within their bounds', () => {
  const parse = durationUpTo(3600, 0);
  expect(['0', '90', '90s', '10m', '1h'].map(parse)).toEqual([0, 90, 90, 600, 3600]);
  for (const bad of ['2h', '3601', '-1', '1.5', '1w', '', '1 h'])
    expect(() => parse(bad), bad).toThrow('from 0 to 3600 seconds');
});

test('labels add up and may hold an equals sign', () => {
  expect(labelInto('b=c=d', labelInto('a=1'))).toEqual({ a: '1', b: 'c=d' });
  expect(() => labelInto('nothing')).toThrow('key=value');
});

test('lists leave out empty items', () => {
  expect(listFrom('a,,b,')).toEqual(['a', 'b']);
});

test('times are absolute or from now', () => {
  const parse = timeFrom(() => Date.parse('2026-01-01T00:00:00Z'));
  expect(parse('+90s')).toBe('2026-01-01T00:01:30.000Z');
  expect(parse('+2d')).toBe('2026-01-03T00:00:00.000Z');
  expect(parse('2026-05-01T12:00:00+02:00')).toBe('2026-05-01T10:00:00.000Z');
  for (const bad of ['soon', '+5', '+5w', '-5s']) expect(() => parse(bad), bad).toThrow('RFC 3339');
});

test('an option that begins with "no-" takes its value and is absent otherwise', () => {
  const parse = (argv: string[]) =>
    new Command()
      .addOption(plainNoOption('--no-progress-seconds <n>', '').argParser(Number))
      .parse(argv, { from: 'user' })
      .opts();
  expect(parse([])).toEqual({});
  expect(parse(['--no-progress-seconds', '5'])).toEqual({ noProgressSeconds: 5 });
});
