import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { ExitError, exitCodeOf, UsageError } from '../../src/cli/exit-codes.ts';
import { age, writeTask } from '../../src/cli/format.ts';
import { Output, printable, printableLines } from '../../src/cli/output.ts';
import { writeFields, writeTable } from '../../src/cli/table.ts';
import { LanekeeperError, UnreachableError } from '../../src/client/errors.ts';
import type { Task } from '../../src/contract/tasks.ts';

function capture(more: { columns?: number; hasColours?: boolean } = {}) {
  const stdout = Object.assign(
    new PassThrough(),
    more.columns === undefined ? {} : { columns: more.columns },
  );
  const stderr = new PassThrough();
  const output = new Output({
    stdout,
    stderr,
    isJson: false,
    isQuiet: false,
    hasColours: more.hasColours ?? false,
  });
  return { output, text: () => String(stdout.read() ?? '') };
}

test('text of others cannot steer a terminal', () => {
  expect(printable('a\u001b[2Jb\nc\u009bd')).toBe('a␛[2Jb␊c\ufffdd');
  expect(printableLines('a\r\nb\tc\u001b')).toBe('a\nb\tc␛');
});

test('a printed line keeps its colours where there are any, and steers nothing', () => {
  const line = '\u001b[31mred\u001b[2J\tand\u001b[0m so on';
  const coloured = capture({ hasColours: true });
  coloured.output.printed(line);
  expect(coloured.text()).toBe('\u001b[31mred␛[2J\tand\u001b[0m so on\u001b[0m\n');
  const plain = capture({ hasColours: false });
  plain.output.printed(line);
  expect(plain.text()).toBe('red␛[2J\tand so on\n');
});

test('a table is aligned, coloured after measuring, and cut to the terminal', () => {
  const rows = [
    { id: 'a', title: 'x'.repeat(50) },
    { id: 'long-id', title: 'y' },
  ];
  const { output, text } = capture({ columns: 40, hasColours: true });
  writeTable(output, rows, [
    { title: 'ID', text: (row) => row.id, style: () => 'green' },
    { title: 'TITLE', text: (row) => row.title },
  ]);
  expect(text().split('\n')).toEqual([
    '\u001b[2mID       TITLE\u001b[0m',
    `\u001b[32ma      \u001b[0m  ${'x'.repeat(30)}…`,
    '\u001b[32mlong-id\u001b[0m  y',
    '',
  ]);
});

test('empty fields are left out', () => {
  const { output, text } = capture();
  writeFields(output, [
    ['a', '1'],
    ['bb', null],
    ['cc', ''],
  ]);
  expect(text()).toBe('a  1\n');
});

test.each([
  ['todo', true],
  ['scheduled', true],
  ['done', false],
  ['cancelled', false],
  ['archived', false],
])('a %s task with a parent that is not done shows that it waits: %s', (status, isShown) => {
  const { output, text } = capture();
  const task = { id: 'task_1', title: 'x', status, status_since: null, unmet_parents: 1, labels: {} };
  writeTask(output, { ...task, claim: null, blocked: null, body: null, summary: null } as unknown as Task);
  expect(text().includes('waits for')).toBe(isShown);
});

test('an age is as coarse as it is long', () => {
  const now = Date.parse('2026-01-10T00:00:00Z');
  const ages = [
    '2026-01-09T23:59:50Z',
    '2026-01-09T23:50:00Z',
    '2026-01-09T20:00:00Z',
    '2026-01-01T00:00:00Z',
    null,
  ];
  expect(ages.map((at) => age(at, now))).toEqual(['10s', '10m', '4h', '9d', '-']);
});

test('every kind of error has its documented exit code', () => {
  const problem = (status: number) =>
    new LanekeeperError({ code: 'internal', status, title: 't', detail: 'd' });
  const byStatus = [400, 401, 403, 404, 409, 412, 422, 500, 503].map((status) => exitCodeOf(problem(status)));
  expect(byStatus).toEqual([2, 4, 4, 3, 5, 5, 5, 1, 6]);
  expect(exitCodeOf(new UsageError('u'))).toBe(2);
  expect(exitCodeOf(new UnreachableError('x', { url: 'u', cause: null }))).toBe(6);
  expect(exitCodeOf(new ExitError(124))).toBe(124);
  expect(exitCodeOf(new Error('bug'))).toBe(1);
});
