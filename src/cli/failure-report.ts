/** What people read when a command fails: what happened, where it is wrong, and what to do next. */
import { LanekeeperError, UnreachableError } from '../client/errors.ts';
import { ExitError } from './exit-codes.ts';
import { printable, printableLines } from './output.ts';

export function messagesOf(error: unknown): string[] {
  if (error instanceof ExitError) return error.message === '' ? [] : [error.message];
  if (!(error instanceof Error)) return [String(error)];
  const lines = [printableLines(error.message)];
  if (error instanceof LanekeeperError) {
    for (const { pointer, detail } of error.errors)
      lines.push(`  ${printable(pointer)}: ${printable(detail)}`);
    if (error.status >= 500 && error.requestId !== undefined)
      lines.push(`Request id: ${printable(error.requestId)}`);
  }
  const next = nextStepOf(error);
  return next === undefined ? lines : [...lines, `Next: ${next}`];
}

function nextStepOf(error: Error): string | undefined {
  if (error instanceof UnreachableError) {
    return 'is the server running (lanekeeper serve), and is --url or LANEKEEPER_URL right?';
  }
  if (!(error instanceof LanekeeperError)) return undefined;
  switch (error.code) {
    case 'unauthenticated':
      return 'lanekeeper login, or give a key with --token-file or LANEKEEPER_TOKEN';
    case 'token_expired':
      return 'the claim is over; claim the task again';
    case 'forbidden':
    case 'claim_token_required':
    case 'not_your_claim':
      return 'lanekeeper whoami shows what the key may do';
    case 'lane_not_found':
      return 'lanekeeper lane list, or lanekeeper lane register NAME';
    case 'not_found':
      return 'check the id and the board (--board); lanekeeper board list shows what you may see';
    case 'illegal_transition':
      return 'lanekeeper task get ID shows the status';
    case 'dependency_cycle':
      return 'lanekeeper task graph ID shows what waits for what';
    case 'version_mismatch':
      return 'read it again, then repeat the change';
    case 'lane_has_claims':
      return 'lanekeeper lane drain NAME, and wait for its tasks to end';
    case 'cursor_expired':
      return 'lanekeeper snapshot, then watch from its cursor';
    case 'rate_limited':
      return `wait ${error.retryAfterSeconds ?? 'a few'} seconds`;
    default:
      return undefined;
  }
}
