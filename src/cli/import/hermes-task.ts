/** One Hermes task, with all that belongs to it, as the import takes it. */
import { LIMITS } from '../../contract/constants.ts';
import type { ImportedTask } from '../../contract/import.ts';
import {
  boundedIntegerOf,
  cutJsonText,
  cutText,
  integerOf,
  type Row,
  textOf,
  timeOf,
  wordOf,
} from './cell.ts';
import type { Findings } from './findings.ts';
import type { HermesLanes } from './hermes-lanes.ts';
import { type HermesRuns, runOfResult, runsOf } from './hermes-runs.ts';
import { blockStreakOf, handOverOf, standingOf } from './hermes-status.ts';
import { legacyOf } from './legacy.ts';

export interface HermesTask {
  readonly row: Row;
  readonly runs: readonly Row[];
  readonly comments: readonly Row[];
  readonly events: readonly Row[];
  readonly attachments: readonly Row[];
}

export interface Translation {
  readonly lanes: HermesLanes;
  readonly findings: Findings;
  /** When nothing says when a task began. RFC 3339. */
  readonly now: string;
}

const TENANT_CHARACTERS_MAX = 128;
const AUTHOR_CHARACTERS_MAX = 200;
const FAILURES_MAX = 1000;
const IDEMPOTENCY_KEY_CHARACTERS_MAX = 255;
/** Of all comments of a task; the wire takes 8 MiB with everything else of a batch. */
const COMMENT_BYTES_MAX = 2 * 1024 * 1024;
/** Half of the wire's 256 KiB: where no run takes it, it is in the payload with all the rest. */
const RESULT_BYTES_MAX = 128 * 1024;

export function importedTask(
  id: string,
  hermes: HermesTask,
  holdsKey: boolean,
  parents: readonly string[],
  translation: Translation,
): ImportedTask {
  const { row, events } = hermes;
  const { lanes, findings } = translation;
  const createdAt = createdAtOf(id, hermes, translation);
  const runs = runsOf(hermes.runs, lanes, createdAt);
  const { findings: met, ...standing } = standingOf(row, events);
  for (const finding of met) findings.add(finding, id);
  findBreaks(id, row, runs, findings);
  const texts = textsOf(row);
  const finishedAt = finishedAtOf(row, events, standing.status);
  const comments = commentsOf(hermes.comments, createdAt);
  if (texts.isCut || runs.isCut) findings.add('text_cut', id);
  if (comments.isCut || runs.isHistoryCut) findings.add('history_cut', id);
  const ended = withResult(runs.runs, texts.result, standing.status, finishedAt ?? createdAt);
  const isKept = texts.result === null || ended.at(-1)?.result === texts.result;
  const legacy = legacyOf(row, events, hermes.attachments, isKept ? {} : { result: texts.result });
  if (legacy.isCut) findings.add('legacy_cut', id);
  findings.add('event_left_out', null, legacy.eventsLeftOut);
  return {
    external_ref: id,
    title: texts.title,
    body: texts.body,
    ...standing,
    ...lanesOf(row, events, standing.status, runs, lanes),
    priority: boundedIntegerOf(row['priority'], -LIMITS.priorityMax, LIMITS.priorityMax) ?? 0,
    payload: { hermes: legacy.value },
    tenant: texts.tenant,
    idempotency_key: holdsKey ? keyOf(id, row, findings) : null,
    max_failures: boundedIntegerOf(row['max_retries'], 1, FAILURES_MAX),
    max_runtime_seconds: boundedIntegerOf(row['max_runtime_seconds'], 1, LIMITS.leaseSecondsMax),
    consecutive_failures: boundedIntegerOf(
      row['consecutive_failures'] ?? row['spawn_failures'],
      0,
      FAILURES_MAX,
    ),
    block_streak: blockStreakOf(row, standing.status),
    created_at: createdAt,
    finished_at: finishedAt,
    runs: ended,
    comments: comments.comments,
    parents: [...parents],
  };
}

function createdAtOf(id: string, { row, runs, events }: HermesTask, { findings, now }: Translation): string {
  const said = timeOf(row['created_at']);
  if (said !== null) return said;
  findings.add('created_at_unknown', id);
  const known = [row['started_at'], runs[0]?.['started_at'], events[0]?.['created_at'], row['completed_at']];
  return known.map(timeOf).find((at) => at !== null) ?? now;
}

/** When it was put away, else when it was done; null: it is neither, or nobody knows. */
function finishedAtOf(row: Row, events: readonly Row[], status: ImportedTask['status']): string | null {
  if (status !== 'done' && status !== 'archived') return null;
  const archived = events.findLast((event) => wordOf(event['kind']) === 'archived');
  const archivedAt = status === 'archived' ? timeOf(archived?.['created_at']) : null;
  return archivedAt ?? timeOf(row['completed_at']);
}

interface Texts {
  readonly title: string;
  readonly body: string | null;
  readonly tenant: string | null;
  readonly result: string | null;
  readonly isCut: boolean;
}

function textsOf(row: Row): Texts {
  const title = cutText(wordOf(row['title']) ?? '(no title)', LIMITS.jsonBytesMax, LIMITS.titleCharactersMax);
  const body = cutText(textOf(row['body']) ?? '', LIMITS.taskBodyBytesMax);
  const tenant = cutText(wordOf(row['tenant']) ?? '', LIMITS.jsonBytesMax, TENANT_CHARACTERS_MAX);
  const result = cutJsonText(textOf(row['result']) ?? '', RESULT_BYTES_MAX);
  return {
    title: title.text,
    body: textOf(row['body']) === null ? null : body.text,
    tenant: tenant.text || null,
    result: textOf(row['result']) === null ? null : result.text,
    isCut: [title, body, tenant, result].some(({ isCut }) => isCut),
  };
}

/** In review Hermes has the task with its reviewer already; here it stays the implementer's, and the reviewer is named beside. */
function lanesOf(
  row: Row,
  events: readonly Row[],
  status: ImportedTask['status'],
  { runs }: HermesRuns,
  lanes: HermesLanes,
): Pick<ImportedTask, 'lane' | 'reviewer'> {
  const lane = lanes.laneOf(row['assignee']);
  if (status !== 'review') return { lane };
  const { implementer, reviewer } = handOverOf(events);
  const worker = runs.findLast((run) => run.outcome === 'completed')?.lane ?? null;
  return { lane: lanes.laneOf(implementer) ?? worker ?? lane, reviewer: lanes.laneOf(reviewer) ?? lane };
}

/** The result of a task is that of its last run here. One that has none, or one that did not end well, gets a run of zero length. */
function withResult(
  runs: HermesRuns['runs'],
  result: string | null,
  status: ImportedTask['status'],
  at: string,
): ImportedTask['runs'] {
  const isFinished = status === 'done' || (status === 'archived' && result !== null);
  const last = runs.at(-1);
  if (isFinished && last?.outcome === 'completed') return [...runs.slice(0, -1), { ...last, result }];
  const needsRun = isFinished || (status === 'review' && !runs.some((run) => run.outcome === 'completed'));
  return needsRun ? [...runs, runOfResult(result, at)] : [...runs];
}

function keyOf(id: string, row: Row, findings: Findings): string | null {
  const key = textOf(row['idempotency_key']) || null;
  if (key === null || key.length <= IDEMPOTENCY_KEY_CHARACTERS_MAX) return key;
  findings.add('idempotency_key_unusable', id);
  return null;
}

function commentsOf(
  rows: readonly Row[],
  createdAt: string,
): { comments: ImportedTask['comments']; isCut: boolean } {
  const all = rows.map((row) => {
    const body = cutText(textOf(row['body']) || '(empty)', LIMITS.commentBytesMax);
    const author = cutText(
      wordOf(row['author']) ?? 'unknown',
      LIMITS.jsonBytesMax,
      AUTHOR_CHARACTERS_MAX,
    ).text;
    return {
      comment: { body: body.text, author, at: timeOf(row['created_at']) ?? createdAt },
      isCut: body.isCut,
    };
  });
  const comments: ImportedTask['comments'] = [];
  let freeBytes = COMMENT_BYTES_MAX;
  for (const { comment } of all.slice(-LIMITS.importedCommentsMax).reverse()) {
    freeBytes -= Buffer.byteLength(JSON.stringify(comment));
    if (freeBytes < 0) break;
    comments.unshift(comment);
  }
  return { comments, isCut: comments.length < rows.length || all.some(({ isCut }) => isCut) };
}

/** What Hermes promises of its rows, and broke. */
function findBreaks(id: string, row: Row, { openIds }: HermesRuns, findings: Findings): void {
  const status = wordOf(row['status'])?.toLowerCase();
  const currentRunId = integerOf(row['current_run_id']);
  if (currentRunId !== null && !openIds.includes(currentRunId)) findings.add('current_run_not_open', id);
  if (openIds.length > 1) findings.add('two_open_runs', id);
  if (openIds.length > 0 && (status === 'done' || status === 'archived'))
    findings.add('finished_with_open_run', id);
  else if (openIds.length > 0 && status !== 'running') findings.add('idle_with_open_run', id);
  if (status === 'running' && row['claim_lock'] === null) findings.add('running_without_lock', id);
}
