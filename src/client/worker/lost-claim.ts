/** What the server says of a claim that is gone: pure. */
import type { LanekeeperError } from '../errors.ts';

/** null: it was somebody else who ended the run, or the server does not say. */
export function ownOutcomeOf({ problem }: LanekeeperError): string | null {
  const { reason, outcome } = problem;
  return reason === 'ended' && typeof outcome === 'string' ? outcome : null;
}

export function lossDetail({ problem, detail }: LanekeeperError): string {
  const { reason } = problem;
  return typeof reason === 'string' ? `the claim is gone: ${reason}` : `the claim is gone: ${detail}`;
}
