/** As much of a claim as its run needs once the process is there, and so as much as an adopter must find written down. */
import type { Claim } from '../../contract/claims.ts';

export interface RunClaim extends Pick<Claim, 'run_id' | 'lane' | 'attempt' | 'token'> {
  readonly task: Pick<Claim['task'], 'id' | 'title' | 'board'>;
}
