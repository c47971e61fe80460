import type { Tx } from '../../../db/client.ts';
import type { Principal } from '../../../kernel/principal.ts';
import { ProblemError } from '../../../kernel/problem-error.ts';
import type { BoardRef } from '../../boards/service.ts';
import { type LaneRow, listOthersOnline } from '../../lanes/service.ts';

/** Its right ends at its lane, and where a sibling works. */
export function isOfLane(caller: Principal): boolean {
  return caller.kind !== 'key' || caller.role === 'lane';
}

export function tooOften(lane: string): ProblemError {
  const detail = `Lane ${JSON.stringify(lane)} has been taken over many times in the last seconds; retry shortly.`;
  return new ProblemError('rate_limited', detail, { headers: { 'Retry-After': '1' } });
}

export function assertMayClaim({ kind, allowed_status_mutations: mutations }: LaneRow): void {
  if (kind !== 'human' && mutations !== 'none') return;
  const why = kind === 'human' ? 'people work on it' : 'its allowed_status_mutations is none';
  throw new ProblemError(
    'lane_may_not_claim',
    `No worker claims for this lane (${why}), so none takes it over.`,
  );
}

export async function assertAlone(tx: Tx, board: BoardRef, lane: string, worker: string): Promise<void> {
  const [other] = await listOthersOnline(tx, board.id, lane, worker, 1);
  if (other === undefined) return;
  const { worker: name, last_seen_at: at, is_holding: isHolding } = other;
  const why = isHolding ? 'it holds live claims' : `it was seen at ${at}`;
  throw new ProblemError(
    'forbidden',
    `Worker ${JSON.stringify(name)} of lane ${JSON.stringify(lane)} is online: ${why}. A lane key takes its lane over only while no other worker of it is; an orchestrator always may.`,
  );
}
