/** What an import met that is worth telling, counted by kind, each with a few of the tasks it is about. */

/** Every kind, and what it means for whoever reads the report. */
export const FINDINGS = {
  unusable_id: 'tasks without an id of their own that can be an external_ref: left out',
  unknown_status: 'tasks in a status that Lanekeeper does not know: in triage',
  running: 'tasks that were running: ready again, their open run closed as reclaimed',
  ready_with_open_parents: 'tasks that could start although a parent is not done: todo',
  todo_without_open_parents: 'tasks that waited for nothing that is not done: ready',
  scheduled_without_time: 'tasks that were scheduled without a time: blocked until somebody unblocks them',
  not_sticky:
    'blocked tasks that Hermes might have let go on by itself: blocked until somebody unblocks them',
  created_at_unknown:
    'tasks without a readable created_at: they begin with the import, or with the first that is known of them',
  other_board: 'the board has another name in Hermes than the one it is imported into',
  lane_renamed: 'assignees whose names cannot be names of lanes: changed',
  lane_shared: 'assignees whose names became the same name: one lane for both',
  lane_unusable:
    'assignees of whose names nothing is left that a lane could be called: their tasks have none',
  text_cut: 'tasks of which a text was too long: cut',
  legacy_cut: 'tasks with more columns and events than fit into payload.hermes: some left out',
  history_cut: 'tasks with more runs or comments than fit: the newest kept',
  idempotency_key_duplicate: 'tasks whose idempotency_key a newer one has: without it',
  idempotency_key_unusable: 'tasks whose idempotency_key is too long: without it',
  idempotency_key_taken: 'tasks whose idempotency_key another task of the board holds: without it',
  link_dangling: 'links from or to a task that is not there: left out',
  link_to_itself: 'links of a task to itself: left out',
  link_cycle: 'links that would make tasks wait for each other: left out',
  link_excess: 'links beyond what one task may have: left out',
  parent_unknown: 'links to a task that the board does not have: left out',
  parent_full: 'links to a task that as many wait for as may: left out',
  run_orphaned: 'runs of tasks that are gone: left out',
  comment_orphaned: 'comments on tasks that are gone: left out',
  event_orphaned: 'events of tasks that are gone: left out',
  event_left_out: 'older events than payload.hermes has room for: left out',
  attachment_orphaned: 'attachments of tasks that are gone: left out',
  attachment: 'attachments: their names and paths are in payload.hermes, their files stay where they are',
  attachment_missing: 'attachments whose files cannot be found from here: marked with file_missing',
  subscription_orphaned: 'subscriptions to tasks that are gone: left out',
  subscription_over: 'subscriptions to tasks that are finished, of which nothing will be told: left out',
  subscription_unusable: 'subscriptions without a platform, or with a target that is too long: left out',
  // What Hermes says can never be.
  current_run_not_open: 'broken: tasks with a current_run_id whose run is not open',
  two_open_runs: 'broken: tasks with more than one open run: all closed as reclaimed',
  finished_with_open_run: 'broken: done or archived tasks with an open run: closed as reclaimed',
  idle_with_open_run: 'broken: tasks that do not run, with an open run: closed as reclaimed',
  running_without_lock: 'broken: running tasks that nobody holds the lock of',
} as const;

export type Finding = keyof typeof FINDINGS;

const EXAMPLES_MAX = 5;

export interface FindingCount {
  readonly code: Finding;
  readonly count: number;
  readonly meaning: string;
  readonly examples: readonly string[];
}

export class Findings {
  readonly #found = new Map<Finding, { count: number; examples: string[] }>();

  /** @param example Which task, link or name. */
  add(code: Finding, example: string | null = null, count = 1): void {
    if (count === 0) return;
    const entry = this.#found.get(code) ?? { count: 0, examples: [] };
    entry.count += count;
    if (example !== null && entry.examples.length < EXAMPLES_MAX) entry.examples.push(example);
    this.#found.set(code, entry);
  }

  /** In the order of the list above. */
  list(): FindingCount[] {
    return (Object.keys(FINDINGS) as Finding[]).flatMap((code) => {
      const entry = this.#found.get(code);
      return entry === undefined ? [] : [{ code, meaning: FINDINGS[code], ...entry }];
    });
  }
}
