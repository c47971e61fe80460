/**
 * The second board of a run: it prunes whatever is over within seconds, while work comes and goes on it and watchers fall behind its log. What
 * befalls servers, database and connections befalls both boards, and who works on this one is killed and stopped as workers of the first one
 * are; watchers are on neither. What is recorded of it lies in a directory of its own, because the first one's properties are those of a board
 * that forgets nothing.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type postgres from 'postgres';
import type { BoardPlan } from './board.ts';
import { BoardMaker } from './board-maker.ts';
import { catchUp } from './catch-up.ts';
import { waitUntil } from './deadline.ts';
import { readPrunedState } from './final-state.ts';
import type { PrunedState } from './history.ts';
import type { Party, PartyOptions } from './party.ts';

type ShortPlan = Pick<BoardPlan, 'board' | 'lanes' | 'orchestratorKey' | 'observerKey'>;

const BOARD = 'short-memory';
const LANE = { name: 'churn', claimMode: 'pull-or-watch', leaseSeconds: 3 } as const;
/** Events go when statistics, which are added up every five seconds, have read them: some three seconds later. */
const KEPT_SECONDS = { events: 5, finishedTasks: 3 } as const;
/** Of all that is no event and no task; a second is the least that can be set. */
const KEPT_SECONDS_MIN = 1;
/** So that what may be stranded is looked for, which is waited for as well, without delay. */
const STRANDED_AFTER_SECONDS = 1;
/** More often than not what comes next is gone by the end of a pause. */
const PAUSE_SECONDS_MAX = 10;
const PAUSING_WATCHERS = 2;
/** Nothing is broken yet; each of their first requests may take as long as a poll does before it is given up (8 s). */
const FIRST_EVENTS_MS = 30_000;

/** Nothing of it is pruned before that is begun. */
export async function openShortMemory(url: string, adminKey: string): Promise<ShortPlan> {
  const maker = new BoardMaker(url, adminKey, BOARD);
  await maker.make({ stranded_after_seconds: STRANDED_AFTER_SECONDS });
  return {
    board: BOARD,
    lanes: [await maker.lane(LANE)],
    orchestratorKey: await maker.key('orchestrator'),
    observerKey: await maker.key('observer'),
  };
}

type StartParty = (name: string, program: string, config: PartyOptions['config']) => Party;

export class ShortMemory {
  readonly historyDirectory: string;
  readonly parties: readonly Party[];
  /** Those of them that work. */
  readonly churners: readonly Party[];
  readonly #watchers: readonly Party[];

  /** @param config Of the parties of the first board. */
  constructor(
    plan: ShortPlan,
    config: PartyOptions['config'],
    programs: Readonly<Record<'churn' | 'resuming-watcher', string>>,
    startParty: StartParty,
  ) {
    this.historyDirectory = join(config.directory, BOARD);
    mkdirSync(this.historyDirectory);
    const own = { ...config, ...plan, directory: this.historyDirectory };
    const watch = (name: string, more: Partial<PartyOptions['config']> = {}): Party =>
      startParty(name, programs['resuming-watcher'], { ...own, ...more });
    this.#watchers = [
      watch('steady-watcher'),
      ...Array.from({ length: PAUSING_WATCHERS }, (_, index) =>
        watch(`pausing-watcher-${index + 1}`, { pauseSecondsMax: PAUSE_SECONDS_MAX }),
      ),
    ];
    this.churners = [startParty('churn', programs.churn, own)];
    this.parties = [...this.#watchers, ...this.churners];
  }

  /**
   * From now on, and not before those who follow its log have the beginning of it: what nobody has seen go, nobody can ask for at the end.
   * @param withinMs Only tests make it smaller.
   */
  async beginPruning(url: string, adminKey: string, withinMs = FIRST_EVENTS_MS): Promise<void> {
    const isFollowed = await waitUntil(() => {
      for (const watcher of this.#watchers) watcher.order({ order: 'report' });
      // The first event alone is what a watcher asks for to find the beginning.
      return this.#watchers.every(({ seq }) => seq > 1);
    }, withinMs);
    if (!isFollowed) throw new Error(`nobody followed the log of ${BOARD} in time`);
    await new BoardMaker(url, adminKey, BOARD).make({
      retention: {
        events_seconds: KEPT_SECONDS.events,
        finished_tasks_seconds: KEPT_SECONDS.finishedTasks,
        runs_seconds: KEPT_SECONDS_MIN,
        output_seconds: KEPT_SECONDS_MIN,
        deliveries_seconds: KEPT_SECONDS_MIN,
        messages_seconds: KEPT_SECONDS_MIN,
      },
    });
  }

  /** Read while work still comes and goes: where nothing does, soon nothing is left. Then all may leave. */
  async settle(sql: postgres.Sql, onTrouble: (detail: string) => void): Promise<PrunedState> {
    const final = await readPrunedState(sql, BOARD, KEPT_SECONDS);
    await catchUp(this.#watchers, final.seq, onTrouble);
    for (const party of this.parties) party.order({ order: 'leave' });
    return final;
  }
}
