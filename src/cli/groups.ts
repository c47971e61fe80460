/** The commands, in the order of the help, and where each is written. */
import type { Register } from './register.ts';

export interface Group {
  readonly name: string;
  /** Nouns answer to both. */
  readonly plural?: string;
  readonly summary: string;
  /** Used by programs, not by people. */
  readonly isHidden?: true;
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
    name: 'backup',
    summary: 'write the whole database to a file',
    load: async () => (await import('./groups/server.ts')).registerServerCommand,
  },
  {
    name: 'restore',
    summary: 'put a backup in the place of the database',
    load: async () => (await import('./groups/server.ts')).registerServerCommand,
  },
  {
    name: 'restored',
    summary: 'once, after the database was restored by other means',
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
    name: 'profile',
    plural: 'profiles',
    summary: 'stored servers: list, set, use, remove',
    load: async () => (await import('./groups/profile.ts')).registerProfile,
  },
  {
    name: 'dashboard',
    summary: 'print a link that signs you in to the web page',
    load: async () => (await import('./groups/dashboard.ts')).registerDashboard,
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
    summary: 'lanes: register, list, show, set, pause, resume, drain, takeover, claim, delete, key',
    load: async () => (await import('./groups/lane.ts')).registerLane,
  },
  {
    name: 'task',
    plural: 'tasks',
    summary:
      'tasks: add, list, get, wait, why, link, graph, cancel, unblock, complete, accept, steer, logs, …',
    load: async () => (await import('./groups/task.ts')).registerTask,
  },
  {
    name: 'delegate',
    summary: 'hand work over in the background: prints its id at once',
    load: async () => (await import('./groups/delegate.ts')).registerDelegate,
  },
  {
    name: 'check',
    summary: 'how a delegation stands',
    load: async () => (await import('./groups/delegation.ts')).registerCheck,
  },
  {
    name: 'collect',
    summary: 'wait for a delegation and print its results',
    load: async () => (await import('./groups/delegation.ts')).registerCollect,
  },
  {
    name: 'steer',
    summary: 'tell the workers of a delegation something',
    load: async () => (await import('./groups/delegation.ts')).registerSteer,
  },
  {
    name: 'cancel',
    summary: 'stop a delegation, or all of a session',
    load: async () => (await import('./groups/delegation.ts')).registerCancel,
  },
  {
    name: 'list',
    summary: 'delegations, newest first',
    load: async () => (await import('./groups/delegation.ts')).registerList,
  },
  {
    name: 'delegation',
    plural: 'delegations',
    summary: 'delegations: create, get, collect, steer, cancel, list',
    load: async () => (await import('./groups/delegation.ts')).registerDelegation,
  },
  {
    name: 'subscription',
    plural: 'subscriptions',
    summary: 'who is told an outcome: put, list, get, delete',
    load: async () => (await import('./groups/subscription.ts')).registerSubscription,
  },
  {
    name: 'delivery',
    plural: 'deliveries',
    summary: 'outcomes on their way: claim, ack, nack, list, retry',
    load: async () => (await import('./groups/delivery.ts')).registerDelivery,
  },
  {
    name: 'session',
    plural: 'sessions',
    summary: 'what an origin session was told: messages',
    load: async () => (await import('./groups/delivery.ts')).registerSession,
  },
  {
    name: 'run',
    plural: 'runs',
    summary:
      'the run of a claim, for its holder: get, heartbeat, output, ack, complete, request-changes, block, release, fail, batch',
    load: async () => (await import('./groups/run.ts')).registerRun,
  },
  {
    name: 'key',
    plural: 'keys',
    summary: 'API keys: create, list, revoke, rotate-signing-key',
    load: async () => (await import('./groups/key.ts')).registerKey,
  },
  {
    name: 'audit',
    summary: 'who did what, from where, and who was refused: list, export',
    load: async () => (await import('./groups/audit.ts')).registerAudit,
  },
  {
    name: 'operation',
    plural: 'operations',
    summary: 'one thing done to many tasks: get, cancel',
    load: async () => (await import('./groups/operation.ts')).registerOperation,
  },
  {
    name: 'import',
    summary: 'take over a Hermes board, or tasks from a file',
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
    name: 'synthesize',
    summary: 'make replies of outcomes with a model',
    load: async () => (await import('./groups/synthesize.ts')).registerSynthesize,
  },
  {
    name: 'mcp',
    summary: 'agents: a bridge for clients that speak only stdio, and what to configure',
    load: async () => (await import('./groups/mcp.ts')).registerMcp,
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
  {
    name: 'doctor',
    summary: 'find out what is wrong: server, database, key, clock, socket, files',
    load: async () => (await import('./groups/doctor.ts')).registerDoctor,
  },
  {
    name: 'server',
    summary: 'what the server says of itself: health, metrics, openapi, asyncapi, jwks',
    load: async () => (await import('./groups/server-state.ts')).registerServerState,
  },
  {
    name: 'completion',
    summary: 'completions for a shell: bash, zsh, fish, powershell',
    load: async () => (await import('./groups/completion.ts')).registerCompletion,
  },
  {
    name: 'complete',
    isHidden: true,
    summary: 'what could come next; asked by the script of "completion"',
    load: async () => (await import('./groups/completion.ts')).registerComplete,
  },
];
