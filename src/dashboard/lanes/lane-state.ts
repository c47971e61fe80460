/** What is to be said of a lane: its state in a word, what is wrong with it, and in which order lanes stand. Pure. */
import type { Lane } from '../../client/index.ts';
import type { Card } from '../live/card.ts';

export type LaneState = 'online' | 'busy' | 'at_capacity' | 'offline' | 'paused' | 'draining' | 'people';

/** What waits for a lane and what runs on it. */
export interface Load {
  readonly ready: number;
  readonly running: number;
  /** Since when the longest waiting task is ready; null: none is. */
  readonly oldestReadyMs: number | null;
}

interface LaneProblem {
  readonly tone: 'danger' | 'warn';
  readonly text: string;
}

/** The server reports a task as stranded after so long, unless the board says otherwise. */
const LONG_WAIT_MS = 300_000;

export const IDLE: Load = { ready: 0, running: 0, oldestReadyMs: null };

export function loadOf({ backlog }: Lane): Load {
  const { ready, running, oldest_ready_at: oldest } = backlog;
  return { ready, running, oldestReadyMs: oldest === null ? null : Date.parse(oldest) };
}

/** The load of every lane that has any, as the cards of the live board have it. */
export function loadsOf(ready: readonly Card[], running: readonly Card[]): ReadonlyMap<string, Load> {
  const loads = new Map<string, Load>();
  for (const { lane, statusSinceMs } of ready) {
    if (lane === null) continue;
    const before = loads.get(lane) ?? IDLE;
    const oldest = before.oldestReadyMs ?? statusSinceMs;
    loads.set(lane, { ...before, ready: before.ready + 1, oldestReadyMs: Math.min(oldest, statusSinceMs) });
  }
  for (const { lane } of running) {
    if (lane === null) continue;
    const before = loads.get(lane) ?? IDLE;
    loads.set(lane, { ...before, running: before.running + 1 });
  }
  return loads;
}

/** What somebody did to the lane weighs more than who is there, and that more than how busy they are. */
export function stateOf(lane: Lane, load: Load): LaneState {
  if (lane.draining) return 'draining';
  if (lane.paused) return 'paused';
  if (lane.kind === 'human') return 'people';
  if (!lane.presence.online) return 'offline';
  const { max_concurrent_claims: most } = lane;
  if (most !== null && load.running >= most) return 'at_capacity';
  return load.running > 0 ? 'busy' : 'online';
}

/** Nothing for a healthy lane, however busy it is. */
export function problemsOf(lane: Lane, load: Load, nowMs: number): readonly LaneProblem[] {
  const problems: LaneProblem[] = [];
  const state = stateOf(lane, load);
  const waiting = load.ready === 1 ? '1 ready task waits' : `${load.ready} ready tasks wait`;
  const isUnserved = lane.kind !== 'human' && !lane.presence.online;
  if (load.ready > 0 && state === 'paused')
    problems.push({ tone: 'warn', text: `It is paused while ${waiting}.` });
  else if (load.ready > 0 && state === 'draining')
    problems.push({ tone: 'warn', text: `It drains while ${waiting}: then it is paused.` });
  else if (load.ready > 0 && isUnserved)
    problems.push({ tone: 'danger', text: `Nobody is there while ${waiting}.` });
  else if (isWaitingLong(lane, load, nowMs))
    problems.push({ tone: 'warn', text: `${waiting}, the first for more than five minutes.` });
  if (isUnserved && load.running > 0)
    problems.push({ tone: 'warn', text: 'Work is held there, but no worker is online.' });
  return problems;
}

/** People take their time. */
function isWaitingLong({ kind }: Lane, { oldestReadyMs }: Load, nowMs: number): boolean {
  return kind !== 'human' && oldestReadyMs !== null && nowMs - oldestReadyMs > LONG_WAIT_MS;
}

export const LANE_ORDERS = ['name', 'backlog', 'age'] as const;
export type LaneOrder = (typeof LANE_ORDERS)[number];

export function orderOf(text: string | null): LaneOrder {
  return LANE_ORDERS.find((order) => order === text) ?? 'name';
}

export interface LoadedLane {
  readonly lane: Lane;
  readonly load: Load;
}

const byName = (left: LoadedLane, right: LoadedLane): number =>
  left.lane.name < right.lane.name ? -1 : Number(left.lane.name > right.lane.name);

const COMPARISONS: Readonly<Record<LaneOrder, (left: LoadedLane, right: LoadedLane) => number>> = {
  name: byName,
  backlog: (left, right) => right.load.ready - left.load.ready || byName(left, right),
  age: (left, right) => waitingSince(left) - waitingSince(right) || byName(left, right),
};

/** For all that nothing waits for the same finite number, so that two of them can be compared. */
function waitingSince({ load }: LoadedLane): number {
  return load.oldestReadyMs ?? Number.MAX_SAFE_INTEGER;
}

export function sortLanes(lanes: readonly LoadedLane[], order: LaneOrder): readonly LoadedLane[] {
  return [...lanes].sort(COMPARISONS[order]);
}

/** Every word is somewhere in its name, description, labels, workers or state. */
export function isMatching({ lane, load }: LoadedLane, filter: string): boolean {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return true;
  const labels = Object.entries(lane.labels).map(([key, value]) => `${key}:${value}`);
  const workers = lane.presence.workers.map(({ worker }) => worker);
  const state = stateOf(lane, load).replace('_', ' ');
  const text = [lane.name, lane.kind, state, lane.description ?? '', ...labels, ...workers];
  const whole = text.join('\n').toLowerCase();
  return words.every((word) => whole.includes(word));
}

/** How many tasks name each lane that nobody has registered; nobody can claim those. */
export function unknownLanes(
  unfinished: readonly (readonly Card[])[],
  known: ReadonlySet<string>,
): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const cards of unfinished)
    for (const { lane } of cards)
      if (lane !== null && !known.has(lane)) counts.set(lane, (counts.get(lane) ?? 0) + 1);
  return counts;
}
