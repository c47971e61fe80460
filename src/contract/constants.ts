/**
 * Names and numbers of the wire. No imports, so that the client can use it at run time in a browser.
 * Every number is pinned by the wire contract unless its comment names another source.
 */

/** Version of the WebSocket protocol; its history stands in docs/protocol.md. */
export const WATCH_SUBPROTOCOL = 'lanekeeper.v1';
/** A browser offers this plus the base64url of its key as a second subprotocol; it is never echoed. */
export const BEARER_SUBPROTOCOL_PREFIX = 'lanekeeper.bearer.';

export const TOKEN_AUDIENCE = 'lanekeeper';
export const CLAIM_TOKEN_TYPE = 'claim+jwt';

export const HEADERS = {
  requestId: 'X-Request-Id',
  idempotencyKey: 'Idempotency-Key',
  idempotentReplayed: 'Idempotent-Replayed',
  lastEventId: 'Last-Event-ID',
  prefer: 'Prefer',
  preferenceApplied: 'Preference-Applied',
  traceparent: 'traceparent',
  origin: 'Lanekeeper-Origin',
} as const;

export const CLOSE_CODES = {
  policy: 1008,
  tooBig: 1009,
  drain: 1012,
  overload: 1013,
  badFrame: 4400,
  unauthenticated: 4401,
  forbidden: 4403,
  tooSlow: 4408,
  superseded: 4409,
} as const;

export const LIMITS = {
  bodyBytesMax: 1024 * 1024,
  batchBodyBytesMax: 8 * 1024 * 1024,
  titleCharactersMax: 500,
  taskBodyBytesMax: 64 * 1024,
  jsonBytesMax: 256 * 1024,
  /** Levels of nesting in a body. Not pinned: no real document comes near, and parsers recurse. */
  jsonDepthMax: 100,
  priorityMax: 1_000_000,
  batchTasksMax: 1000,
  /** Tasks that one task may wait for, and tasks that may wait for one. Not pinned: the largest batch is a thousand. */
  parentsMax: 100,
  childrenMax: 1000,
  /** What a graph shows of a task's family. Not pinned: what a screen can show, and some megabytes of links. */
  graphTasksMax: 500,
  graphLinksMax: 10_000,
  batchOperationsMax: 500,
  /** Tasks that a bulk operation names, and tasks that its filter may find. Not pinned: a batch, and a board's whole backlog. */
  bulkIdsMax: 1000,
  bulkTasksMax: 100_000,
  /** Of a bulk operation's failures, those that are listed. Not pinned: more than anybody looks at one by one; all are counted. */
  bulkFailuresListedMax: 1000,
  claimsMax: 100,
  /** Tasks that a worker may have the server claim ahead of it. Not pinned: far more than one process works on at once. */
  creditsMax: 1000,
  pageRowsDefault: 50,
  pageRowsMax: 200,
  snapshotTasksMax: 10_000,
  waitSecondsMax: 60,
  leaseSecondsMax: 86_400,
  /** Tasks that one run may create under its claim token. */
  tasksPerRunMax: 100,
  /** Short texts: reasons, notes, errors, summaries. Not pinned: a page of text, far above what is displayed. */
  reasonCharactersMax: 4000,
  summaryCharactersMax: 16_000,
  /** Events a page of the log may carry. Not pinned: 1,000 events of 1 KiB are one comfortable response. */
  eventPageRowsMax: 1000,
  /** Values in each filter of a watch, on a socket or over HTTP. */
  filterWordsMax: 100,
  /** A comment is prose; the same bound as a task's body. */
  commentBytesMax: 64 * 1024,
  /** A steering message is an instruction, not a document. Not pinned. */
  messageCharactersMax: 4000,
  /** Unacknowledged steering messages of one task; also how many one acknowledgement may name. Not pinned. */
  messagesMax: 100,
  /** Pinned by the domain: the tail that is kept of each task's output. */
  outputLinesKept: 200,
  outputLineCharactersKept: 500,
  /** In one request. Not pinned: a burst of a build log; what does not fit into the ring is counted and dropped. */
  outputLinesReceivedMax: 1000,
  outputLineReceivedCharactersMax: 16_000,
  /** Of one task that is taken over from another board. Not pinned: far more than anybody reads; the newest are kept. */
  importedRunsMax: 1000,
  importedCommentsMax: 1000,
  /** Of each part of an origin but its context. Not pinned: platforms' ids are far shorter. */
  originCharactersMax: 255,
  originContextCharactersMax: 2000,
  /** Not pinned: a paragraph; what is longer is context. */
  goalCharactersMax: 4000,
  toolsetsMax: 50,
  /** Pinned by the domain: fan-out and depth. */
  delegationTasksMax: 100,
  delegationDepthMax: 3,
  /** Of all results of a delegation together. Not pinned: four of the largest there are; the task itself has the rest. */
  delegationResultsBytesMax: 1024 * 1024,
  /** The same in its event, which goes to every watcher. */
  delegationEventBytesMax: 64 * 1024,
  /** Not pinned: a gateway that needs longer than an hour for a message is gone. */
  deliveryLeaseSecondsMax: 3600,
  webhookUrlCharactersMax: 2000,
  /** Labels of a lane or task: enough for any real tagging, small enough to send with every event. */
  labelsMax: 50,
} as const;

/** The exit code (EX_TEMPFAIL of sysexits.h) by which a command says that it was rate limited. */
export const RATE_LIMITED_EXIT_CODE = 75;
