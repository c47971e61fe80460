/** Cards that are folded from the log, and read where it does not tell, beside the tasks as the API shows them: after any history of a board. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Task } from '../../../src/contract/tasks.ts';
import { type Card, cardOf } from '../../../src/dashboard/live/card.ts';
import { foldEvent } from '../../../src/dashboard/live/fold.ts';
import { endClaim, expectStatus } from '../../fixtures/board.ts';
import { BoardModel } from '../../model/board-model.ts';
import { type Lifecycle, lifecycle } from '../../model/commands.ts';
import { CAPS } from '../../model/lanes.ts';
import { type RealBoard, useRealServers } from '../../model/real-board.ts';

/** Of one board, half as many on average: reviews and retries come when there are some tasks. */
const COMMANDS_MAX = 250;
const BOARDS = 6;
/** Commands between two looks: what was asked for by then has been read, and what comes after is folded from that. */
const LOOK_EVERY = 8;
const SEED = Number(process.env['LANEKEEPER_MODEL_SEED'] ?? Date.now() % 1_000_000_000);

const servers = useRealServers();

/** What the log says by itself. */
function toldOf({ id, title, status, lane, priority, version, attempt, labels, claim, maxFailures }: Card) {
  const holder = claim === null ? null : { runId: claim.runId, worker: claim.worker };
  return { id, title, status, lane, priority, version, attempt, labels, holder, maxFailures };
}

/** What the log says, or the live board reads where it does not. Not how many of several parents are unmet: no event of the task tells it. */
function shownOf(card: Card) {
  const { blocked, consecutiveFailures, reviewer } = card;
  const cancelRequested = card.claim?.isCancelRequested ?? null;
  return { id: card.id, blocked, consecutiveFailures, reviewer, cancelRequested };
}

const byId = (left: { readonly id: string }, right: { readonly id: string }): number =>
  left.id < right.id ? -1 : 1;

/** The cards as the live board has them. */
class Followed {
  readonly #cards = new Map<string, Card>();
  #lastSeq = 0;

  async look(real: RealBoard): Promise<void> {
    const asked = await this.#fold(real);
    const tasks = await real.readAll();
    this.#compare(tasks, asked);
    for (const task of tasks) if (asked.has(task.id)) this.#cards.set(task.id, cardOf(task));
  }

  /** Resolves to the tasks that the live board would read. */
  async #fold(real: RealBoard): Promise<ReadonlySet<string>> {
    const asked = new Set<string>();
    for (const event of await real.board.events()) {
      const id = event.task_id;
      if (event.seq <= this.#lastSeq) continue;
      this.#lastSeq = event.seq;
      if (id === undefined) continue;
      const folded = foldEvent(this.#cards.get(id), event);
      if (folded.type === 'gone') this.#cards.delete(id);
      if (folded.type !== 'card') continue;
      this.#cards.set(id, folded.card);
      if (folded.needsRead) asked.add(id);
    }
    return asked;
  }

  #compare(tasks: readonly Task[], asked: ReadonlySet<string>): void {
    const read = tasks.map(cardOf).sort(byId);
    const folded = [...this.#cards.values()].sort(byId);
    expect(folded.map(toldOf)).toEqual(read.map(toldOf));
    const unasked = (card: Card): boolean => !asked.has(card.id);
    expect(folded.filter(unasked).map(shownOf)).toEqual(read.filter(unasked).map(shownOf));
  }
}

/** Looks at all cards now and then. */
function* watched(commands: Lifecycle, followed: Followed): Lifecycle {
  const look = {
    check: () => true,
    run: (_: BoardModel, real: RealBoard) => followed.look(real),
    toString: () => 'look',
  };
  let count = 0;
  for (const command of commands) {
    yield command;
    count += 1;
    if (count % LOOK_EVERY === 0) yield look;
  }
  yield look;
}

async function liveOneBoard(commands: Lifecycle): Promise<void> {
  const real = await servers.real.board(CAPS);
  const model = new BoardModel(CAPS);
  await fc.asyncModelRun(() => ({ model, real }), watched(commands, new Followed()));
}

/** Rare in the histories below: each of these ends says less than it does. */
describe('a card shows no failures and no reviewer any more', () => {
  const once = { max_failures: 3 };
  // Not before its time comes below: a scheduler that moved it between the log and the tasks would make them differ.
  const failed = { error: 'broke', retry_after_seconds: 3600 };

  test.each(['its next worker', 'a person'])('when %s completes what had failed', async (who) => {
    const real = await servers.real.board(CAPS);
    const { board } = real;
    const followed = new Followed();
    const { id } = await board.task('build', once);
    expectStatus(
      await endClaim(board.server, await board.claim('build', { worker: 'ann' }), 'fail', failed),
      200,
    );
    await followed.look(real);
    await servers.real.timeComes(id);
    if (who === 'a person') expectStatus(await board.operate(id, 'complete'), 200);
    else
      expectStatus(
        await endClaim(board.server, await board.claim('build', { worker: 'ann' }), 'complete'),
        200,
      );
    await followed.look(real);
    expect(await board.read(id)).toMatchObject({ status: 'done', consecutive_failures: 0 });
  });

  test('when its reviewer lets it pass', async () => {
    const real = await servers.real.board(CAPS);
    const { board } = real;
    const followed = new Followed();
    const { id } = await board.task('build');
    const handOver = { review: true, reviewer: 'check' };
    expectStatus(
      await endClaim(board.server, await board.claim('build', { worker: 'ann' }), 'complete', handOver),
      200,
    );
    await followed.look(real);
    const review = await board.claim('check', { worker: 'bob' });
    expect(await board.read(id)).toMatchObject({ reviewer: 'check' });
    await followed.look(real);
    expectStatus(await endClaim(board.server, review, 'complete'), 200);
    await followed.look(real);
    expect(await board.read(id)).toMatchObject({ status: 'done', reviewer: null });
  });
});

test('cards folded from the log equal the tasks read from the API', async () => {
  // The first ones would be all but empty.
  const property = fc.asyncProperty(fc.noBias(lifecycle(COMMANDS_MAX)), liveOneBoard);
  await fc.assert(property, { seed: SEED, numRuns: BOARDS, interruptAfterTimeLimit: 30_000 });
});
