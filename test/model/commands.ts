/** What may happen on a board, each with what the model says of it, and how often it is to happen. */
import fc from 'fast-check';
import type { BoardModel } from './board-model.ts';
import { Command, DRAW, type Plan, pick } from './command.ts';
import { again, claim, ending, foreign, heartbeat } from './holder-commands.ts';
import { comment, create, linking, PERSON, prioritise } from './person-commands.ts';
import type { RealBoard } from './real-board.ts';

const crash: Plan = (model, [a]) => {
  const whose = pick(model.live, a);
  if (whose === undefined) return null;
  return {
    said: whose.task.id,
    act: async (_, real) => {
      model.crash(whose);
      await real.servers.crash(whose.task.id);
    },
  };
};

const timeComes: Plan = (model, [a]) => {
  const task = pick(
    model.tasks.filter(({ runAt }) => runAt === 'future'),
    a,
  );
  if (task === undefined) return null;
  return {
    said: task.id,
    act: async (_, real) => {
      model.timeComes(task);
      await real.servers.timeComes(task.id);
    },
  };
};

/** Name, plan, and how many times as often as the rarest. */
const COMMANDS: readonly (readonly [string, Plan, number])[] = [
  ['create', create, 6],
  ['link', linking('PUT'), 4],
  ['unlink', linking('DELETE'), 2],
  ['claim', claim, 14],
  ['heartbeat', heartbeat, 2],
  ['end by complete', ending('complete'), 6],
  ['end by request-changes', ending('request-changes'), 3],
  ['end by block', ending('block'), 4],
  ['end by release', ending('release'), 3],
  ['end by fail', ending('fail'), 4],
  ['end again', again, 1],
  ['foreign end', foreign, 1],
  ['crash', crash, 1],
  ['time comes', timeComes, 7],
  ['comment', comment, 1],
  ['prioritise', prioritise, 1],
  ['promote', PERSON['promote'] as Plan, 2],
  ['unblock', PERSON['unblock'] as Plan, 3],
  ['schedule', PERSON['schedule'] as Plan, 1],
  ['assign', PERSON['assign'] as Plan, 3],
  ['complete', PERSON['complete'] as Plan, 1],
  ['accept', PERSON['accept'] as Plan, 2],
  ['request-changes', PERSON['request-changes'] as Plan, 2],
  ['cancel', PERSON['cancel'] as Plan, 2],
  ['archive', PERSON['archive'] as Plan, 1],
  ['reopen', PERSON['reopen'] as Plan, 3],
  ['reclaim', PERSON['reclaim'] as Plan, 4],
];

export const COMMAND_NAMES = COMMANDS.map(([name]) => name);

export type Lifecycle = Iterable<fc.AsyncCommand<BoardModel, RealBoard>>;

export function lifecycle(commandsMax: number): fc.Arbitrary<Lifecycle> {
  const arbitraries = COMMANDS.flatMap(([name, plan, weight]) => {
    const arbitrary = DRAW.map((draw) => new Command(name, plan, draw));
    return Array.from({ length: weight }, () => arbitrary);
  });
  return fc.commands(arbitraries, { maxCommands: commandsMax, size: 'max' });
}
