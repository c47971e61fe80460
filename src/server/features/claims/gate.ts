/** Whether a lane may be given work now: pure, decided on the configuration that the claim's statement will prove. */
import type { EmptyClaimReason } from '../../../contract/statuses.ts';
import { ProblemError } from '../../kernel/problem-error.ts';
import type { BoardConfig, LaneConfig } from '../lanes/service.ts';

export type Gate =
  | { readonly kind: 'open'; readonly lane: LaneConfig }
  /** Nothing is handed out at the moment; waiting may help. */
  | { readonly kind: 'closed'; readonly reason: EmptyClaimReason }
  /** This will never succeed as asked. */
  | { readonly kind: 'refused'; readonly problem: ProblemError };

export interface ClaimAsk {
  readonly board: string;
  readonly lane: string;
  readonly isWaiting: boolean;
  /** The server asks against the credits of a worker; default: a worker asks. */
  readonly isPush?: boolean;
}

export function gateOf(config: BoardConfig, ask: ClaimAsk): Gate {
  const lane = config.lanes.get(ask.lane);
  if (lane === undefined) {
    const detail = `There is no lane ${JSON.stringify(ask.lane)} on board ${JSON.stringify(ask.board)}.`;
    return {
      kind: 'refused',
      problem: new ProblemError('lane_not_found', detail, { extensions: { resource: 'lane' } }),
    };
  }
  const problem = refusalOf(lane, ask);
  if (problem !== null) return { kind: 'refused', problem };
  if (config.isPaused) return { kind: 'closed', reason: 'board_paused' };
  if (lane.is_paused) return { kind: 'closed', reason: 'lane_paused' };
  if (lane.is_draining) return { kind: 'closed', reason: 'lane_draining' };
  return { kind: 'open', lane };
}

function refusalOf(lane: LaneConfig, ask: ClaimAsk): ProblemError | null {
  if (lane.allowed_status_mutations === 'none') {
    return new ProblemError(
      'lane_may_not_claim',
      'This lane may watch but not claim: its allowed_status_mutations is none.',
    );
  }
  if (lane.kind === 'human')
    return new ProblemError(
      'lane_may_not_claim',
      'People work on this lane, by the operator actions of its tasks.',
    );
  if (ask.isPush) {
    if (lane.claim_mode === 'push') return null;
    return new ProblemError(
      'claim_mode_mismatch',
      `The server hands work out by itself only to lanes of claim_mode push; this one is of claim_mode ${lane.claim_mode}.`,
    );
  }
  if (lane.claim_mode === 'push') {
    return new ProblemError(
      'claim_mode_mismatch',
      'The server hands work to this lane over its socket (claim_mode push).',
    );
  }
  if (lane.claim_mode === 'watch' && ask.isWaiting) {
    return new ProblemError(
      'claim_mode_mismatch',
      'This lane (claim_mode watch) hears of work on its socket: claim without Prefer: wait.',
    );
  }
  return null;
}
