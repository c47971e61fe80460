/**
 * Puts the audit log around the handlers of routes, whoever calls them, over REST or MCP. The entry is committed before the answer goes
 * out, so nothing is told as done that the log does not know; where it cannot be written, the caller hears what an answer lost on the way
 * would mean, too: it may have been done. An entry in the transaction of each effect would have been exact for a crash as well, and in
 * thirty places of nine features something to forget.
 */
import type { AuditEntry } from '../../../contract/audit.ts';
import { HEADERS } from '../../../contract/constants.ts';
import { BoardName } from '../../../contract/identifiers.ts';
import type { Route } from '../../../contract/route.ts';
import type { Bind } from '../../http/bind-route.ts';
import type { Answer, Exchange, Handler } from '../../http/exchange.ts';
import { actorOf, type Principal } from '../../kernel/principal.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { BoardService } from '../boards/service.ts';
import { AUDITED, type Deed, deedOf } from './audited.ts';
import type { AuditJournal } from './journal.ts';

interface AuditingParts {
  readonly journal: AuditJournal;
  readonly boards: Pick<BoardService, 'resolve'>;
}

export function bindAudited(bind: Bind, parts: AuditingParts): Bind {
  return (route, handler, options) =>
    bind(route, audited(route, handler as Handler<Route>, parts) as typeof handler, options);
}

function audited(route: Route, handler: Handler<Route>, { journal, boards }: AuditingParts): Handler<Route> {
  const tell = AUDITED[route.operationId];
  if (tell === undefined) return (exchange) => doneOrRefused(exchange, handler, journal);
  return async (exchange) => {
    const { caller, requestId, remoteAddress } = exchange;
    const { board: named } = exchange.params as Readonly<Record<string, string>>;
    // Before the deed: afterwards a board may be gone.
    const before = await numberOf(boards, named);
    const answer = await doneOrRefused(exchange, handler, journal);
    if (answer.status >= 300) return answer;
    const deed: Deed = deedOf(exchange, answer.status, answer.body);
    const { action, subject = null, board = null, data = {} } = tell(deed);
    const about = named ?? answer.audited?.board ?? board;
    await journal.record({
      action,
      actor: caller === null ? issuedActor(deed) : auditActorOf(caller),
      boardId: before ?? (await numberOf(boards, about)),
      board: about,
      subject: answer.audited?.subject ?? subject,
      outcome: 'done',
      code: null,
      count: 1,
      address: remoteAddress === '' ? null : remoteAddress,
      requestId,
      data: { ...data, ...answer.audited?.data, ...(isReplay(answer) ? { replayed: true } : {}) },
    });
    return answer;
  };
}

/** Of an answer that was remembered: what it tells of was done before, under the same key. */
function isReplay({ headers }: Answer): boolean {
  return headers?.[HEADERS.idempotentReplayed] === 'true';
}

/**
 * What a service refuses, such as a grant of more than one has, or a token the task of another, is told as what the gate refuses. Only what says that
 * it is a refusal: what may not be seen is answered as what there is not, and a wrong name is no attack.
 */
async function doneOrRefused(
  exchange: Exchange,
  handler: Handler<Route>,
  journal: AuditJournal,
): Promise<Answer> {
  try {
    return await handler(exchange);
  } catch (error) {
    const { caller, route } = exchange;
    const isRefusal = error instanceof ProblemError && error.status === 403;
    if (isRefusal && caller !== null) {
      const { board } = exchange.params as Readonly<Record<string, string>>;
      refuse(journal, caller, { error, operation: route.operationId, board, from: exchange });
    }
    throw error;
  }
}

function auditActorOf(caller: Principal): AuditEntry['actor'] {
  return { ...actorOf(caller), name: caller.kind === 'key' ? caller.name : null };
}

/** Who signs in is the key that is given for the code. */
function issuedActor({ answer }: Deed): AuditEntry['actor'] {
  const { id, name } = Object(answer['key']) as { readonly id?: string; readonly name?: string };
  return id === undefined
    ? { type: 'anonymous', id: null, name: null }
    : { type: 'key', id, name: name ?? null };
}

async function numberOf(
  boards: AuditingParts['boards'],
  name: string | null | undefined,
): Promise<number | null> {
  if (name == null) return null;
  try {
    return (await boards.resolve(name)).id;
  } catch (error) {
    if (error instanceof ProblemError && error.code === 'not_found') return null;
    throw error;
  }
}

/** What somebody was refused, told to the journal in the words of the request. */
export function refuse(
  journal: AuditJournal,
  caller: Principal,
  { error, operation, board, from }: Refused,
): void {
  if (!(error instanceof ProblemError)) return;
  journal.refuse({
    action: 'access.refused',
    actor: auditActorOf(caller),
    code: error.code,
    operation,
    board: isBoardName(board) ? board : null,
    address: from.remoteAddress,
    requestId: from.requestId,
  });
}

/** The same of a watch socket, at its upgrade or in a frame. */
export function refuseSocket(
  journal: AuditJournal,
  caller: Principal,
  { error, board, remoteAddress }: { error: unknown; board: string; remoteAddress: string },
): void {
  refuse(journal, caller, {
    ...{ error, board, operation: 'watchBoard' },
    from: { remoteAddress, requestId: null },
  });
}

interface Refused {
  readonly error: unknown;
  readonly operation: string;
  /** As the path has it: whatever somebody has typed. */
  readonly board: string | undefined;
  readonly from: { readonly remoteAddress: string; readonly requestId: string | null };
}

function isBoardName(text: string | undefined): text is string {
  return text !== undefined && BoardName.safeParse(text).success;
}
