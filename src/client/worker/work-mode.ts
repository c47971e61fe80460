/** How a worker asks for the work of its lane: as the lane has it, or as the worker wishes, where the lane leaves that open. */
import type { ClaimMode, Lane } from '../../contract/lanes.ts';
import { LanekeeperError } from '../errors.ts';

/** How a lane's work is asked for where the lane leaves that open. */
export type WorkMode = Exclude<ClaimMode, 'pull-or-watch'>;

export function modeFor({ name, claim_mode }: Lane, wish: WorkMode | undefined): ClaimMode {
  if (wish === undefined || wish === claim_mode) return claim_mode;
  if (claim_mode === 'pull-or-watch' && wish !== 'push') return wish;
  throw new LanekeeperError({
    code: 'claim_mode_mismatch',
    status: 409,
    title: 'The lane is served in another way',
    detail: `lane ${name} has claim mode "${claim_mode}", and the worker was to use "${wish}"`,
  });
}
