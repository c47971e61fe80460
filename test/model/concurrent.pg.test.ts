/**
 * Many at once on one board, over two servers, with any verb that comes to their mind. Nobody can say beforehand who is first, so the log is
 * the model here: it must not contradict itself, and every answer that was given must be one that it explains.
 */
import { expect, test } from 'vitest';
import type { Event } from '../../src/contract/events.ts';
import type { TaskStatus } from '../../src/contract/statuses.ts';
import { auditBoard } from '../fixtures/audit.ts';
import { Draws } from './draws.ts';
import { CAPS } from './lanes.ts';
import { type Answer, RandomWorker } from './random-worker.ts';
import { type RealBoard, useRealServers } from './real-board.ts';

/** Together some ten seconds on an idle machine. */
const WORKERS = 12;
const REQUESTS = 4_000;
const TASKS = 40;
const TIMEOUT_MS = 300_000;
const SEED = Number(process.env['LANEKEEPER_MODEL_SEED'] ?? Date.now() % 1_000_000_000);

const servers = useRealServers();

/** Events by what an answer names. */
class Explanations {
  readonly #byTask = new Map<string, Event[]>();
  readonly #byRun = new Map<string, Event[]>();

  constructor(events: readonly Event[]) {
    for (const event of events) {
      if (event.task_id !== undefined) push(this.#byTask, event.task_id, event);
      if (event.run_id !== undefined) push(this.#byRun, event.run_id, event);
    }
  }

  /** Null: the log explains it. */
  missing(answer: Answer): string | null {
    const { status, code } = answer;
    if (status >= 500) return 'a failure of the server';
    if (code === 'claim_lost') return this.#missingEnd(answer);
    if (code === 'illegal_transition') return this.#missingStatus(answer);
    if (status >= 400) return REFUSALS.has(code ?? '') ? null : `an unforeseen refusal, ${code}`;
    if (answer.claim !== undefined) return this.#missingClaim(answer.claim);
    return this.#missingMove(answer);
  }

  #missingClaim({ runId, taskId, attempt }: NonNullable<Answer['claim']>): string | null {
    const claims = (this.#byRun.get(runId) ?? []).filter(({ kind }) => kind === 'task.claimed');
    const [claimed] = claims;
    const isSo = claims.length === 1 && claimed?.task_id === taskId && claimed.attempt === attempt;
    return isSo ? null : `one claim of ${taskId} as attempt ${attempt}`;
  }

  /** Whoever is told that his run is over is told how the log says it ended. */
  #missingEnd({ runId, outcome }: Answer): string | null {
    const ends = (this.#byRun.get(runId ?? '') ?? []).filter(
      ({ data }) => data['status_before'] === 'running',
    );
    const left = ends.filter(({ data }) => data['status_after'] !== 'running');
    return left.length === 1 && left[0]?.data['outcome'] === outcome
      ? null
      : `one end of ${runId}, ${outcome}`;
  }

  /** It was refused for a status: the task had it while the request was under way. */
  #missingStatus({ taskId, statusBefore, askedAt, answeredAt }: Answer): string | null {
    if (statusBefore === undefined) return 'the status it was refused for';
    let held: TaskStatus | undefined;
    const during = new Set<TaskStatus | undefined>();
    for (const { at, data } of this.#byTask.get(taskId ?? '') ?? []) {
      const after = data['status_after'] as TaskStatus | undefined;
      if (after === undefined) continue;
      const time = Date.parse(at);
      if (time > answeredAt + CLOCK_MS) break;
      if (time >= askedAt - CLOCK_MS) during.add(held);
      held = after;
    }
    during.add(held);
    return during.has(statusBefore) ? null : `${taskId} being ${statusBefore}, and not ${[...during].join()}`;
  }

  /** What was changed has the version that its event has, and the status. */
  #missingMove({ taskId, version, taskStatus, isQuiet }: Answer): string | null {
    if (isQuiet || taskId === undefined) return null;
    const found = (this.#byTask.get(taskId) ?? []).filter((event) => event.task_version === version);
    if (version === 1 && found.length === 1) return null;
    // An end that is told again shows the task as it is by then.
    return found.some(({ data }) => data['status_after'] === undefined || data['status_after'] === taskStatus)
      ? null
      : `${taskId} becoming ${taskStatus} with version ${version}`;
  }
}

/** Events and this process read clocks of one machine, but an event is dated before it is committed. */
const CLOCK_MS = 250;

/** What may be refused at any time, for reasons that the log does not tell. */
const REFUSALS: ReadonlySet<string> = new Set(['task_not_claimable', 'dependency_cycle', 'not_found']);

function push(events: Map<string, Event[]>, key: string, event: Event): void {
  const known = events.get(key);
  if (known === undefined) events.set(key, [event]);
  else known.push(event);
}

async function work(board: RealBoard): Promise<Answer[]> {
  const answers: Answer[] = [];
  const shared: string[] = [];
  const workers = Array.from(
    { length: WORKERS },
    (_, index) => new RandomWorker(board, `worker-${index % (WORKERS / 2)}`, shared, new Draws(SEED + index)),
  );
  for (let made = 0; made < TASKS; made += 1) await workers[0]?.create(answers);
  await Promise.all(
    workers.map(async (worker) => {
      while (answers.length < REQUESTS) await worker.step(answers);
    }),
  );
  return answers;
}

test(
  'whatever many do to tasks at once, the log explains every answer, nobody holds what another holds, and no child is left behind',
  async () => {
    const begun = performance.now();
    const board = await servers.real.board(CAPS);
    const answers = await work(board);
    const again = `LANEKEEPER_MODEL_SEED=${SEED}`;
    expect(await board.stranded(), again).toEqual([]);
    // Refuses a second claim on a held task, among others.
    await auditBoard(servers.database.sql, board.board.name);
    const events = await board.board.events();
    const explanations = new Explanations(events);
    const unexplained = answers.flatMap((answer) => {
      const missing = explanations.missing(answer);
      return missing === null ? [] : [`${answer.asked}: the log lacks ${missing}`];
    });
    expect(unexplained.slice(0, 5), `${unexplained.length} answers, ${again}`).toEqual([]);
    const refused = answers.filter(({ status }) => status >= 400).length;
    const seconds = (performance.now() - begun) / 1000;
    process.stdout.write(
      `concurrent model: ${answers.length} answers (${refused} refused), ${events.length} events in ${seconds.toFixed(1)} s, seed ${SEED}\n`,
    );
    expect(answers.length).toBeGreaterThanOrEqual(REQUESTS);
  },
  TIMEOUT_MS,
);
