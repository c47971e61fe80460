/**
 * Everything at once on two servers: single and large claims, single and batched ends, each end twice at the same moment through
 * both servers, heartbeats, tokens of ended claims, claims that are abandoned, and an operator who pauses, resumes, caps, cancels
 * and reopens. Whatever the order: one completion per task, one holder at a time, and a log that says exactly what the tables say.
 */
import { expect, test } from 'vitest';
import type { Claim } from '../../../../src/contract/claims.ts';
import type { Task } from '../../../../src/contract/tasks.ts';
import { formatId } from '../../../../src/server/kernel/ids.ts';
import { auditBoard } from '../../../fixtures/audit.ts';
import { endClaim, expectStatus, type TestBoard } from '../../../fixtures/board.ts';
import { eventually } from '../../../fixtures/eventually.ts';
import type { CallAnswer } from '../../../fixtures/server.ts';
import { useTwoServers } from '../../../fixtures/two-servers.ts';

const servers = useTwoServers();

const TASKS = 1000;
const WORKERS = 16;
const LARGE_CLAIM = 50;
/** What the operator does before it lets the work come to an end. */
const OPERATOR_STEPS = 40;
/** A few seconds on an idle machine of two cores; a minute and a half on one that is busy with other things. */
const ALL_DONE_WITHIN_MS = 90_000;
/** Tokens of ended claims that ride along in each batch of ends. */
const STALE_PER_BATCH = 3;

type Fate = 'complete' | 'release' | 'fail' | 'abandon';
const BODIES: Readonly<Record<Exclude<Fate, 'abandon'>, Readonly<Record<string, unknown>>>> = {
  complete: { summary: 'done' },
  release: { reason: 'not now' },
  fail: { error: 'broke', retry_after_seconds: 0 },
};

const pick = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)] as T;
const chance = (share: number): boolean => Math.random() < share;

/** Most are completed; the rest come back, in every way there is. When it is calm nobody is abandoned any more: that takes seconds. */
function fateOf(isCalm: boolean): Fate {
  const draw = Math.random() * (isCalm ? 0.95 : 1);
  if (draw < 0.8) return 'complete';
  if (draw < 0.88) return 'release';
  return draw < 0.95 ? 'fail' : 'abandon';
}

class Race {
  readonly boards: readonly TestBoard[];
  readonly claimed: Claim[] = [];
  /** Acknowledged as completed. */
  readonly completed = new Set<string>();
  /** Ended for certain: no end with another body may succeed with them. */
  readonly stale: Claim[] = [];
  isCalm = false;
  isOver = false;

  constructor(boards: readonly TestBoard[]) {
    this.boards = boards;
  }

  async work(index: number): Promise<void> {
    const through = this.boards[index % this.boards.length] as TestBoard;
    while (!this.isOver) {
      const max = chance(0.3) ? LARGE_CLAIM : 1;
      const options = chance(0.8) ? { waitSeconds: 1 } : {};
      const { claims } = expectStatus(
        await through.claims('work', { worker: `w-${index}`, max }, options),
        200,
      ).body;
      this.claimed.push(...claims);
      if (claims.length > 0) await this.#hold(through, claims);
    }
  }

  async #hold(through: TestBoard, claims: readonly Claim[]): Promise<void> {
    const beats = claims.filter(() => chance(0.3));
    const fates = claims.map((claim) => ({ claim, fate: fateOf(this.isCalm) }));
    const kept = fates.filter(({ fate }) => fate !== 'abandon');
    const inBatch = claims.length > 1 ? kept.filter(() => chance(0.7)) : [];
    const single = kept.filter((end) => !inBatch.includes(end));
    await Promise.all([
      ...beats.map(async (claim) =>
        this.#expectFair(await endClaim(through.server, claim, 'heartbeat', { progress: 1 })),
      ),
      ...fates.filter(({ fate }) => fate === 'abandon').map(({ claim }) => this.#abandon(through, claim)),
      ...single.map(({ claim, fate }) => this.#endTwice(claim, fate as keyof typeof BODIES)),
      ...(inBatch.length > 0 ? [this.#endBatch(through, inBatch)] : []),
    ]);
  }

  /** Refused, if at all, because the claim is over. */
  #expectFair(answer: CallAnswer): void {
    expect([200, 409], JSON.stringify(answer.body)).toContain(answer.status);
    if (answer.status === 409) expect(answer.code).toBe('claim_lost');
  }

  /** The shortest lease, and then nothing more is heard. */
  async #abandon(through: TestBoard, claim: Claim): Promise<void> {
    this.#expectFair(await endClaim(through.server, claim, 'heartbeat', { lease_seconds: 1 }));
  }

  async #endTwice(claim: Claim, verb: keyof typeof BODIES): Promise<void> {
    const answers = await Promise.all(
      this.boards.map((board) => endClaim(board.server, claim, verb, BODIES[verb])),
    );
    for (const answer of answers) this.#expectFair(answer);
    const [one, other] = answers;
    expect(one?.status).toBe(other?.status);
    if (one?.status === 200) expect(runOf(one.body)).toEqual(runOf(other?.body));
    this.#note(claim, verb, one?.status === 200);
  }

  /** The same batch through both servers at the same moment, with tokens in it whose claims are over. */
  async #endBatch(through: TestBoard, ends: readonly { claim: Claim; fate: Fate }[]): Promise<void> {
    const stale = Array.from({ length: Math.min(STALE_PER_BATCH, this.stale.length) }, () =>
      pick(this.stale),
    );
    const operations = [
      ...ends.map(({ claim, fate }) => ({
        op: fate,
        token: claim.token,
        ...BODIES[fate as keyof typeof BODIES],
      })),
      ...stale.map((claim) => ({
        op: pick(['complete', 'block', 'heartbeat']),
        token: claim.token,
        ...STALE_BODY,
      })),
    ].map((operation) =>
      operation.op === 'block' ? { ...operation, reason: 'stale', metadata: null } : operation,
    );
    const post = (board: TestBoard) => board.server.call('POST', '/v1/runs/batch', { body: { operations } });
    const answers = await Promise.all(
      [through, ...this.boards.filter((board) => board !== through)].map(post),
    );
    const [mine = [], theirs = []] = answers.map(
      (answer) => expectStatus(answer, 200).body.results as Result[],
    );
    for (const [index, result] of mine.entries()) {
      const other = theirs[index];
      expect(result.ok).toBe(other?.ok);
      if (result.ok) expect(runOf(result)).toEqual(runOf(other));
      else expect(result.problem?.code).toBe('claim_lost');
      const end = ends[index];
      if (end === undefined) expect(result.ok, 'a token of an ended claim').toBe(false);
      else this.#note(end.claim, end.fate, result.ok);
    }
  }

  #note(claim: Claim, fate: Fate, isEnded: boolean): void {
    this.stale.push(claim);
    if (isEnded && fate === 'complete') this.completed.add(claim.run_id);
  }
}

const STALE_BODY = { metadata: { from: 'a stale worker' } };

interface Result {
  readonly ok: boolean;
  readonly run?: { readonly run_id: string; readonly outcome: string };
  readonly problem?: { readonly code: string };
}

/** The task of two answers may differ when it has moved on between them; the run is over and may not. */
const runOf = (body: { readonly run?: unknown } | undefined): unknown => body?.run;

/** Disturbs for a while, looks at the books under fire, then clears the way. */
async function operate(race: Race, tasks: readonly Task[]): Promise<void> {
  const steps: (() => Promise<unknown>)[] = [
    () => pick(race.boards).call('POST', '/lanes/work/pause'),
    () => pick(race.boards).call('POST', '/lanes/work/resume'),
    () =>
      pick(race.boards).call('PATCH', '/lanes/work', {
        body: { max_concurrent_claims: pick([null, 3, 60]) },
      }),
    () => pick(race.boards).operate(pick(tasks).id, 'cancel', { deadline_seconds: pick([0, 30]) }),
    () => pick(race.boards).operate(pick(tasks).id, 'cancel', { deadline_seconds: 0 }),
    () => reopenCancelled(pick(race.boards)),
  ];
  for (let step = 0; step < OPERATOR_STEPS; step += 1) {
    await pick(steps)();
    if (step % 15 === 10) await auditBoard(servers.database.sql, pick(race.boards).name);
  }
  race.isCalm = true;
  const board = pick(race.boards);
  await board.call('PATCH', '/lanes/work', { body: { max_concurrent_claims: null } });
  await board.call('POST', '/lanes/work/resume');
  await eventually(
    'all are done',
    async () => {
      await reopenCancelled(board);
      return (await board.call('GET', '')).body.board.counts.done === TASKS;
    },
    ALL_DONE_WITHIN_MS,
  );
  race.isOver = true;
}

async function reopenCancelled(board: TestBoard): Promise<void> {
  const { tasks } = (await board.call('GET', '/tasks?status=cancelled&limit=200')).body;
  await Promise.all((tasks as Task[]).map((task) => board.operate(task.id, 'reopen')));
}

const NAME =
  '1,000 tasks under every kind of fire on two servers are each completed once, and the books are exact';
test(NAME, { timeout: 2 * ALL_DONE_WITHIN_MS }, async () => {
  const boards = await servers.board();
  const [board] = boards;
  await board.lane('work', { lease_seconds: 60 });
  const tasks = await board.tasks('work', TASKS, { backoff: { base_seconds: 0 }, max_failures: 1000 });
  const race = new Race(boards);
  try {
    await Promise.all([
      operate(race, tasks),
      ...Array.from({ length: WORKERS }, (_, index) => race.work(index)),
    ]);
  } finally {
    race.isOver = true;
  }

  const { events, fold, runs } = await auditBoard(servers.database.sql, board.name);
  expect(fold.counts).toMatchObject({
    done: TASKS,
    ready: 0,
    running: 0,
    scheduled: 0,
    cancelled: 0,
    blocked: 0,
  });
  const { counts } = (await board.call('GET', '')).body.board;
  expect(counts).toEqual(fold.counts);
  const completions = runs.filter((run) => run.outcome === 'completed');
  expect(completions).toHaveLength(TASKS);
  expect(new Set(completions.map((run) => run.task_id)).size).toBe(TASKS);
  // What was acknowledged is on record: no claim and no completion is lost, and none appears twice.
  const completedRuns = new Set(completions.map((run) => formatId('run', run.id)));
  expect([...race.completed].filter((id) => !completedRuns.has(id))).toEqual([]);
  const claimEvents = events.filter((event) => event.kind === 'task.claimed');
  expect(claimEvents.map((event) => event.run_id).sort()).toEqual(
    race.claimed.map((claim) => claim.run_id).sort(),
  );
  expect(claimEvents).toHaveLength(runs.length);
  // The fire was real: every way for a claim to end has been taken.
  const outcomes = new Set(runs.map((run) => run.outcome));
  for (const outcome of ['completed', 'released', 'failed', 'crashed']) expect(outcomes).toContain(outcome);
});
