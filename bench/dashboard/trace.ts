/** What Chromium's own trace says of a page's main thread. Pure. */

/** As much of a trace event as is looked at; times in microseconds. */
interface TraceEvent {
  readonly name: string;
  readonly ph: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts: number;
  readonly dur?: number;
  readonly args?: { readonly name?: string };
}

export interface MainThread {
  /** Length of each task, in ms. */
  readonly tasksMs: readonly number[];
  /** For each frame until the next: how long the main thread was busy, in ms. */
  readonly framesMs: readonly number[];
}

export const TRACE_CATEGORIES = ['toplevel', 'devtools.timeline', 'disabled-by-default-devtools.timeline'];

const TASK = 'RunTask';
const FRAME = 'FireAnimationFrame';
const MICROSECONDS = 1000;

/** The page asks for a frame after each frame all the while: those are what the time is cut at. */
export function readMainThread(trace: string): MainThread {
  const { traceEvents } = JSON.parse(trace) as { traceEvents: readonly TraceEvent[] };
  const thread = busiestMain(traceEvents);
  const own = traceEvents.filter(({ pid, tid }) => `${pid}/${tid}` === thread);
  const tasks = own.filter(({ name, ph }) => name === TASK && ph === 'X').sort((a, b) => a.ts - b.ts);
  const starts = own.filter(({ name }) => name === FRAME).map(({ ts }) => ts);
  starts.sort((a, b) => a - b);
  const framesMs = starts.slice(1).map((end, index) => busyMs(tasks, starts[index] ?? end, end));
  return { tasksMs: tasks.map(({ dur = 0 }) => dur / MICROSECONDS), framesMs };
}

/** There is one for each page and frame process; ours is the one that fires animation frames. */
function busiestMain(events: readonly TraceEvent[]): string {
  const mains = new Set(
    events
      .filter(({ name, args }) => name === 'thread_name' && args?.name === 'CrRendererMain')
      .map(({ pid, tid }) => `${pid}/${tid}`),
  );
  const frames = new Map<string, number>();
  for (const { name, pid, tid } of events) {
    const thread = `${pid}/${tid}`;
    if (name === FRAME && mains.has(thread)) frames.set(thread, (frames.get(thread) ?? 0) + 1);
  }
  const [most] = [...frames].sort(([, left], [, right]) => right - left);
  if (most === undefined) throw new Error('the trace knows no page that draws');
  return most[0];
}

function busyMs(tasks: readonly TraceEvent[], from: number, to: number): number {
  let busy = 0;
  for (const { ts, dur = 0 } of tasks) {
    if (ts >= to) break;
    busy += Math.max(0, Math.min(ts + dur, to) - Math.max(ts, from));
  }
  return busy / MICROSECONDS;
}
