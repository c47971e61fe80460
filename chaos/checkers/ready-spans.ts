/** From the log: when each task could have been claimed, cut to the times at which its lane handed out work. */
import type { Event } from '../../src/contract/events.ts';
import type { AtMs } from '../history.ts';

export interface Span {
  readonly from: AtMs;
  readonly until: AtMs;
}

/** One task that could be claimed for all of that time. */
export interface ReadySpan extends Span {
  readonly taskId: string;
  readonly lane: string;
}

interface LaneState {
  data: Record<string, unknown>;
  /** Ready tasks of the lane, from when on they could be claimed. */
  readonly ready: Map<string, AtMs>;
}

/** The others say who is there. */
const LANE_CHANGES: ReadonlySet<string> = new Set([
  'lane.registered',
  'lane.updated',
  'lane.paused',
  'lane.resumed',
  'lane.draining',
  'lane.deregistered',
]);

/** Paused, draining, capped, or worked by people: then a ready task may rightly wait. */
function isHandingOut({ data }: LaneState): boolean {
  const isOpen = data['paused'] === false && data['draining'] === false;
  const isForWorkers = data['kind'] !== 'human' && data['allowed_status_mutations'] !== 'none';
  return isOpen && isForWorkers && (data['max_concurrent_claims'] ?? null) === null;
}

class ReadyTimes {
  readonly spans: ReadySpan[] = [];
  readonly #lanes = new Map<string, LaneState>();
  readonly #laneOfTask = new Map<string, string>();
  #isBoardPaused = false;

  apply(event: Event, at: AtMs): void {
    if (event.kind.startsWith('lane.')) this.#changeLane(event, at);
    else if (event.kind.startsWith('board.')) this.#changeBoard(event, at);
    else if (event.task_id !== undefined) this.#changeTask(event.task_id, event, at);
  }

  end(at: AtMs): void {
    for (const name of this.#lanes.keys()) this.#cut(name, at);
  }

  #changeTask(taskId: string, event: Event, at: AtMs): void {
    const after = event.data['status_after'];
    const lane = this.#laneOfTask.get(taskId);
    if (lane !== undefined && (after !== undefined || event.kind === 'task.assigned')) {
      this.#close(taskId, lane, at);
      this.#laneOfTask.delete(taskId);
    }
    if (after !== 'ready' || event.lane === undefined) return;
    this.#laneOfTask.set(taskId, event.lane);
    this.#laneOf(event.lane).ready.set(taskId, at);
  }

  /** What changes for a lane begins anew: a task then counts as waiting only since the change. */
  #changeLane(event: Event, at: AtMs): void {
    if (!LANE_CHANGES.has(event.kind)) return;
    const name = event.lane ?? '';
    this.#cut(name, at);
    const state = this.#laneOf(name);
    if (event.kind === 'lane.registered') state.data = { paused: false, draining: false };
    if (event.kind === 'lane.deregistered') state.data = {};
    else Object.assign(state.data, event.data);
  }

  #changeBoard(event: Event, at: AtMs): void {
    for (const name of this.#lanes.keys()) this.#cut(name, at);
    const settings = event.data['settings'];
    if (typeof settings !== 'object' || settings === null || Array.isArray(settings)) return;
    if (typeof settings['paused'] === 'boolean') this.#isBoardPaused = settings['paused'];
  }

  #laneOf(name: string): LaneState {
    const known = this.#lanes.get(name);
    if (known !== undefined) return known;
    const state: LaneState = { data: {}, ready: new Map() };
    this.#lanes.set(name, state);
    return state;
  }

  #cut(name: string, at: AtMs): void {
    const { ready } = this.#laneOf(name);
    for (const taskId of [...ready.keys()]) {
      this.#close(taskId, name, at);
      ready.set(taskId, at);
    }
  }

  #close(taskId: string, name: string, at: AtMs): void {
    const state = this.#laneOf(name);
    const from = state.ready.get(taskId);
    state.ready.delete(taskId);
    if (from === undefined || this.#isBoardPaused || !isHandingOut(state)) return;
    this.spans.push({ taskId, lane: name, from, until: at });
  }
}

export function listReadySpans(
  events: readonly Event[],
  atMsOf: (time: string) => AtMs,
  endAt: AtMs,
): ReadySpan[] {
  const times = new ReadyTimes();
  for (const event of events) times.apply(event, atMsOf(event.at));
  times.end(endAt);
  return times.spans;
}
