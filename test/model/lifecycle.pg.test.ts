/** The whole life of tasks, in any order of anything that may happen to them, against a model of what the domain says. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { auditBoard } from '../fixtures/audit.ts';
import { effortOf } from '../fixtures/random-effort.ts';
import { BoardModel } from './board-model.ts';
import { compareAll, tally } from './command.ts';
import { COMMAND_NAMES, type Lifecycle, lifecycle } from './commands.ts';
import { CAPS } from './lanes.ts';
import { useRealServers } from './real-board.ts';

/** Pinned by the project for CI. */
const COMMANDS = effortOf(20_000, 'LANEKEEPER_MODEL_COMMANDS');
/** Of one board: long enough for chains of reviews and retries, short enough to be shrunk. */
const BOARD_COMMANDS_MAX = 400;
/** Boards at a time: one alone mostly waits for the database. */
const STREAMS = 6;
/** Of one board, which lives some seconds: then the smallest history that was found is told, whether or not there is a smaller one. */
const SHRINK_MS_MAX = 180_000;
/** Ten times what it takes on an idle machine. */
const TIMEOUT_MS = 900_000;
/** Another run gets others; a failure says which. */
const SEED = Number(process.env['LANEKEEPER_MODEL_SEED'] ?? Date.now() % 1_000_000_000);

const servers = useRealServers();

async function liveOneBoard(commands: Lifecycle): Promise<void> {
  const board = await servers.real.board(CAPS);
  const model = new BoardModel(CAPS);
  await fc.asyncModelRun(() => ({ model, real: board }), commands);
  await compareAll(model, board);
  expect(await board.stranded()).toEqual([]);
  await auditBoard(servers.database.sql, board.board.name);
}

test(
  'whatever is done to tasks, each is where the domain says, and the log says the same',
  async () => {
    const begun = performance.now();
    const stream = async (index: number): Promise<void> => {
      for (let round = 0; tally.commands < COMMANDS; round += 1) {
        const property = fc.asyncProperty(lifecycle(BOARD_COMMANDS_MAX), liveOneBoard);
        const seed = SEED + index + round * STREAMS;
        await fc.assert(property, { seed, numRuns: 1, interruptAfterTimeLimit: SHRINK_MS_MAX });
      }
    };
    try {
      await Promise.all(Array.from({ length: STREAMS }, (_, index) => stream(index)));
    } catch (error) {
      throw new Error(`the model and the server differ; again with LANEKEEPER_MODEL_SEED=${SEED}`, {
        cause: error,
      });
    }
    const seconds = (performance.now() - begun) / 1000;
    process.stdout.write(
      `model: ${tally.commands} commands (${tally.refused} refused) in ${seconds.toFixed(1)} s, seed ${SEED}\n`,
    );
    expect(tally.commands).toBeGreaterThanOrEqual(COMMANDS);
    // None of them is idle.
    expect([...tally.byName.keys()].sort()).toEqual([...COMMAND_NAMES].sort());
  },
  TIMEOUT_MS,
);
