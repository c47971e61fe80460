/** Histories of a small board on which anything may happen to its clients, and nothing that it must not do. */
import fc from 'fast-check';
import { SmallBoard } from './small-board.ts';
import { END_KINDS, type Held, LANE, type Recording } from './small-board-words.ts';

const WRITES = ['heartbeat', 'output', 'ack'] as const;
/** Fewer than commands, so that some come again. */
const KEYS = 12;
const WORKERS = 3;
/** Of a task that waits: fewer. */
const PARENTS = 3;
const WATCHERS = 2;
/** More than one, so that a frame carries several, and often none. */
const FRAME_EVENTS = 7;
/** More than the time between two things that happen, so that what is asked for overlaps. */
const HEARING_MS = 25;

interface Command {
  readonly action: keyof typeof ACTIONS;
  /** Which of those that there are. */
  readonly pick: number;
  readonly kind: number;
  readonly leadMs: number;
  readonly lagMs: number;
  readonly isLost: boolean;
}

type Task = SmallBoard['tasks'][number];

const onTask =
  (act: (board: SmallBoard, task: Task, command: Command) => void): Action =>
  (board, _, command) => {
    const task = choose(board.tasks, command.pick);
    if (task !== undefined) act(board, task, command);
  };

/** Claims stay with those who got them, also when they are over: then they are refused. */
const onClaim =
  (act: (board: SmallBoard, claim: Held, command: Command) => void): Action =>
  (board, held, command) => {
    const claim = choose(held, command.pick);
    if (claim !== undefined) act(board, claim, command);
  };

type Action = (board: SmallBoard, held: Held[], command: Command) => void;

const ACTIONS = {
  create: (board, _, command) => {
    const parents = board.tasks.filter((_, place) => (command.kind >> (place % 8)) % 8 === 0);
    board.create(`key ${command.pick % KEYS}`, command, parents.slice(0, command.kind % PARENTS));
  },
  claim: (board, held, command) => {
    const claim = board.claim(`worker-${command.pick % WORKERS}.1`, command);
    if (claim !== null) held.push(claim);
  },
  write: onClaim((board, claim, command) =>
    board.write(claim, choose(WRITES, command.kind) ?? 'ack', command),
  ),
  end: onClaim((board, claim, command) =>
    board.end(claim, choose(END_KINDS, command.kind) ?? 'fail', command),
  ),
  reap: onClaim((board, claim) => board.reap(claim)),
  cancel: onTask((board, task, command) => board.cancel(task, command)),
  unblock: onTask((board, task) => board.unblock(task)),
  reopen: onTask((board, task) => board.reopen(task)),
  link: onTask((board, task, { kind }) => board.link(task, choose(board.tasks, kind) ?? task)),
  unlink: onTask((board, task, { kind }) => {
    const [parent] = board.tasks.filter(({ id }) =>
      board.links.some(({ childId, parentId }) => childId === task.id && parentId === id),
    );
    board.unlink(task, parent ?? choose(board.tasks, kind) ?? task);
  }),
  handOver: onClaim((board, claim, { kind }) => board.handOver(claim, kind % 3 === 0 ? null : LANE)),
  decide: onTask((board, task, { kind }) => board.decide(task, kind % 2 === 0 ? 'accept' : 'send_back')),
  archive: onTask((board, task) => board.archive(task)),
  assign: onTask((board, task, { kind }) => board.assign(task, kind % 2 === 0 ? LANE : 'other')),
  completeByHand: onTask((board, task) => board.completeByHand(task)),
  wake: (board) => board.wakeDue(),
  watch: (board, _, { pick, kind }) => board.history.watch(watcherOf(pick), kind % FRAME_EVENTS),
  reconnect: (board, _, { pick }) => board.history.reconnect(watcherOf(pick)),
  fault: (board, _, { kind }) => board.fault('kill server', 'server-1', kind),
} as const satisfies Record<string, Action>;

/** By how often they come. */
const WEIGHTED = [
  ...(Object.keys(ACTIONS) as (keyof typeof ACTIONS)[]),
  ...(['claim', 'claim', 'end', 'end', 'create'] as const),
];

const watcherOf = (pick: number): string => `watcher-${pick % WATCHERS}.1`;

const COMMAND = fc.record<Command>({
  action: fc.constantFrom(...WEIGHTED),
  pick: fc.nat(999),
  kind: fc.nat(999),
  leadMs: fc.nat(HEARING_MS),
  lagMs: fc.nat(HEARING_MS),
  isLost: fc.boolean(),
});

/** As many commands as make most of them possible. */
export const RANDOM_HISTORY = fc.array(COMMAND, { minLength: 40, maxLength: 120 }).map(record);

function choose<T>(list: readonly T[], pick: number): T | undefined {
  return list[pick % list.length];
}

function record(commands: readonly Command[]): Recording {
  const board = new SmallBoard();
  const held: Held[] = [];
  for (const command of commands) ACTIONS[command.action](board, held, command);
  return board.finish();
}
