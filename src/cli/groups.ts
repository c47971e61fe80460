/** The commands, in the order of the help, and where each is written. */
import type { Register } from './register.ts';

export interface Group {
  readonly name: string;
  /** Nouns answer to both. */
  readonly plural?: string;
  readonly summary: string;
  readonly load: () => Promise<Register>;
}

export const GROUPS: readonly Group[] = [
  {
    name: 'serve',
    summary: 'run a server',
    load: async () => (await import('./groups/server.ts')).registerServerCommand,
  },
  {
    name: 'migrate',
    summary: 'bring the database up to date',
    load: async () => (await import('./groups/server.ts')).registerServerCommand,
  },
  {
    name: 'login',
    summary: 'store a server and its key as a profile',
    load: async () => (await import('./groups/account.ts')).registerLogin,
  },
  {
    name: 'logout',
    summary: 'forget a profile',
    load: async () => (await import('./groups/account.ts')).registerLogout,
  },
  {
    name: 'whoami',
    summary: 'show who the key speaks for',
    load: async () => (await import('./groups/account.ts')).registerWhoami,
  },
  {
    name: 'board',
    plural: 'boards',
    summary: 'boards: create, list, get, set, delete',
    load: async () => (await import('./groups/board.ts')).registerBoard,
  },
  {
    name: 'lane',
    plural: 'lanes',
    summary: 'lanes: register, list, show, set, pause, resume, drain, takeover, delete, key',
    load: async () => (await import('./groups/lane.ts')).registerLane,
  },
  {
    name: 'task',
    plural: 'tasks',
    summary: 'tasks: add, list, get, link, graph, cancel, unblock, complete, accept, steer, output, …',
    load: async () => (await import('./groups/task.ts')).registerTask,
  },
  {
    name: 'run',
    plural: 'runs',
    summary: 'the run of a claim, for its holder: heartbeat, complete, request-changes, block, release, fail',
    load: async () => (await import('./groups/run.ts')).registerRun,
  },
  {
    name: 'key',
    plural: 'keys',
    summary: 'API keys: create, list, revoke',
    load: async () => (await import('./groups/key.ts')).registerKey,
  },
  {
    name: 'import',
    summary: 'take over a Hermes board',
    load: async () => (await import('./groups/import.ts')).registerImport,
  },
  {
    name: 'work',
    summary: 'run a command for each task of a lane',
    load: async () => (await import('./groups/work.ts')).registerWork,
  },
  {
    name: 'dispatch',
    summary: 'spawn a process for each task of the lanes of kind spawn',
    load: async () => (await import('./groups/dispatch.ts')).registerDispatch,
  },
  {
    name: 'watch',
    summary: 'follow the log of a board',
    load: async () => (await import('./groups/watch.ts')).registerWatch,
  },
  {
    name: 'event',
    plural: 'events',
    summary: 'read a page of the log of a board',
    load: async () => (await import('./groups/event.ts')).registerEvent,
  },
  {
    name: 'attention',
    summary: 'what on the board waits for a person, and what resolves it',
    load: async () => (await import('./groups/attention.ts')).registerAttention,
  },
  {
    name: 'snapshot',
    summary: 'unfinished tasks and lanes of one instant',
    load: async () => (await import('./groups/snapshot.ts')).registerSnapshot,
  },
];
