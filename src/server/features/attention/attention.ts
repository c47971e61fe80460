/** What on a board waits for a person, oldest first, each with what resolves it. Only looks, and never at the whole of a big board. */

import type { AttentionAction, AttentionCode, AttentionEntry } from '../../../contract/attention.ts';
import { LIMITS } from '../../../contract/constants.ts';
import type { LaneKind } from '../../../contract/lanes.ts';
import type { WhyCode, WhyReason } from '../../../contract/why.ts';
import { pinPlans, type Tx } from '../../db/client.ts';
import { formatId, type Uuid } from '../../kernel/ids.ts';
import { type BoardRef, settingsOf } from '../boards/service.ts';
import { type LaneOffline, listLanesOffline } from '../lanes/service.ts';
import {
  type HaltedTask,
  type LapsingLease,
  listHaltedTasks,
  listLapsingLeases,
  listStrandedTasks,
  type NamedTask,
  nameTasks,
  type StrandedTask,
} from './store/attention.ts';
import { readBoardState } from './store/why.ts';
import type { Why } from './why.ts';

/** A page: more than a person gets through in a day. Pinned by the issue. */
const ENTRIES_MAX = LIMITS.pageRowsMax;
/** Looked at of each kind, so that the oldest are found also where they are not the tasks that were created first. */
const ROWS_PER_KIND_MAX = 1000;

/** The work of a lane that nobody serves is counted this far: of up to a thousand lanes. */
const READY_MAX = 100;

/** What waits, before it is known by its title. */
interface Candidate {
  readonly taskId?: Uuid;
  readonly lane?: string;
  readonly code: AttentionCode;
  readonly since: string;
  readonly detail: string;
  readonly actions: readonly AttentionAction[];
}

export interface AttentionPage {
  readonly attention: AttentionEntry[];
  readonly truncated: boolean;
}

export class Attention {
  readonly #why: Why;

  constructor(why: Why) {
    this.#why = why;
  }

  /** To be called before the snapshot that is given to `list` is taken. */
  prepare(): Promise<void> {
    return this.#why.noticeWorkers();
  }

  /** @param tx A snapshot: the parts are of one instant. */
  async list(tx: Tx, board: BoardRef): Promise<AttentionPage> {
    // A database that was never analyzed would read all of what it believes to be small.
    await pinPlans(tx);
    const state = await readBoardState(tx, board.id);
    const { stranded_after_seconds: reviewSeconds } = settingsOf(state ?? { settings: {} });
    const halted = await listHaltedTasks(tx, board.id, reviewSeconds, ROWS_PER_KIND_MAX);
    const stranded = await listStrandedTasks(tx, board.id, ROWS_PER_KIND_MAX);
    const leases = await listLapsingLeases(tx, board.id, ROWS_PER_KIND_MAX);
    const lanes = await listLanesOffline(tx, board.id, { lanes: ROWS_PER_KIND_MAX, ready: READY_MAX });
    const isCut =
      [stranded, leases, lanes].some(isFull) ||
      (['blocked', 'triage', 'review'] as const).some((status) =>
        isFull(halted.filter((task) => task.status === status)),
      );
    const all: Candidate[] = [
      ...halted.filter((task) => !task.is_in_time).map(candidateOfHalted),
      ...stranded.map(candidateOfStranded),
      ...leases.map(candidateOfLease),
      ...lanes.map(candidateOfLane),
    ];
    const shown = all.sort(byAge).slice(0, ENTRIES_MAX);
    return {
      attention: await this.#entriesOf(tx, board, shown),
      truncated: isCut || all.length > shown.length,
    };
  }

  async #entriesOf(tx: Tx, board: BoardRef, shown: readonly Candidate[]): Promise<AttentionEntry[]> {
    const idsOf = (candidates: readonly Candidate[]): Uuid[] =>
      candidates.flatMap(({ taskId }) => (taskId === undefined ? [] : [taskId]));
    const ids = idsOf(shown);
    const names = ids.length === 0 ? [] : await nameTasks(tx, board.id, ids);
    const byId = new Map(names.map((row) => [row.id, row]));
    const stranded = idsOf(shown.filter(({ code }) => code === 'stranded'));
    const reasons = await this.#why.reasonsOf(tx, board.id, stranded);
    return shown.flatMap(({ taskId, lane, code, since, detail, actions }): AttentionEntry[] => {
      const entry = { code, since, detail, actions: [...actions] };
      if (lane !== undefined) return [{ lane, ...entry }];
      const row = taskId === undefined ? undefined : byId.get(taskId);
      if (row === undefined) return [];
      switch (code) {
        case 'stranded':
          return [
            { task: taskOf(row), ...entry, ...strandedBecause(reasons.get(row.id) ?? [], row.lane_kind) },
          ];
        case 'blocked':
        case 'gave_up':
          return [{ task: taskOf(row), ...entry, detail: row.blocked_reason ?? detail }];
        default:
          return [{ task: taskOf(row), ...entry }];
      }
    });
  }
}

const isFull = (rows: readonly unknown[]): boolean => rows.length >= ROWS_PER_KIND_MAX;

/** Times of one form: their order is that of their texts. */
function byAge(left: Candidate, right: Candidate): number {
  if (left.since !== right.since) return left.since < right.since ? -1 : 1;
  return (left.taskId ?? left.lane ?? '') < (right.taskId ?? right.lane ?? '') ? -1 : 1;
}

function taskOf({ id, title, status, lane, priority, version }: NamedTask): AttentionEntry['task'] {
  return { id: formatId('task', id), title, status, lane, priority, version };
}

function candidateOfHalted(task: HaltedTask): Candidate {
  const { id: taskId, status, since, blocked_kind: kind } = task;
  switch (status) {
    case 'blocked': {
      const code = kind === 'gave_up' ? 'gave_up' : 'blocked';
      // The reason, where one was given, is read for those that are shown.
      const detail = kind === null ? 'No reason was given.' : `Kind ${kind}; no reason was given.`;
      return { taskId, code, since, detail, actions: ['unblock', 'assign', 'complete', 'cancel'] };
    }
    case 'triage': {
      const detail = 'Somebody has to look at what the task is about.';
      return { taskId, code: 'in_triage', since, detail, actions: ['promote', 'assign', 'cancel'] };
    }
    default: {
      const detail =
        task.reviewer === null
          ? 'The work is handed over and waits for a person to look at it.'
          : `The work is handed over, and lane ${task.reviewer} has not looked at it.`;
      const actions = ['accept', 'request-changes', 'assign', 'cancel'] as const;
      return { taskId, code: 'review_waiting', since, detail, actions };
    }
  }
}

function candidateOfStranded({ id, since }: StrandedTask): Candidate {
  // Why, and what to do about it, is read for those that are shown.
  return { taskId: id, code: 'stranded', since, detail: '', actions: [] };
}

function candidateOfLease({ id, lane, worker, since, lease_expires_at }: LapsingLease): Candidate {
  const detail = `Nothing was heard of ${worker} on lane ${lane} since ${since}; its lease ends at ${lease_expires_at}.`;
  return { taskId: id, code: 'lease_lapsing', since, detail, actions: ['reclaim', 'steer', 'cancel'] };
}

function candidateOfLane({ name, kind, since, ready, last_seen_at: seen }: LaneOffline): Candidate {
  const tasks = ready >= READY_MAX ? `${READY_MAX} or more` : ready;
  const detail = `${tasks} ready, and ${seen === null ? 'there never was a worker' : `no worker since ${seen}`}.`;
  return {
    lane: name,
    code: 'lane_offline',
    since,
    detail,
    actions: [serverOf(kind), 'assign'],
  };
}

/** The command that serves such a lane. */
function serverOf(kind: LaneKind | null): 'dispatch' | 'work' {
  return kind === 'spawn' ? 'dispatch' : 'work';
}

/** What gets a stranded task going, by what keeps it. Whatever it is, the task may be given to others, or up. */
const REMEDIES: Partial<Record<WhyCode, readonly AttentionAction[]>> = {
  board_paused: ['resume'],
  lane_unknown: ['register'],
  lane_paused: ['resume'],
  lane_draining: ['resume'],
  lane_human: ['complete'],
};

function strandedBecause(
  reasons: readonly WhyReason[],
  kind: LaneKind | null,
): Pick<AttentionEntry, 'detail' | 'actions'> {
  const remedies = reasons.flatMap(({ code }) =>
    code === 'lane_offline' ? [serverOf(kind)] : (REMEDIES[code] ?? []),
  );
  return {
    detail: reasons.map(({ detail }) => detail).join(' '),
    actions: [...new Set<AttentionAction>([...remedies, 'assign', 'cancel'])],
  };
}
