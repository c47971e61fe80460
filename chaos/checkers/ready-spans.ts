/**
 * From the log: when each task could have been claimed, to be worked on or to be reviewed, cut to the times at which its lane handed out
 * work. What waits for its parents or for people is nobody's to claim.
 */
import type { Event } from '../../src/contract/events.ts';
import type { AtMs } from '../history.ts';
import { ReviewPhases } from './review-phases.ts';

export interface Span {
  readonly from: AtMs;
  readonly until: AtMs;
}

/** One task that could be claimed for all of that time. */
export interface ReadySpan extends Span {
  readonly taskId: string;
  readonly lane: string;
  /** Whose work it is to review: everybody else may claim it. null: anybody may. */
  readonly exceptWorker: string | null;
}

interface Claimable {
  readonly since: AtMs;
  readonly exceptWorker: string | null;
}

interface LaneState {
  data: Record<string, unknown>;
  /** Tasks that wait for the lane, from when on they could be claimed. */
  readonly ready: Map<string, Claimable>;
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
  readonly #phases = new ReviewPhases();
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
    this.#phases.apply(event);
    const after = event.data['status_after'];
    const lane = this.#laneOfTask.get(taskId);
    if (lane !== undefined && (after !== undefined || event.kind === 'task.assigned')) {
      this.#close(taskId, lane, at);
      this.#laneOfTask.delete(taskId);
    }
    const waiting = this.#waitingOf(taskId, event);
    if (waiting === null) return;
    this.#laneOfTask.set(taskId, waiting.lane);
    this.#laneOf(waiting.lane).ready.set(taskId, { since: at, exceptWorker: waiting.exceptWorker });
  }

  /** For whom the task waits after this event. */
  #waitingOf(taskId: string, event: Event): Pick<ReadySpan, 'lane' | 'exceptWorker'> | null {
    const { status_after: after, lane_after: laneAfter = event.lane ?? null } = event.data;
    if (after === 'ready' && typeof laneAfter === 'string') return { lane: laneAfter, exceptWorker: null };
    const phase = this.#phases.phaseOf(taskId);
    if (after !== 'review' || phase === null || phase.reviewer === null) return null;
    // The same name on another lane is another worker.
    const isItsLane = phase.reviewer === phase.implementerLane;
    return { lane: phase.reviewer, exceptWorker: isItsLane ? phase.implementer : null };
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
    for (const [taskId, claimable] of [...ready]) {
      this.#close(taskId, name, at);
      ready.set(taskId, { ...claimable, since: at });
    }
  }

  #close(taskId: string, name: string, at: AtMs): void {
    const state = this.#laneOf(name);
    const claimable = state.ready.get(taskId);
    state.ready.delete(taskId);
    if (claimable === undefined || this.#isBoardPaused || !isHandingOut(state)) return;
    const { since: from, exceptWorker } = claimable;
    this.spans.push({ taskId, lane: name, from, until: at, exceptWorker });
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
