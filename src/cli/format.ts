/** How resources look to people. Lines and words only; what is data and what is a message is the caller's choice. */
import type { Delegation } from '../contract/delegations.ts';
import type { Event } from '../contract/events.ts';
import type { Lane } from '../contract/lanes.ts';
import type { Task } from '../contract/tasks.ts';
import { type Output, printable, printableLines, type Style } from './output.ts';
import { type Column, writeFields, writeTable } from './table.ts';

const STATUS_STYLES: Readonly<Record<string, Style>> = {
  ready: 'blue',
  running: 'cyan',
  review: 'magenta',
  blocked: 'yellow',
  done: 'green',
  cancelled: 'dim',
  archived: 'dim',
};

export function styleOfStatus(status: string): Style | undefined {
  return STATUS_STYLES[status];
}

/** "1 line", "2 lines". */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** "12s", "5m", "3h", "2d": enough to see what hangs. */
export function age(timestamp: string | null, nowMs = Date.now()): string {
  if (timestamp === null) return '-';
  const seconds = Math.max(0, Math.floor((nowMs - Date.parse(timestamp)) / 1000));
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}

export const TASK_COLUMNS: readonly Column<Task>[] = [
  { title: 'ID', text: (task) => task.id },
  { title: 'STATUS', text: (task) => task.status, style: (task) => styleOfStatus(task.status) },
  { title: 'LANE', text: (task) => task.lane ?? '-' },
  { title: 'PRIO', text: (task) => String(task.priority) },
  { title: 'SINCE', text: (task) => age(task.status_since) },
  { title: 'TITLE', text: (task) => task.title },
];

export function writeTasks(output: Output, tasks: readonly Task[]): void {
  writeTable(output, tasks, TASK_COLUMNS);
}

export function taskLine(output: Output, task: Task): string {
  const status = output.style(styleOfStatus(task.status) ?? 'bold', task.status);
  const where = task.lane === null ? 'on no lane' : `on lane ${task.lane}`;
  return `${task.id} ${status} ${where}: ${printable(task.title)}`;
}

/** The end of an id is its random part, which tells tasks of one second apart. */
const SHORT_ID_CHARACTERS = 8;

export function shortId(id: string): string {
  return id.slice(-SHORT_ID_CHARACTERS);
}

export function isFinished({ status }: Pick<Task, 'status'>): boolean {
  return status === 'done' || status === 'cancelled' || status === 'archived';
}

/** A task that was ended while a parent was not done waits for nothing any more. */
function waitsFor(task: Task): string | null {
  if (task.unmet_parents === 0 || isFinished(task)) return null;
  return `${task.unmet_parents} to be done; see task graph`;
}

export function writeTask(output: Output, task: Task): void {
  const { claim, blocked } = task;
  writeFields(output, [
    ['id', task.id],
    ['title', task.title],
    ['status', `${task.status} for ${age(task.status_since)}`],
    [
      'blocked',
      blocked === null ? null : [blocked.kind, blocked.reason].filter((part) => part !== null).join(': '),
    ],
    ['waits for', waitsFor(task)],
    ['lane', task.lane],
    ['reviewer', task.reviewer],
    [
      'claim',
      claim === null
        ? null
        : `${claim.worker}, attempt ${claim.attempt}, lease until ${claim.lease_expires_at}`,
    ],
    ['cancel', claim?.cancel_requested ? 'requested' : null],
    ['run at', task.run_at],
    ['priority', String(task.priority)],
    ['attempts', String(task.attempt)],
    ['failures', `${task.consecutive_failures} of ${task.max_failures}`],
    ['labels', labelText(task.labels)],
    ['tenant', task.tenant],
    ['external ref', task.external_ref],
    ['comments', task.comment_count === 0 ? null : String(task.comment_count)],
    ['created', task.created_at],
    ['finished', task.finished_at],
    ['payload', jsonText(task.payload)],
    ['result', jsonText(task.result)],
  ]);
  if (task.body !== null) output.line(`\n${printableLines(task.body)}`);
  if (task.summary !== null) output.line(`\n${printableLines(task.summary)}`);
}

export const LANE_COLUMNS: readonly Column<Lane>[] = [
  { title: 'LANE', text: (lane) => lane.name },
  { title: 'KIND', text: (lane) => lane.kind },
  { title: 'MODE', text: (lane) => lane.claim_mode },
  { title: 'STATE', text: laneState, style: (lane) => (laneState(lane) === 'open' ? 'green' : 'yellow') },
  {
    title: 'WORKERS',
    text: (lane) => String(lane.presence.workers.filter((worker) => worker.online).length),
  },
  { title: 'READY', text: (lane) => String(lane.backlog.ready) },
  { title: 'RUNNING', text: (lane) => String(lane.backlog.running) },
  { title: 'OLDEST', text: (lane) => age(lane.backlog.oldest_ready_at) },
];

export function writeLanes(output: Output, lanes: readonly Lane[]): void {
  writeTable(output, lanes, LANE_COLUMNS);
}

export const DELEGATION_COLUMNS: readonly Column<Delegation>[] = [
  { title: 'DELEGATION', text: (row) => row.id },
  { title: 'STATUS', text: (row) => row.status },
  { title: 'TASKS', text: (row) => String(row.tasks.length) },
  { title: 'CREATED', text: (row) => age(row.created_at) },
  { title: 'SESSION', text: (row) => row.origin?.session_id ?? '-' },
  { title: 'GOAL', text: (row) => row.goal ?? '-' },
];

export function laneState(lane: Lane): string {
  if (lane.paused) return 'paused';
  return lane.draining ? 'draining' : 'open';
}

export function writeLane(output: Output, lane: Lane): void {
  const { backlog, presence } = lane;
  writeFields(output, [
    ['lane', `${lane.board}/${lane.name}`],
    ['description', lane.description],
    ['kind', lane.kind],
    ['claim mode', lane.claim_mode],
    ['status mutations', lane.allowed_status_mutations],
    ['state', laneState(lane)],
    ['presence', `${presence.online ? 'online' : 'offline'}, epoch ${lane.epoch}`],
    [
      'backlog',
      `${backlog.ready} ready, ${backlog.running} running, oldest ready ${age(backlog.oldest_ready_at)}`,
    ],
    ['claims at most', lane.max_concurrent_claims === null ? null : String(lane.max_concurrent_claims)],
    ['lease', `${lane.lease_seconds} s`],
    ['no progress after', secondsText(lane.no_progress_seconds)],
    ['runtime at most', secondsText(lane.max_runtime_seconds)],
    ['labels', labelText(lane.labels)],
    ['spawn', lane.spawn === null ? null : lane.spawn.argv.join(' ')],
  ]);
  if (presence.workers.length === 0) return;
  output.line();
  writeTable(output, presence.workers, [
    { title: 'WORKER', text: (worker) => worker.worker },
    { title: 'ONLINE', text: (worker) => (worker.online ? 'yes' : 'no') },
    { title: 'SEEN', text: (worker) => age(worker.last_seen_at) },
    { title: 'IN FLIGHT', text: (worker) => String(worker.in_flight) },
    { title: 'VERSION', text: (worker) => worker.version ?? '-' },
  ]);
}

/** One event on one line: time, seq, kind, what it is about, and what it says. */
export function eventLine(output: Output, event: Event): string {
  const about = [event.task_id, event.lane, event.worker].filter((part) => part !== undefined).map(printable);
  const { title, reason, summary, error, text: message, body } = event.data;
  const said = [title, reason, summary, error, message, body].find((text) => typeof text === 'string');
  const tail = typeof said === 'string' ? `  ${printable(said)}` : '';
  return `${output.style('dim', event.at)}  ${event.seq}  ${output.style('bold', event.kind)}  ${about.join('  ')}${tail}`;
}

function jsonText(value: unknown): string | null {
  return value === null || value === undefined ? null : JSON.stringify(value);
}

function labelText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
}

function secondsText(seconds: number | null): string | null {
  return seconds === null ? null : `${seconds} s`;
}
