/**
 * Who may do what: the one table, by operation. It decides on the caller and the path alone, before anything is read; what
 * depends on a row (whose task, whose run) is decided by the statement that locks the row.
 */
import type { Role } from '../../../contract/statuses.ts';
import { unreachable } from '../../kernel/assert.ts';
import type { ClaimPrincipal, KeyPrincipal, Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';

/** What a claim token may do with an operation. */
type ClaimReach =
  | 'never'
  /** Also on the token's own board, whatever the task. */
  | 'own_board'
  /** Only on the task of the claim; the service compares, because a path may name it by external_ref. */
  | 'own_task'
  /** Only on the run of the claim. */
  | 'own_run'
  | 'always';

interface Rule {
  readonly roles: readonly Role[];
  readonly claim: ClaimReach;
  /** A lane key may do it only for the lane it is bound to. */
  readonly isOwnLaneOnly?: true;
  /** Only with the right to every board. */
  readonly isGlobal?: true;
  /** Any API key is told that a claim token is needed. */
  readonly isClaimVerb?: true;
}

const READERS: readonly Role[] = ['admin', 'orchestrator', 'observer', 'lane'];
const OPERATORS: readonly Role[] = ['admin', 'orchestrator'];
const ADMINS: readonly Role[] = ['admin'];

const readBoard: Rule = { roles: READERS, claim: 'never' };
const readTask: Rule = { roles: READERS, claim: 'own_task' };
const readLog: Rule = { roles: READERS, claim: 'own_board' };
/** Who talked to whom is no business of a lane. */
const readReturns: Rule = { roles: ['admin', 'orchestrator', 'observer'], claim: 'never' };
const operate: Rule = { roles: OPERATORS, claim: 'never' };
const administer: Rule = { roles: ADMINS, claim: 'never' };
const ownRun: Rule = { roles: [], claim: 'own_run', isClaimVerb: true };

export const PERMISSIONS: Readonly<Record<string, Rule>> = {
  // Each tool is asked again, as the operation it stands for.
  mcpMessages: { roles: READERS, claim: 'always' },
  metrics: { roles: ['admin', 'orchestrator', 'observer'], claim: 'never' },
  livez: { roles: READERS, claim: 'always' },
  readyz: { roles: READERS, claim: 'always' },
  openapiDocument: { roles: READERS, claim: 'always' },
  asyncapiDocument: { roles: READERS, claim: 'always' },
  docsPage: { roles: READERS, claim: 'always' },
  jwks: { roles: READERS, claim: 'always' },
  whoami: { roles: READERS, claim: 'always' },

  signIn: { roles: READERS, claim: 'always' },
  // Of those, only the keys that a sign-in made: the row says which.
  signOut: { roles: READERS, claim: 'never' },
  createSignInCode: administer,

  createKey: administer,
  listKeys: administer,
  deleteKey: administer,
  rotateSigningKey: { roles: ADMINS, claim: 'never', isGlobal: true },

  // Of some boards: what concerns them.
  listAudit: administer,

  putBoard: administer,
  patchBoard: administer,
  deleteBoard: administer,
  listBoards: readBoard,
  getBoard: readBoard,
  getAttention: readBoard,
  getStats: readBoard,

  putLane: operate,
  patchLane: operate,
  deleteLane: operate,
  pauseLane: operate,
  resumeLane: operate,
  drainLane: { roles: ['admin', 'orchestrator', 'lane'], claim: 'never', isOwnLaneOnly: true },
  takeOverLane: { roles: ['admin', 'orchestrator', 'lane'], claim: 'never', isOwnLaneOnly: true },
  createLaneKey: administer,
  listLanes: readBoard,
  getLane: readBoard,

  createTask: { roles: OPERATORS, claim: 'own_board' },
  createTasks: { roles: OPERATORS, claim: 'own_board' },
  // Deleting takes an admin key there, too; that depends on the body.
  bulkTasks: operate,
  getOperation: readBoard,
  cancelOperation: operate,
  importTasks: administer,
  listTasks: readBoard,
  getTask: readTask,
  patchTask: operate,
  deleteTask: administer,
  promoteTask: operate,
  unblockTask: operate,
  cancelTask: operate,
  completeTask: operate,
  assignTask: operate,
  reclaimTask: operate,
  archiveTask: operate,
  reopenTask: operate,
  scheduleTask: operate,
  acceptTask: operate,
  requestTaskChanges: operate,
  linkParent: { roles: OPERATORS, claim: 'own_task' },
  unlinkParent: { roles: OPERATORS, claim: 'own_task' },
  getGraph: readBoard,
  getWhy: readBoard,
  getContext: readTask,
  addComment: { roles: OPERATORS, claim: 'own_task' },
  listComments: readTask,
  steerTask: operate,
  listMessages: readTask,
  listOutput: readTask,
  listTaskRuns: readTask,
  listTaskEvents: readTask,

  // Under a claim token: made for its task, and only those.
  createDelegation: { roles: OPERATORS, claim: 'own_board' },
  listDelegations: { roles: READERS, claim: 'own_board' },
  getDelegation: { roles: READERS, claim: 'own_board' },
  steerDelegation: { roles: OPERATORS, claim: 'own_board' },
  cancelDelegation: { roles: OPERATORS, claim: 'own_board' },
  cancelDelegations: operate,

  putSubscription: operate,
  listSubscriptions: readReturns,
  getSubscription: readReturns,
  deleteSubscription: operate,
  claimDeliveries: operate,
  listDeliveries: readReturns,
  ackDelivery: operate,
  nackDelivery: operate,
  retryDelivery: operate,
  listSessionMessages: readReturns,

  claimTasks: { roles: ['admin', 'lane'], claim: 'never', isOwnLaneOnly: true },
  getRun: { roles: READERS, claim: 'own_run' },
  heartbeatRun: ownRun,
  appendOutput: ownRun,
  acknowledgeMessages: ownRun,
  completeRun: ownRun,
  requestRunChanges: ownRun,
  blockRun: ownRun,
  releaseRun: ownRun,
  failRun: ownRun,
  batchRuns: { roles: ['admin', 'lane'], claim: 'never' },

  listEvents: readLog,
  getSnapshot: readBoard,
  watch: readLog,
};

/** The same answer for a board that does not exist and one the caller may not see. */
export function boardNotFound(name: string): ProblemError {
  return new ProblemError('not_found', `There is no board ${JSON.stringify(name)}.`, {
    extensions: { resource: 'board' },
  });
}

export function maySeeBoard(caller: Principal, board: string): boolean {
  if (caller.kind === 'claim') return caller.board === board;
  return caller.boards === '*' || caller.boards.has(board);
}

export function authorise(
  caller: Principal,
  operationId: string,
  params: Readonly<Record<string, string>>,
): void {
  const rule = PERMISSIONS[operationId];
  if (rule === undefined)
    throw new ProblemError('forbidden', 'This operation is not in the permission table.');
  const { board } = params;
  if (board !== undefined && !maySeeBoard(caller, board)) throw boardNotFound(board);
  if (caller.kind === 'key') authoriseKey(caller, rule, params);
  else authoriseClaim(caller, rule, params);
}

function authoriseKey(caller: KeyPrincipal, rule: Rule, params: Readonly<Record<string, string>>): void {
  if (rule.isClaimVerb) {
    throw new ProblemError(
      'claim_token_required',
      'An API key cannot act on a run. Use the token that came with the claim.',
    );
  }
  if (!rule.roles.includes(caller.role)) {
    throw new ProblemError(
      'forbidden',
      `A key with role ${caller.role} may not do this; it takes ${rule.roles.join(' or ')}.`,
    );
  }
  if (rule.isOwnLaneOnly && caller.role === 'lane' && caller.lane !== params['lane']) {
    throw new ProblemError('forbidden', `This key is bound to lane ${JSON.stringify(caller.lane)}.`);
  }
  if (rule.isGlobal && caller.boards !== '*')
    throw new ProblemError('forbidden', 'This takes a key for every board.');
}

function authoriseClaim(caller: ClaimPrincipal, rule: Rule, params: Readonly<Record<string, string>>): void {
  switch (rule.claim) {
    case 'always':
    case 'own_board':
    case 'own_task':
      return;
    case 'own_run':
      if (caller.runId === params['run']) return;
      throw new ProblemError('not_your_claim', 'This claim token speaks for another run.');
    case 'never':
      throw new ProblemError(
        'forbidden',
        'A claim token speaks for its own claim only; this takes an API key.',
      );
    default:
      unreachable(rule.claim);
  }
}
