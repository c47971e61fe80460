import { expect, it } from 'vitest';
import { readMainThread } from '../../bench/dashboard/trace.ts';

const main = { pid: 1, tid: 1 };
const named = (pid: number, tid: number, name: string) => ({
  name: 'thread_name',
  ph: 'M',
  pid,
  tid,
  ts: 0,
  args: { name },
});
const frame = (ts: number) => ({ ...main, name: 'FireAnimationFrame', ph: 'X', ts, dur: 1 });
const task = (ts: number, dur: number) => ({ ...main, name: 'RunTask', ph: 'X', ts, dur });

it('a frame is as long as the main thread was busy between it and the next, whatever waits lie in it', () => {
  const traceEvents = [
    named(1, 1, 'CrRendererMain'),
    named(2, 1, 'CrRendererMain'),
    named(1, 2, 'Compositor'),
    // Out of order, as traces are; one task reaches over a frame's start.
    task(30_000, 9000),
    frame(10_000),
    frame(26_000),
    frame(42_000),
    task(10_000, 4000),
    task(24_000, 5000),
    { ...task(11_000, 90_000), pid: 2 },
    { ...task(11_000, 80_000), tid: 2 },
  ];
  const { framesMs, tasksMs } = readMainThread(JSON.stringify({ traceEvents }));
  expect(framesMs).toEqual([6, 12]);
  expect(Math.max(...tasksMs)).toBe(9);
});

it('a trace without a page that draws is no measurement', () => {
  const traceEvents = [named(1, 1, 'CrRendererMain'), task(1, 1)];
  expect(() => readMainThread(JSON.stringify({ traceEvents }))).toThrow('no page');
});
