/**
 * Who may do what, as the API's design says it (its table of principals), by operation. Written by hand and on purpose not made from the
 * server's own table: where the two differ, one of them is wrong.
 */
import type { Route } from '../../src/contract/route.ts';
import { type Caller, maySee, type Place } from './world.ts';

/**
 * yes: on the boards it sees. every board: only with the right to all of them. own lane, own task, own run: of the key or the claim; own
 * delegation: made under the claim.
 * token: refused with the hint that it takes the token of the claim.
 */
type Cell = 'yes' | '-' | 'every board' | 'own lane' | 'own task' | 'own run' | 'own delegation' | 'token';

/** Nobody is asked who they are. */
const OPEN = ['livez', 'readyz', 'openapiDocument', 'asyncapiDocument', 'docsPage', 'jwks', 'signIn'];

/** Columns: admin, orchestrator, observer, lane key, claim token. */
const TABLE = `
  whoami                                                                         | yes | yes | yes | yes | yes
  metrics                                                                        | yes | yes | yes | -   | -
  createKey listKeys deleteKey createLaneKey createSignInCode                    | yes | -   | -   | -   | -
  signOut                                                                        | yes | yes | yes | yes | -
  rotateSigningKey                                                       | every board | -   | -   | -   | -
  putBoard patchBoard deleteBoard importTasks deleteTask listAudit               | yes | -   | -   | -   | -
  listBoards getBoard listLanes getLane listTasks getSnapshot                    | yes | yes | yes | yes | -
  getTask listComments listTaskRuns listTaskEvents listMessages listOutput       | yes | yes | yes | yes | own task
  listEvents                                                                     | yes | yes | yes | yes | yes
  getRun                                                                         | yes | yes | yes | yes | own run
  putLane patchLane deleteLane pauseLane resumeLane                              | yes | yes | -   | -   | -
  drainLane takeOverLane                                                         | yes | yes | -   | own lane | -
  createTask createTasks                                                         | yes | yes | -   | -   | yes
  getContext                                                                     | yes | yes | yes | yes | own task
  addComment linkParent unlinkParent                                             | yes | yes | -   | -   | own task
  getGraph getWhy getAttention getStats getOperation                             | yes | yes | yes | yes | -
  scheduleTask acceptTask requestTaskChanges bulkTasks cancelOperation           | yes | yes | -   | -   | -
  patchTask promoteTask unblockTask cancelTask completeTask                      | yes | yes | -   | -   | -
  assignTask archiveTask reopenTask steerTask reclaimTask                        | yes | yes | -   | -   | -
  createDelegation                                                               | yes | yes | -   | -   | yes
  listDelegations                                                                | yes | yes | yes | yes | yes
  getDelegation                                                                  | yes | yes | yes | yes | own delegation
  steerDelegation cancelDelegation                                               | yes | yes | -   | -   | own delegation
  cancelDelegations putSubscription deleteSubscription                           | yes | yes | -   | -   | -
  claimDeliveries ackDelivery nackDelivery retryDelivery                         | yes | yes | -   | -   | -
  getSubscription listSubscriptions listDeliveries listSessionMessages           | yes | yes | yes | -   | -
  claimTasks                                                                     | yes | -   | -   | own lane | -
  batchRuns                                                                      | yes | -   | -   | yes | -
  heartbeatRun appendOutput acknowledgeMessages                      | token | token | token | token | own run
  completeRun requestRunChanges blockRun releaseRun failRun          | token | token | token | token | own run
`;

const COLUMNS = ['admin', 'orchestrator', 'observer', 'lane', 'claim'] as const;
type Row = Readonly<Record<(typeof COLUMNS)[number], Cell>>;

const ROWS: Readonly<Record<string, Row>> = Object.fromEntries(
  TABLE.trim()
    .split('\n')
    .flatMap((line) => {
      const [operations = '', ...cells] = line.split('|').map((part) => part.trim());
      const row = Object.fromEntries(COLUMNS.map((column, index) => [column, cells[index]])) as Row;
      return operations.split(/\s+/).map((operation) => [operation, row] as const);
    }),
);

/** Every operation that the table knows. */
export const KNOWN_OPERATIONS: readonly string[] = [...OPEN, ...Object.keys(ROWS)];

/** `hidden x`: a 404 whose resource is x. */
export type Outcome = string;

/** Whether the gate lets this caller through to this place; what becomes of the request after that is not the table's. */
export function expectedOutcome(route: Route, caller: Caller, place: Place): Outcome {
  const { operationId } = route;
  if (OPEN.includes(operationId)) return 'allowed';
  // The server of the tests listens on loopback, where metrics are open to whoever names nobody.
  if (operationId === 'metrics' && caller.name === 'none') return 'allowed';
  if (caller.refusal !== undefined) return caller.refusal;
  if (route.path.includes('{board}') && !maySee(caller, place)) return 'hidden board';
  const cell = caller.role === 'nobody' ? '-' : ROWS[operationId]?.[caller.role];
  switch (cell) {
    case 'yes':
      return maySee(caller, place) ? 'allowed' : hiddenById(route);
    case 'every board':
      return caller.boards === null ? 'allowed' : 'forbidden';
    case 'own lane':
      return caller.lane === place.lane ? 'allowed' : 'forbidden';
    case 'own task':
      return caller.task === place.task ? 'allowed' : 'hidden task';
    case 'own delegation':
      return caller.task === place.task ? 'allowed' : 'hidden delegation';
    case 'own run':
      return caller.run === place.run ? 'allowed' : 'not_your_claim';
    case 'token':
      return 'claim_token_required';
    case '-':
      return 'forbidden';
    default:
      throw new Error(`the table says nothing about ${operationId}`);
  }
}

/** What is found by its id alone is hidden by itself, and not with its board. */
function hiddenById({ operationId, path }: Route): Outcome {
  if (operationId === 'getRun') return 'hidden run';
  return path.includes('{delivery}') ? 'hidden delivery' : 'allowed';
}
