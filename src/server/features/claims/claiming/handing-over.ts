/** Claims as the wire shows them: tokens signed, and handoffs read for the tasks that have a past. */
import type { Claim, Handoff } from '../../../../contract/claims.ts';
import type { Sql } from '../../../db/client.ts';
import { withinDeadline } from '../../../db/tx.ts';
import { formatId, parseId, type Uuid } from '../../../kernel/ids.ts';
import type { ClaimTokens } from '../../auth/service.ts';
import type { BoardRef } from '../../boards/service.ts';
import { taskOf } from '../../tasks/service.ts';
import type { Inbox } from '../steering/inbox.ts';
import type { ClaimedRow } from '../store/claimed-row.ts';
import { findLiveClaims } from '../store/live-claim.ts';
import { EMPTY_HANDOFF, handoffCapsOf, handoffOf } from '../view.ts';
import { readPasts } from './pasts.ts';

const HEARTBEATS_PER_LEASE = 3;

export class HandingOver {
  readonly #sql: Sql;
  readonly #tokens: ClaimTokens;
  readonly #inbox: Inbox;

  constructor(sql: Sql, tokens: ClaimTokens, inbox: Inbox) {
    this.#sql = sql;
    this.#tokens = tokens;
    this.#inbox = inbox;
  }

  /** The wire's claims: tokens signed, handoffs read for the tasks that have a past. */
  async present(board: BoardRef, rows: readonly ClaimedRow[]): Promise<Claim[]> {
    const claims = await this.presentUnsigned(board, rows);
    return claims.map((claim, index) => {
      const { run_id: runId, task, lane, worker, attempt } = claim;
      const maxRuntimeSeconds = rows[index]?.claim_runtime_seconds ?? null;
      const named = { runId, taskId: task.id, board: board.name, lane, worker, attempt };
      return { ...claim, token: this.#tokens.sign({ ...named, maxRuntimeSeconds }) };
    });
  }

  /** The same without tokens, which are most of the work. */
  async presentUnsigned(board: BoardRef, rows: readonly ClaimedRow[]): Promise<Omit<Claim, 'token'>[]> {
    const handoffs = await this.#handoffs(board, rows);
    return rows.map((row) => {
      const task = taskOf(board, row);
      const leaseMs = Date.parse(row.lease_expires_at) - Date.parse(row.claimed_at);
      return {
        run_id: task.claim?.run_id ?? formatId('run', row.run_id),
        task,
        lane: row.claim_lane ?? '',
        worker: row.worker,
        attempt: row.claim_attempt ?? row.attempt,
        claimed_at: row.claimed_at,
        lease_expires_at: row.lease_expires_at,
        heartbeat_interval_seconds: leaseMs / 1000 / HEARTBEATS_PER_LEASE,
        handoff: handoffs.get(row.id) ?? EMPTY_HANDOFF,
        traceparent: row.traceparent,
      };
    });
  }

  async #handoffs(board: BoardRef, rows: readonly ClaimedRow[]): Promise<Map<Uuid, Handoff>> {
    const withPast = rows
      .filter(
        (row) =>
          (row.claim_attempt ?? 0) > 1 ||
          row.comment_count > 0 ||
          row.message_count > 0 ||
          row.parent_count > 0 ||
          row.delegation_id !== null,
      )
      .map((row) => row.id);
    if (withPast.length === 0) return new Map();
    const caps = handoffCapsOf(withPast.length);
    const addressed = rows.filter((row) => row.message_count > 0);
    const listeners = addressed.map((row) => ({ taskId: row.id, runId: row.run_id }));
    const children = rows.filter((row) => row.parent_count > 0).map((row) => row.id);
    const delegated = rows.filter((row) => row.delegation_id !== null).map((row) => row.id);
    const [pasts, messages] = await Promise.all([
      readPasts(this.#sql, board.id, { ids: withPast, children, delegated }, caps),
      withinDeadline(this.#inbox.handOver(board, listeners, caps.messages)),
    ]);
    return new Map(
      [...pasts].map(([id, past]) => [id, handoffOf({ ...past, messages: messages.get(id) ?? [] }, caps)]),
    );
  }

  /** The claims of a remembered answer that still hold, with tokens of their own. */
  async presentAgain(board: BoardRef, runIds: readonly string[]): Promise<Claim[]> {
    const ids = runIds.map((id) => parseId('run', id)).filter((id): id is Uuid => id !== null);
    return this.present(board, await withinDeadline(findLiveClaims(this.#sql, board.id, ids)));
  }
}
