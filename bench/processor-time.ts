/** Processor time of processes, from /proc: says who used the cores while something was measured. Linux only; elsewhere unknown. */
import { readdir, readFile } from 'node:fs/promises';
import { cpus } from 'node:os';

/** USER_HZ: the unit of /proc/<pid>/stat on every Linux that Node supports. */
const TICKS_PER_SECOND = 100;

interface ProcessTimes {
  readonly parent: number;
  readonly ownSeconds: number;
  /** Of children that have ended. */
  readonly reapedSeconds: number;
}

/** null where there is no such process or no /proc. */
async function readTimes(pid: number): Promise<ProcessTimes | null> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null);
  if (text === null) return null;
  // The name, in parentheses, may itself hold spaces and parentheses; what follows is numbered from the state (field 3).
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const ticks = (field: number): number => Number(fields[field - 3] ?? 0);
  return {
    parent: ticks(4),
    ownSeconds: (ticks(14) + ticks(15)) / TICKS_PER_SECOND,
    reapedSeconds: (ticks(16) + ticks(17)) / TICKS_PER_SECOND,
  };
}

/** Seconds of processor time of a process and its children, living and ended; NaN when unknown. */
async function readProcessorSeconds(pid: number): Promise<number> {
  const root = await readTimes(pid);
  if (root === null) return Number.NaN;
  let seconds = root.ownSeconds + root.reapedSeconds;
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const times = await readTimes(Number(name));
    if (times?.parent === pid) seconds += times.ownSeconds + times.reapedSeconds;
  }
  return seconds;
}

/** Of the whole machine, since it started. */
function readBusySeconds(): number {
  return cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0) / 1000;
}

/** Cores that the processes of each name used while `work` ran, and `other`: what the rest of the machine did meanwhile. */
export async function measureCores<T>(
  pids: Readonly<Record<string, readonly number[]>>,
  work: () => Promise<T>,
): Promise<{ readonly value: T; readonly cores: Readonly<Record<string, number>> }> {
  const readAll = async (): Promise<Record<string, number>> =>
    Object.fromEntries(
      await Promise.all(
        Object.entries(pids).map(async ([name, group]) => {
          const seconds = await Promise.all(group.map(readProcessorSeconds));
          return [name, seconds.reduce((sum, used) => sum + used, 0)] as const;
        }),
      ),
    );
  const startedAt = performance.now();
  const before = await readAll();
  const busyBefore = readBusySeconds();
  const value = await work();
  const busySeconds = readBusySeconds() - busyBefore;
  const after = await readAll();
  const elapsedSeconds = (performance.now() - startedAt) / 1000;
  const cores = Object.fromEntries(
    Object.keys(pids).map((name) => [
      name,
      ((after[name] ?? Number.NaN) - (before[name] ?? Number.NaN)) / elapsedSeconds,
    ]),
  );
  const named = Object.values(cores).reduce((sum, used) => sum + used, 0);
  return { value, cores: { ...cores, other: busySeconds / elapsedSeconds - named } };
}
